"""What a sweep decides once for all of its runs, and what it refuses before any of them is planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from omegaconf import DictConfig

from dsbench.config.compose import Composed, typed
from dsbench.config.messages import one_line
from dsbench.config.sweep import key
from dsbench.errors import InputError
from dsbench.sweep.composition import Composer
from dsbench.sweep.objective import objectives
from dsbench.sweep.plan import Job, SweepPlan
from dsbench.sweep.slots import slots

ON_ERROR = ("stop", "skip")


def check(config: DictConfig) -> None:
    """Raise InputError for what only sweeps read and what makes no sense."""
    if config.retries < 0:
        raise InputError(f"retries {config.retries} is negative; 0 tries a killed run no more")
    if config.on_error not in ON_ERROR:
        raise InputError(f"unknown on_error {config.on_error!r}; choose one of {', '.join(ON_ERROR)}")
    if not 0 <= config.bench_minutes < float("inf"):
        raise InputError(f"bench_minutes {config.bench_minutes:g} is not a number of minutes, 0 or more")
    objectives(config.objective)  # what the task function returns, to whatever searches by it


def check_slots(config: DictConfig, plan: SweepPlan) -> None:
    """Raise InputError where a run has several processes and the launcher gives each run the device of one."""
    several = max((job.plan.compute.ranks for job in plan.runs.values() if job.plan), default=1)
    if several > 1 and is_local(config):
        raise InputError(
            f"trainer=ddp has {several} processes, and a run of a sweep on this machine has a slot for one; train one "
            "after the other with hydra/launcher=basic, or on a cluster"
        )


def is_local(config: DictConfig) -> bool:
    """Whether the runs are trained on this machine, by dsbench's own launcher."""
    return config.hydra.launcher._target_.endswith(".DsbenchLauncher")


def settled(config: DictConfig, jobs: int) -> tuple[list[str], int | None]:
    """What is decided once for all runs, however many are left of them: threads; and runs at once, if that is known."""
    launcher = config.hydra.launcher
    if "cpus_per_task" in launcher:  # on machines that are not this one
        threads, at_once = launcher.cpus_per_task, None
    elif is_local(config):
        places = slots(jobs, config.n_jobs, config.threads, config.device)
        threads, at_once = places.threads, len(places)
    else:
        return [], 1
    return ([f"threads={threads}"] if config.threads is None else []), at_once


def with_settled(job: Sequence[str], same: Sequence[str]) -> list[str]:
    """A job's overrides, and those of `same` that it does not decide by itself."""
    own = {key(one) for one in job}
    return [*job, *(one for one in same if key(one) not in own)]


def precision(job: Job) -> list[str]:
    """`auto` is what this machine makes of it, for all runs, wherever they are trained: ids depend on it."""
    assert job.plan is not None
    return [f"precision={job.plan.compute.precision}"] if job.plan.config.precision == "auto" else []


def composing(config: DictConfig, loader: Any) -> Callable[[Sequence[str]], Composed]:
    """What turns the overrides of a run into its configuration. Raises InputError."""
    composer = Composer(lambda overrides: loader.load_sweep_config(config, overrides), loader)

    def compose(overrides: Sequence[str]) -> Composed:
        try:
            with composer.composed(overrides) as (composed, plain):
                return typed(composed, composed.hydra.runtime.choices, overrides, plain=plain)
        except InputError:
            raise
        except Exception as error:
            raise InputError(one_line(error)) from error

    return compose
