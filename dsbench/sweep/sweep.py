"""The runs of a sweep: written down, launched, collected into tables, judged at its looks."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from dsbench import provenance
from dsbench.config.hydra_internals import returned_value
from dsbench.config.messages import one_line
from dsbench.config.schema import GROUP_LETTERS, WandbConfig
from dsbench.console import terminal
from dsbench.errors import FailureError, InputError
from dsbench.results import tables
from dsbench.results.folder import SweepFolder, TakenError, table
from dsbench.results.naming import short_names
from dsbench.results.records import record
from dsbench.run.interrupts import Interrupted, deferred
from dsbench.run.outcome import Ended, ProcessDiedError
from dsbench.run.progress import relative
from dsbench.run.record import FINAL, Record, Status, short_label
from dsbench.sweep.design import EXPLORES, choice_of
from dsbench.sweep.groups import Group, groups
from dsbench.sweep.launch.backend import BackendLauncher, KnownJobs, backend_for
from dsbench.sweep.launch.view import Board, Cell, Shown, seeds_text
from dsbench.sweep.looks import Looks, Schedule
from dsbench.sweep.name import SweepName
from dsbench.sweep.plan import PlannedJob, SweepPlan
from dsbench.verdict.rule import Rule
from dsbench.verdict.verdict import Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.config.schema import Config
    from dsbench.run.plan import Plan

log = logging.getLogger("dsbench")
_SO_FAR = {
    "done": FINAL,
    "failed": (Status.FAILED, Status.TIMEOUT, Status.UNREADABLE),
    "stopped": (Status.INTERRUPTED, Status.KILLED),
    "trained by another process": (Status.RUNNING,),
    "not begun": (Status.MISSING,),
}


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
        design: Mapping[str, Any] | None = None,
    ) -> None:
        """`config` is the sweep's own configuration, `arguments` are its command line, `schedule` its looks.

        `seconds` is what a run may take, by cell_id, where that is known. Of a sweep in two stages `design` has what is
        kept of it (see dsbench.sweep.design), and `then` trains the second once the first has ended.
        """
        self._seconds = seconds or {}
        self.design = design
        self.then: Callable[[], Sweep | None] | None = None
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
        self.folder = sweep_folder(self.config, name)
        self.looks = Looks(self.folder)

    @property
    def explores(self) -> bool:
        """Whether it is the first of two stages."""
        return self.design is not None and self.design["stage"] == EXPLORES

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
            own = own_folder(self.config)
            if own:
                judging["config_dir"] = own
            if self.design:
                judging["design"] = dict(self.design)
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

    def _write_plan(self, facts: Sequence[Record], judging: Mapping[str, Any]) -> None:
        try:
            self.folder.write_plan(facts, self._arguments, judging, self._name.hash)
        except TakenError:  # at this very moment, by another process
            if self._name.instead is None:
                raise
            self._call(self._name.instead)
            self.folder.write_plan(facts, self._arguments, judging, self._name.hash)

    def launch(self, plan: SweepPlan) -> None:
        """Have those runs of `plan` trained that are not done yet."""
        missing = groups(plan)
        if missing:
            self.looks.forget([run_id for run_id, job in plan.runs.items() if job.replaced])
            overrides = [[*group.overrides, *_precision(group.first), *self._group(group.first)] for group in missing]
            if isinstance(self._launcher, BackendLauncher):
                score = "best_val_acc" if self.explores else "test_acc"
                loads = tuple(group.load for group in missing)
                self._launcher.known = KnownJobs(
                    self.folder.path / "jobs", loads, board(plan, missing, self._seconds, score)
                )
            started = provenance.now()
            self.returned.append(self._launcher.launch(overrides, 0))
            self.reasons |= unrecorded(missing, self.returned[-1], started)

    def show(self) -> None:
        """Write and print the tables of what there is."""
        runs, cells = self.collect()
        console = terminal()
        asked = shlex.quote(self.folder.argument)
        shown = choice_of(self.folder).tables if self.explores else (tables.cells(cells, asked),)
        console.print(*shown, sep="\n")
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

    def look(self, runs: pd.DataFrame, seeds: int | None = None) -> Verdict:
        """Judge the table's `runs` and keep how comparisons stand: of a planned look those of so many `seeds`."""
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
        self.unwritten = None
        try:
            runs, cells = (self.folder.collect if self.writable else self.folder.read)(self.reasons)
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
                        with suppress(Interrupted), deferred():  # timeout(1) sends a second signal
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

    def _group(self, plan: Plan) -> list[str]:
        """The sweep's name as the run's group in W&B, where that has no other."""
        logger = plan.config.logger
        wanted = isinstance(logger, WandbConfig) and logger.group is None
        return [f"logger.group={self.folder.name[:GROUP_LETTERS]}"] if wanted else []


def sweep_folder(config: DictConfig, name: str) -> SweepFolder:
    """The folder of the sweep called `name`, beside others."""
    return SweepFolder(Path(config.outputs).absolute() / "sweeps" / name)


def own_folder(config: DictConfig) -> str | None:
    """The user's folder of YAML files, as --config-dir has named it."""
    sources = config.hydra.runtime.config_sources
    return next((source.path for source in sources if source.provider == "command-line"), None)


def board(plan: SweepPlan, missing: Sequence[Group], seconds: Mapping[str, float], score: str = "test_acc") -> Board:
    """The cells of `plan` with what is done of each, and the `missing` runs, as a view shows them.

    `seconds` is what a run may take, by cell_id, where that is known. Of a group on a GPU it says nothing. `score` is
    the accuracy that is shown.
    """
    names = short_names(table(plan.facts)) if plan.cells else []
    cells = {}
    for name, (cell_id, jobs) in zip(names, plan.cells.items(), strict=True):
        cells[cell_id] = Cell(name, len(jobs))
        for job in jobs:
            if job.done and job.record and job.record.result:
                cells[cell_id].take(str(job.record.status), getattr(job.record.result, score))

    def shown(group: Group) -> Shown:
        first, count = group.first, len(group.plans)
        config, of_run = first.config, seconds.get(first.cell_id)
        what = (first.run_id, config.model.family, config.width, config.arch.fine_width)
        seeds = f"{short_label(*what)} seeds {seeds_text([plan.config.seed for plan in group.plans])}"
        return Shown(
            cells[first.cell_id],
            seeds if count > 1 else short_label(*what, config.seed),
            count,
            None if of_run is None or (group.on_gpu and count > 1) else count * of_run,
        )

    return Board(list(cells.values()), [*map(shown, missing)], score)


def so_far(statuses: Iterable[str]) -> str:
    """What runs came to before the end, by their `statuses`: 4 of 24 done, 2 stopped, 18 not begun."""
    of = {status: word for word, group in _SO_FAR.items() for status in group}
    counts = Counter(of[Status(status)] for status in statuses)
    rest = [f"{counts[word]} {word}" for word in list(_SO_FAR)[1:] if counts[word]]
    return ", ".join([f"{counts['done']} of {counts.total()} done", *rest])


def _precision(plan: Plan) -> list[str]:
    """`auto` is what this machine makes of it, for all runs, wherever they are trained: ids depend on it."""
    return [f"precision={plan.place.precision}"] if plan.config.precision == "auto" else []


def unrecorded(groups: Sequence[Group], returned: Sequence[JobReturn], since: str) -> dict[str, Ended]:
    """By run_id, how runs have failed whose records name no end since `since`; `returned` is what came of the jobs."""
    out = {}
    for group, end in zip(groups, returned, strict=False):
        if end.status != JobStatus.FAILED:
            continue
        error = returned_value(end)
        died = isinstance(error, ProcessDiedError)
        for plan in group.plans:
            if (record(plan.folder.outputs, plan.run_id).finished or "") < since:
                out[plan.run_id] = error.ended if died else Ended("failed", one_line(error))
    return out
