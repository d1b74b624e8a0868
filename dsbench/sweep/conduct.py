"""A sweep from its command line to its tables: every run is planned before any is launched."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from dsbench import provenance
from dsbench.config.checks import check_values
from dsbench.config.compose import Composed
from dsbench.config.hydra_internals import returned_value
from dsbench.config.messages import one_line
from dsbench.config.overrides import key
from dsbench.config.schema import GROUP_LETTERS, SWEEPS_OWN, SweepConfig, WandbConfig
from dsbench.console import terminal
from dsbench.errors import FailureError, InputError
from dsbench.numerals import counted
from dsbench.results import tables
from dsbench.results.folder import SweepFolder, TakenError, table
from dsbench.results.naming import short_names
from dsbench.results.records import record
from dsbench.run.interrupts import Interrupted, raise_if_asked_to_stop
from dsbench.run.outcome import Ended, ProcessDiedError
from dsbench.run.progress import relative
from dsbench.run.record import FINAL, Status, short_label
from dsbench.sweep import axes
from dsbench.sweep.composition import Composer
from dsbench.sweep.estimate import seconds_left, share_of_cores
from dsbench.sweep.launch.view import Board, Cell
from dsbench.sweep.looks import Looks, Schedule, compared
from dsbench.sweep.name import SweepName, deciding, sweep_name, words
from dsbench.sweep.objective import objectives
from dsbench.sweep.plan import PlannedJob, SweepPlan, plan_sweep, planned
from dsbench.verdict.rule import Rule
from dsbench.verdict.verdict import Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.config.schema import Config
    from dsbench.sweep.launch.backend import Backend

log = logging.getLogger("dsbench")
_SO_FAR = {
    "done": FINAL,
    "failed": (Status.FAILED, Status.TIMEOUT, Status.UNREADABLE),
    "stopped": (Status.INTERRUPTED, Status.KILLED),
    "trained by another process": (Status.RUNNING,),
    "not begun": (Status.MISSING,),
}


def conduct(
    config: DictConfig, arguments: Sequence[str], params: Sequence[str], loader: Any, launcher: Launcher
) -> Sweep | None:
    """Run the sweep that `arguments`, on top of a named sweep's `params`, ask for; None where it was only planned.

    `config` is the sweep's own configuration, `loader` Hydra's config loader. Raises InputError before anything is
    launched where a run cannot be (but for on_error=skip). The tables of what is there are written however the sweep
    ends, and printed where an error ends it.
    """
    check(config)
    schedule = scheduled(config, axes.until_decided(arguments, params))
    jobs = axes.jobs(arguments, params, loader, schedule.most if schedule else None)
    together = len(jobs) * max(map(len, schedule.batches)) // schedule.most if schedule else len(jobs)
    backend = backend_for(launcher, together)
    axes.check_several(arguments, params)
    shared = shared_overrides(config, backend)
    here = backend is None or backend.watched
    plan = plan_sweep([with_shared(job, shared) for job in jobs], composing(config, loader), here)
    raise_if_asked_to_stop()
    console = terminal()
    if plan.problems and (config.on_error != "skip" or not plan.runs):
        console.print(*planned(plan), sep="\n")
        raise impossible(plan)
    backend = with_memory(launcher, plan, together)
    at_once = 1 if backend is None else backend.at_once if backend.watched else None
    share = share_of_cores(plan, at_once) if at_once else 1.0  # before imports take a core
    if plan.missing and backend and not config.plan:
        backend.prepare()
    after = config.bench_minutes if backend and backend.watched else 0.0
    seconds: dict[str, float] = {}  # of a run of each cell
    options = {"bench_minutes": after, "report": config.report, "of_cells": seconds}
    estimate = partial(seconds_left, at_once=at_once or 1, share=share, **options)
    first = plan.only(plan.cells, schedule.batches[0]) if schedule else None
    for part in planned(plan, estimate if at_once else None, first, backend.why_at_once if backend else ""):
        console.print(part)  # the table while the estimate is made
    if config.plan:
        return None
    named, outputs = config.hydra.runtime.choices.get("sweep"), Path(config.outputs).absolute()
    name = sweep_name(outputs, named, deciding(arguments), plan.cells, lambda: words(plan.facts))
    sweep = Sweep(config, name, arguments, launcher, schedule, seconds)
    with sweep.told_anyway(sweep.show):
        if schedule is None:
            sweep.write(plan)
            sweep.launch(plan)
        else:
            train_until_decided(sweep, plan, schedule)
    runs, _ = sweep.collect()
    if sweep.looks.miss(runs.loc[runs["status"].isin(FINAL), "run_id"]):
        sweep.look()
    return sweep


def train_until_decided(sweep: Sweep, plan: SweepPlan, schedule: Schedule) -> None:
    """Train the seeds of `plan` look by look, those of cells alone of which more may decide a comparison.

    A look judges the seeds up to its own, whatever else is there: a sweep that goes on where it was killed, or whose
    runs another has trained, comes to the same looks.
    """
    cells = set(plan.cells)
    for number, seeds in enumerate(schedule.batches, 1):
        batch = plan.only(cells, seeds)
        sweep.write(batch)
        sweep.launch(batch)
        judged = sweep.look(seeds.stop)
        looks, comparisons = sweep.looks.until(schedule.most, seeds.stop), list(compared(judged))
        cells = looks.still_open(judged)
        decided = f"{sum(map(looks.decided, comparisons))} of {counted(len(comparisons), 'comparison')} decided"
        goes_on = f", {counted(len(cells), 'cell')} to go on with" if number < len(schedule.looks) else ""
        terminal().print(f"look {number} of {len(schedule.looks)}, at {seeds.stop} seeds: {decided}{goes_on}")
        if not cells:
            break


def scheduled(config: DictConfig, until_decided: bool) -> Schedule | None:
    """When a sweep looks; None where its seeds are given. Raises InputError for looks that cannot be."""
    if until_decided:
        return Schedule.of(config.looks, config.max_seeds)
    for name in ("max_seeds", "looks"):
        if config[name] is not None:
            raise InputError(f"{name}={config[name]} is for {axes.AUTO} alone; give both, or neither")
    return None


class Sweep:
    """The runs of the sweep `name`, launched at once or plan by plan; `returned` is what came of each launch.

    `reasons` has, by run_id, how runs ended where their records do not say so.
    """

    def __init__(
        self,
        config: DictConfig,
        name: SweepName,
        arguments: Sequence[str],
        launcher: Launcher,
        schedule: Schedule | None = None,
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        """`config` is the sweep's own configuration, `arguments` are its command line, `schedule` its looks.

        `seconds` is what a run may take, by cell_id, where that is known.
        """
        self._seconds = seconds or {}
        self.config, self._name, self._launcher = config, name, launcher
        self._call(name.text)
        self.jobs: list[PlannedJob] = []
        self.returned: list[Sequence[JobReturn]] = []
        self.reasons: dict[str, Ended] = {}
        self._arguments, self._schedule = arguments, schedule
        self.writable = True  # what was asked for, and what comes of it
        self.unwritten: str | None = None
        self.collected: tuple[pd.DataFrame, pd.DataFrame] | None = None  # the tables of runs and of cells made last
        self._final: set[str] = set()  # run_ids with a result, by the table made last

    def _call(self, name: str) -> None:
        self.folder = SweepFolder(Path(self.config.outputs).absolute() / "sweeps" / name)
        self.looks = Looks(self.folder)
        self._launcher.folder = self.folder.path / "jobs"  # type: ignore[attr-defined]  # of one that has files

    @property
    def trained_here(self) -> bool:
        """Whether the runs are trained by processes of this one."""
        backend = backend_for(self._launcher, 1)
        return backend is not None and backend.watched

    @property
    def example(self) -> Config:
        """The configuration of a run."""
        assert self.jobs[0].plan is not None
        return self.jobs[0].plan.config

    def write(self, plan: SweepPlan) -> None:
        """Write down the runs of `plan`, beside those of earlier plans.

        Raises InputError where that cannot be, unless all have a result and stand there already.
        """
        self.jobs += plan.runs.values()
        if self.jobs:
            judging = {"verdict": OmegaConf.to_container(self.config.verdict)}
            sources = OmegaConf.select(self.config, "hydra.runtime.config_sources", default=())
            own = [source.path for source in sources if source.provider == "command-line"]
            if own:
                judging["config_dir"] = own[0]
            if self._schedule:
                judging["looks"] = list(self._schedule.looks)
            facts = [job.plan.facts() for job in self.jobs if job.plan]
            try:
                self._write_plan(facts, judging)
            except InputError as error:
                if plan.missing or not plan.runs.keys() <= set(self.folder.run_ids()):
                    raise
                self.writable = False
                log.warning("%s; all runs have a result and are shown", str(error).partition("; ")[0])

    def launch(self, plan: SweepPlan) -> None:
        """Have those runs of `plan` trained that are not done yet."""
        missing = plan.missing
        if missing:
            self.looks.forget([run_id for run_id, job in plan.runs.items() if job.replaced])
            overrides = [[*job.overrides, *_precision(job), *self._group(job)] for job in missing]
            with_memory(self._launcher, plan, len(missing))
            started = provenance.now()
            self._launcher.board = board(plan, self._seconds)  # type: ignore[attr-defined]  # for one that shows what it runs
            self.returned.append(self._launcher.launch(overrides, 0))
            self.reasons |= unrecorded(missing, self.returned[-1], started)

    def show(self) -> None:
        """Write and print the tables of what there is."""
        runs, cells = self.collect()
        console = terminal()
        console.print(tables.cells(cells, shlex.quote(self.folder.argument)))
        self.show_failures(runs)
        if self.unwritten is None:
            console.print(f"tables: {relative(self.folder.path)}", soft_wrap=True)

    def show_failures(self, runs: pd.DataFrame) -> None:
        """Print which of the table's `runs` have no result, several versions of the code, and what was not written."""
        console, mixed = terminal(), tables.versions(runs)
        if not runs["status"].isin(FINAL).all():
            console.print(tables.failures(runs, relative(self.folder.outputs)))
        for line in filter(None, (mixed, self.unwritten)):
            console.print(line, soft_wrap=True)

    def look(self, seeds: int | None = None) -> Verdict:
        """Judge what is there and keep how comparisons stand: of a look that was planned up to so many `seeds`."""
        runs, _ = self.folder.read(self.reasons)
        runs = runs if seeds is None else runs[runs["seed"] < seeds]
        judged = verdict(self.folder.outputs, runs, rule=Rule(**self.folder.margins()))
        if not self.writable:
            return judged
        try:
            self.looks.take(judged, *((self._schedule.most, seeds) if self._schedule and seeds else ()))
        except OSError as error:
            terminal().print(f"{self.looks.path.name} could not be written: {one_line(error)}", soft_wrap=True)
        return judged

    def collect(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The tables of runs and of cells, written if that can be; `unwritten` says why where it cannot."""
        if not self.writable:
            return self.folder.read(self.reasons)
        try:
            runs, cells = self.folder.collect(self.reasons)
            self.unwritten = None
        except OSError as error:
            runs, cells = self.folder.read(self.reasons)
            self.unwritten = f"tables could not be written: {one_line(error)}"
        self._final = set(runs.loc[runs["status"].isin(FINAL), "run_id"])
        self.collected = runs, cells
        return runs, cells

    @contextmanager
    def told_anyway(self, show: Callable[[], object], keep: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Within, an end before the end is raised again after `show`, whatever comes of that.

        Of Ctrl-C nothing is shown: the tables are written, `keep` is called, and the error itself says how far the
        sweep had come. Where the launcher has refused there is nothing to tell.
        """
        try:
            yield
        except BaseException as error:
            refused = isinstance(error, (InputError, FailureError)) and not self.returned
            if self.folder.sweep_file.exists() and not refused:
                try:
                    if isinstance(error, Interrupted):
                        runs, _ = self.collect()
                        error.so_far = so_far(runs["status"]) + error.so_far
                        keep()
                    else:
                        show()
                except Exception as other:
                    log.warning("the tables so far could not be made: %s", one_line(other))
            raise

    def complete(self) -> bool:
        """Whether every run that was planned has a result; the table made last may be of another command's runs."""
        run_ids = {job.plan.run_id for job in self.jobs if job.plan} - self._final
        return all(record(self.folder.outputs, run_id).status in FINAL for run_id in run_ids)

    def _group(self, job: PlannedJob) -> list[str]:
        """The sweep's name as the run's group in W&B, where that has no other."""
        logger = job.plan.config.logger if job.plan else None
        wanted = isinstance(logger, WandbConfig) and logger.group is None
        return [f"logger.group={self.folder.name[:GROUP_LETTERS]}"] if wanted else []


def board(plan: SweepPlan, seconds: Mapping[str, float]) -> Board:
    """The cells of `plan` with what is done of each, and its missing runs, as a view shows them.

    `seconds` is what a run may take, by cell_id, where that is known.
    """
    names = short_names(table(plan.facts)) if plan.cells else []
    cells = {}
    for name, (cell_id, jobs) in zip(names, plan.cells.items(), strict=True):
        cells[cell_id] = Cell(name, len(jobs), seconds=seconds.get(cell_id))
        for job in jobs:
            if job.done and job.record and job.record.result:
                cells[cell_id].take(str(job.record.status), job.record.result.test_acc)
    plans = [job.plan for job in plan.missing if job.plan]
    facts = [(plan.run_id, plan.config) for plan in plans]
    labels = [
        short_label(run_id, config.model.family, config.width, config.arch.fine_width, config.seed)
        for run_id, config in facts
    ]
    return Board(list(cells.values()), [cells[plan.cell_id] for plan in plans], labels)


def so_far(statuses: Iterable[str]) -> str:
    """What runs came to before the end, by their `statuses`: 4 of 24 done, 2 stopped, 18 not begun."""
    of = {status: word for word, group in _SO_FAR.items() for status in group}
    counts = Counter(of[Status(status)] for status in statuses)
    rest = [f"{counts[word]} {word}" for word in list(_SO_FAR)[1:] if counts[word]]
    return ", ".join([f"{counts['done']} of {counts.total()} done", *rest])


def _precision(job: PlannedJob) -> list[str]:
    """`auto` is what this machine makes of it, for all runs, wherever they are trained: ids depend on it."""
    assert job.plan is not None
    return [f"precision={job.plan.place.precision}"] if job.plan.config.precision == "auto" else []


def unrecorded(jobs: Sequence[PlannedJob], returned: Sequence[JobReturn], since: str) -> dict[str, Ended]:
    """By run_id, how runs have failed whose records name no end since `since`; `returned` is what came of the jobs."""
    out = {}
    for job, end in zip(jobs, returned, strict=False):
        if end.status != JobStatus.FAILED or job.plan is None:
            continue
        if (record(job.plan.folder.outputs, job.plan.run_id).finished or "") < since:
            error = returned_value(end)
            died = isinstance(error, ProcessDiedError)
            out[job.plan.run_id] = error.ended if died else Ended("failed", one_line(error))
    return out


def check(config: DictConfig) -> None:
    """Raise InputError for the first value of what only sweeps read that makes no sense."""
    values = {name: config[name] for name in SWEEPS_OWN}
    check_values(SweepConfig, values | {"verdict": OmegaConf.to_object(config.verdict)})
    objectives(config.objective)  # what the task function returns, to whatever searches by it


def impossible(plan: SweepPlan) -> InputError:
    """The error of the first job that cannot be run."""
    first = plan.problems[0]
    return InputError(f"{' '.join(first.overrides)}: {first.problem}")


def backend_for(launcher: Launcher, jobs: int) -> Backend | None:
    """What runs so many jobs; None for a launcher of Hydra's own, which runs them in this process, one by one."""
    return launcher.backend(jobs) if hasattr(launcher, "backend") else None


def with_memory(launcher: Launcher, plan: SweepPlan, jobs: int) -> Backend | None:
    """As backend_for, now that `plan` says what the runs take of memory; the launcher keeps it for the launch.

    A run on a GPU takes what is counted of it from the GPU's own memory, not from this machine's.
    """
    plans = [job.plan for job in plan.missing if job.plan]
    here = tuple(plan.memory_bytes for plan in plans if plan.place.kind != "cuda")
    launcher.run_bytes = here  # type: ignore[attr-defined]
    return backend_for(launcher, jobs)


def shared_overrides(config: DictConfig, backend: Backend | None) -> list[str]:
    """Overrides for all runs, however many of them are left to train: the threads that `backend` gives each."""
    return [f"threads={backend.threads}"] if backend and config.threads is None else []


def with_shared(job: Sequence[str], shared: Sequence[str]) -> list[str]:
    """A job's overrides, and those of `shared` that it does not decide by itself."""
    own = {key(override) for override in job}
    return [*job, *(override for override in shared if key(override) not in own)]


def composing(config: DictConfig, loader: Any) -> Callable[[Sequence[str]], Composed]:
    """What turns the overrides of a run into its configuration. Raises InputError."""
    composer = Composer(lambda overrides: loader.load_sweep_config(config, overrides), loader)

    def compose(overrides: Sequence[str]) -> Composed:
        try:
            return composer.typed(overrides)
        except InputError:
            raise
        except Exception as error:
            raise InputError(one_line(error)) from error

    return compose
