"""What a sweep decides once for all of its runs, and what it refuses before any of them is planned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from dsbench import provenance
from dsbench.conclude import conclude, reasons, show
from dsbench.config.compose import Composed, typed
from dsbench.config.messages import one_line
from dsbench.config.overrides import key
from dsbench.config.schema import WandbConfig
from dsbench.console import terminal
from dsbench.errors import FailureError, InputError
from dsbench.results.folder import SweepFolder
from dsbench.results.records import record
from dsbench.run.interrupts import insist
from dsbench.run.outcome import Fate
from dsbench.run.record import FINAL
from dsbench.sweep import axes
from dsbench.sweep.axes import objectives
from dsbench.sweep.composition import Composer
from dsbench.sweep.estimate import seconds_left
from dsbench.sweep.launch.local import warm_up
from dsbench.sweep.launch.workers import slots
from dsbench.sweep.plan import Job, SweepPlan, deciding, plan_sweep, sweep_name
from dsbench.sweep.plan_table import planned

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.config.schema import Config

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


log = logging.getLogger("dsbench")


class Launches:
    """The runs of the sweep `name`, launched at once or plan by plan; `returned` is what came of each launch."""

    def __init__(self, config: DictConfig, name: str, arguments: Sequence[str], launcher: Launcher) -> None:
        """`config` is the sweep's own configuration, `arguments` are its command line."""
        self.folder = SweepFolder(Path(config.outputs).absolute() / "sweeps" / name)
        self.jobs: list[Job] = []
        self.returned: list[Sequence[JobReturn]] = []
        self._arguments, self._launcher = arguments, launcher
        self.reasons: dict[str, Fate] = {}
        launcher.folder = self.folder.path / "jobs"  # type: ignore[attr-defined]  # where one that has files keeps them

    @property
    def example(self) -> Config:
        """The configuration of a run."""
        assert self.jobs[0].plan is not None
        return self.jobs[0].plan.config

    def ask(self, plan: SweepPlan) -> None:
        """Write down the runs of `plan`, beside those asked for before. Raises InputError where that cannot be."""
        self.jobs += plan.runs.values()
        if self.jobs:
            self.folder.write_plan([job.plan.facts() for job in self.jobs if job.plan], self._arguments)

    def launch(self, plan: SweepPlan) -> None:
        """Have those runs of `plan` trained that are not done yet."""
        missing = plan.missing
        if missing:
            overrides = [[*job.overrides, *precision(job), *self._group(job)] for job in missing]
            began = provenance.now()
            self.returned.append(self._launcher.launch(overrides, 0))
            self.reasons |= reasons(missing, self.returned[-1], began)

    def show(self) -> pd.DataFrame:
        """Write and print the tables of what there is; returns that of runs."""
        return show(self.folder, self.reasons)

    @contextmanager
    def shown_anyway(self, show: Callable[[], object]) -> Iterator[None]:
        """Within, an end before the end (Ctrl-C) calls `show` and is raised again, whatever comes of that.

        Where the launcher has refused there is nothing to show.
        """
        try:
            yield
        except BaseException as error:
            refused = isinstance(error, (InputError, FailureError)) and not self.returned
            if self.folder.sweep_file.exists() and not refused:
                try:
                    show()
                except Exception as other:
                    log.warning("the tables so far could not be made: %s", one_line(other))
            raise

    def have_results(self, runs: pd.DataFrame) -> bool:
        """Whether every run that was asked for has a result; `runs`, the table, may be of another command's by now."""
        there = set(runs.loc[runs["status"].isin(FINAL), "run_id"])
        asked = (job.plan.run_id for job in self.jobs if job.plan)
        return all(one in there or record(self.folder.outputs, one)["status"] in FINAL for one in asked)

    def _group(self, job: Job) -> list[str]:
        """The sweep's name as the run's group in W&B, where that has no other."""
        logger = job.plan.config.logger if job.plan else None
        return [f"logger.group={self.folder.name}"] if isinstance(logger, WandbConfig) and logger.group is None else []


def conduct(
    config: DictConfig, arguments: Sequence[str], params: Sequence[str], loader: Any, launcher: Launcher
) -> list[Sequence[JobReturn]]:
    """Run the sweep that `arguments`, on top of a named sweep's `params`, ask for; returns what was launched.

    `config` is the sweep's own configuration, `loader` Hydra's config loader. Raises InputError before anything is
    launched where a run cannot be (but for on_error=skip), and SystemExit(1) where runs have failed. The tables of what
    is there are written and printed however the sweep ends; what follows from them once it has come to its end.
    """
    check(config)
    asked = axes.jobs(arguments, params, loader)
    same, at_once = settled(config, len(asked))
    plan = plan_sweep([with_settled(job, same) for job in asked], composing(config, loader))
    insist()
    console = terminal()
    if plan.problems and (config.on_error != "skip" or not plan.runs):
        console.print(planned(plan))
        first = plan.problems[0]
        raise InputError(f"{' '.join(first.overrides)}: {first.problem}")
    check_slots(config, plan)
    if plan.missing and is_local(config) and not config.plan:
        warm_up()
    console.print(planned(plan, seconds_left(plan, at_once) if plan.missing and at_once else None))
    if config.plan:
        return []
    name = sweep_name(config.hydra.runtime.choices.get("sweep"), deciding(arguments), plan.cells)
    sweep = Launches(config, name, arguments, launcher)
    sweep.ask(plan)
    with sweep.shown_anyway(sweep.show):
        sweep.launch(plan)
    runs = sweep.show()
    bench_minutes = config.bench_minutes if is_local(config) else 0.0
    conclude(sweep.folder, sweep.reasons, sweep.example, bench_minutes, config.report)
    if not sweep.have_results(runs):
        raise SystemExit(1)
    return sweep.returned
