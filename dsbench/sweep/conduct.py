"""The course of one sweep: plan, launch what is not done yet, collect, say what failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, flag_override

from dsbench.config.compose import Composed, typed
from dsbench.config.messages import one_line
from dsbench.errors import InputError
from dsbench.run.progress import terminal
from dsbench.run.signals import insist
from dsbench.run.status import FINAL
from dsbench.sweep import axes
from dsbench.sweep.composition import Composer
from dsbench.sweep.estimate import seconds_left
from dsbench.sweep.finish import conclude, show
from dsbench.sweep.folder import SweepFolder
from dsbench.sweep.name import sweep_name
from dsbench.sweep.plan import Job, plan_sweep
from dsbench.sweep.plan_table import planned
from dsbench.sweep.slots import slots

ON_ERROR = ("stop", "skip")


def conduct(
    config: DictConfig, arguments: Sequence[str], params: Sequence[str], loader: Any, launcher: Launcher
) -> list[Sequence[JobReturn]]:
    """Run the sweep that `arguments`, on top of a named sweep's `params`, ask for; returns what was launched.

    `config` is the sweep's own configuration, `loader` Hydra's config loader. Raises InputError before anything is
    launched where a run cannot be (but for on_error=skip), and SystemExit(1) where runs have failed. The tables of what
    is there are written and printed however the sweep ends; what follows from them once it has come to its end.
    """
    _check(config)
    asked = axes.jobs(arguments, params, loader)
    settled, at_once = _settled(config, len(asked))
    plan = plan_sweep([[*job, *settled] for job in asked], _composing(config, loader))
    insist()
    console = terminal()
    if plan.problems and (config.on_error != "skip" or not plan.runs):
        console.print(planned(plan))
        first = plan.problems[0]
        raise InputError(f"{' '.join(first.overrides)}: {first.problem}")
    console.print(planned(plan, seconds_left(plan, at_once) if plan.missing else None))
    if config.plan:
        return []
    name = sweep_name(config.hydra.runtime.choices.get("sweep"), arguments, plan.cells)
    folder = SweepFolder(Path(config.outputs).absolute() / "sweeps" / name)
    folder.write_plan([job.plan.facts() for job in plan.runs.values() if job.plan], arguments)
    group = [f"logger.group={name}"] if config.logger.get("group", "") is None else []
    jobs = plan.missing
    launched: list[Sequence[JobReturn]] = []
    try:
        if jobs:
            launched.append(launcher.launch([[*job.overrides, *_precision(job), *group] for job in jobs], 0))
    finally:
        runs = show(folder, _reasons(jobs, launched))
    example = next(job.plan for job in plan.runs.values() if job.plan)
    with interruptible():
        conclude(folder, example.config, config.bench_minutes if _here(config) else 0.0, config.report)
    if not runs["status"].isin(FINAL).all():
        raise SystemExit(1)
    return launched


def _check(config: DictConfig) -> None:
    """Raise InputError for what only sweeps read and what makes no sense."""
    if config.retries < 0:
        raise InputError(f"retries {config.retries} is negative; 0 tries a killed run no more")
    if config.on_error not in ON_ERROR:
        raise InputError(f"unknown on_error {config.on_error!r}; choose one of {', '.join(ON_ERROR)}")
    if not 0 <= config.bench_minutes < float("inf"):
        raise InputError(f"bench_minutes {config.bench_minutes:g} is not a number of minutes, 0 or more")


def _reasons(jobs: Sequence[Job], launched: Sequence[Sequence[JobReturn]]) -> dict[str, str]:
    """Why runs have failed, by run_id, as their processes said."""
    ended = zip(jobs, launched[0], strict=False) if launched else ()
    failed = [(job, found._return_value) for job, found in ended if found.status == JobStatus.FAILED]
    return {job.plan.run_id: one_line(error) for job, error in failed if job.plan}


def _precision(job: Job) -> list[str]:
    """`auto` is what this machine makes of it, for all runs, wherever they are trained: ids depend on it."""
    assert job.plan is not None
    return [f"precision={job.plan.compute.precision}"] if job.plan.config.precision == "auto" else []


def _settled(config: DictConfig, jobs: int) -> tuple[list[str], int]:
    """What is decided once for all runs, however many are left of them: on this machine threads; and runs at once."""
    if not _here(config):
        return [], 1
    places = slots(jobs, config.n_jobs, config.threads, config.device)
    return ([f"threads={places.threads}"] if config.threads is None else []), len(places)


def _here(config: DictConfig) -> bool:
    """Whether the runs are trained on this machine, by dsbench's own launcher."""
    return "dsbench" in config.hydra.launcher._target_


def _composing(config: DictConfig, loader: Any) -> Callable[[Sequence[str]], Composed]:
    composer = Composer(lambda overrides: loader.load_sweep_config(config, overrides), loader)

    def compose(overrides: Sequence[str]) -> Composed:
        try:
            composed = composer(overrides)
            with flag_override(composed, ["struct", "readonly"], False):
                choices = composed.pop("hydra").runtime.choices
            return typed(composed, choices, overrides)
        except InputError:
            raise
        except Exception as error:
            raise InputError(one_line(error)) from error

    return compose
