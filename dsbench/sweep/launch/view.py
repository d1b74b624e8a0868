"""What a sweep shows while it runs: in a terminal its cells as they fill in and the runs, elsewhere a line an event."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from itertools import count
from statistics import fmean
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dsbench.config.hydra_internals import returned_value
from dsbench.config.overrides import key
from dsbench.console import redraws, terminal
from dsbench.errors import first_line
from dsbench.layout import grid
from dsbench.numerals import counted, duration, mean_percent
from dsbench.sweep.launch.time_left import JobCourse, time_left

EVENT_SECONDS, IDLE_SECONDS = 0.4, 0.9  # between two pictures where something happened, and where only time passed
BAR_LETTERS = 20
SCORES = {"test_acc": "test", "best_val_acc": "validation"}  # accuracies of a result; the second where a sweep explores


class Lines(AbstractContextManager["Lines"]):
    """Shows jobs of which only the end is seen: a line for each."""

    def __init__(self, labels: Sequence[str], console: Console | None = None) -> None:
        """`labels` are the jobs', in order."""
        self.console, self._labels, self._done = console or terminal(), labels, 0

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def opened(self, where: str) -> None:
        """Jobs are about to be handed to `where`."""
        self.console.print(f"{counted(len(self._labels), 'job')} handed to {where}", soft_wrap=True)

    def started(self, number: int) -> None:
        """A job has been handed in."""

    def heard(self, number: int, event: Mapping[str, Any]) -> None:
        """A job has sent an event."""

    def ended(self, number: int, job: JobReturn, again: bool) -> None:
        """A job has ended; `again` when it is handed in again."""
        self._done += not again
        how = "ended"
        if job.status != JobStatus.COMPLETED:
            how = f"{'handed in again' if again else 'failed'}: {first_line(returned_value(job))}"
        self.console.print(f"[{self._done}/{len(self._labels)}] {self._labels[number]}: {how}", soft_wrap=True)

    def refresh(self) -> None:
        """Some time has passed."""


@dataclass
class Cell:
    """A row of the table that fills in: a cell of so many `runs`, the accuracies of those that are done.

    `others` counts the runs that are in no mean by how they ended.
    """

    name: str
    runs: int
    accuracies: list[float] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    touched: int = 0  # the later one of its runs has started or ended, the greater

    def take(self, status: str, accuracy: float | None) -> None:
        """A run has ended."""
        if status == "done" and accuracy is not None:
            self.accuracies.append(accuracy)
        else:
            self.others[status] += 1

    @property
    def mean(self) -> str:
        """The mean accuracy and half its interval, as the tables at the end have it."""
        if not self.accuracies:
            return ""
        from dsbench.statistics.means import t_interval

        interval = t_interval(self.accuracies)
        return mean_percent(fmean(self.accuracies), interval.high if interval else None)


@dataclass(frozen=True)
class Shown:
    """What a job is: its cell, its short label, how many `runs` it trains, the seconds that it may take by the plan."""

    cell: Cell
    label: str
    runs: int = 1
    seconds: float | None = None


@dataclass(frozen=True)
class Board:
    """What a launch is: the `cells` of its sweep, its jobs, and the accuracy that is shown of them, one of SCORES."""

    cells: Sequence[Cell]
    jobs: Sequence[Shown]
    score: str = "test_acc"


class View(Lines):
    """Shows jobs that send events while they run."""

    def __init__(
        self,
        labels: Sequence[str],
        cells: Sequence[Hashable],
        at_once: int,
        console: Console | None = None,
        board: Board | None = None,
    ) -> None:
        """`at_once` jobs run at a time; those of equal `cells` differ in their seeds."""
        super().__init__(labels, console)
        self._at_once, self._board = at_once, board
        self._score = board.score if board else "test_acc"
        self._touches = count(1)
        self._drawn, self._changed = 0.0, False
        sizes = [job.runs for job in board.jobs] if board else [1] * len(labels)
        self._jobs = [JobCourse(*job) for job in zip(labels, zip(cells, sizes, strict=True), sizes, strict=True)]
        self._total = sum(sizes)  # runs, as those that are done and have failed
        self._running: list[int] = []
        self._failed = 0
        self._live: Live | None = None
        self._open = ExitStack()

    def __enter__(self) -> View:
        if redraws(self.console) and self._jobs:
            self._live = Live(self._screen(), console=self.console, auto_refresh=False, transient=True)
            self._open.enter_context(self._live)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def opened(self, where: str) -> None:
        """Nothing: each job shows when it starts."""

    def started(self, number: int) -> None:
        """A job's process has started."""
        self._running.append(number)
        job = self._jobs[number]
        job.started, job.failed, job.epoch = time.monotonic(), 0, 0
        job.val_accs.clear()
        self._touch(number)
        self._print_unless_live(number, "started")

    def heard(self, number: int, event: Mapping[str, Any]) -> None:
        """A job has sent an event about one of its runs (see dsbench.sweep.launch.worker)."""
        job, self._changed = self._jobs[number], True
        job.waits_for = event.get("owner")
        if job.waits_for:
            self._print_unless_live(number, f"waits for {job.waits_for}, which trains it")
        if event["kind"] == "started":
            job.epochs = event["epochs"]
            job.logs[event.get("seed")] = event["log"]
        elif event["kind"] == "epoch":
            job.epoch = event["epoch"]
            job.val_accs[event.get("seed")] = event["val_acc"]
        elif event["kind"] == "finished":
            self._finished(number, event.get("seed"), event)

    def _finished(self, number: int, seed: Any, event: Mapping[str, Any]) -> None:
        """A run has its result, once, however often a job that was tried again tells of it."""
        job = self._jobs[number]
        if seed in job.finished:
            return
        job.finished[seed] = event
        self._done += 1
        if cell := self._touch(number):
            cell.take(event.get("status", "done").partition(",")[0], event.get(self._score))

    def ended(self, number: int, returned: JobReturn, again: bool) -> None:
        """A job's process has ended; `again` when it is started again."""
        self._running.remove(number)
        job = self._jobs[number]
        cell = self._touch(number)
        if returned.status != JobStatus.COMPLETED:
            log = next((log for seed, log in job.logs.items() if seed not in job.finished), None)
            how, why = "tried again" if again else "failed", first_line(returned_value(returned))
            self._print(number, f"{how}: {why}{f'; log: {log}' if log else ''}")
            if not again:
                job.failed = job.open
                self._failed += job.failed
                if cell and job.failed:
                    cell.others["failed"] += job.failed
            return
        job.took = time.monotonic() - job.started
        for untold in range(job.open):  # recorded already, or no run of dsbench's
            self._finished(number, ("untold", untold), {})
        self._print_unless_live(number, f"{_results([*job.finished.values()], self._score)}, {duration(job.took)}")

    def refresh(self) -> None:
        """Draw the screen again, where there is one and something may be new: what it takes is taken from training."""
        if self._live is None:
            return
        since = time.monotonic() - self._drawn
        if since > (EVENT_SECONDS if self._changed else IDLE_SECONDS):
            self._live.update(self._screen(), refresh=True)
            self._drawn, self._changed = time.monotonic(), False

    @property
    def _before(self) -> int:
        """How many runs of the sweep were done before."""
        return sum(cell.runs for cell in self._board.cells) - self._total if self._board else 0

    def _touch(self, number: int) -> Cell | None:
        self._changed = True
        cell = self._board.jobs[number].cell if self._board else None
        if cell:
            cell.touched = next(self._touches)
        return cell

    def _print_unless_live(self, number: int, what: str) -> None:
        if self._live is None:
            self._print(number, what)

    def _print(self, number: int, what: str) -> None:
        running = sum(self._jobs[other].open for other in self._running)
        place = f"[{self._done + self._failed + running}/{self._total}]"
        self.console.print(f"{place} {self._jobs[number].label}: {what}", soft_wrap=True)

    def _screen(self) -> Group:
        """The cells, the runs and the bar, of no more lines than there are: what lately changed stays."""
        lines = self.console.height - 1
        runs = max(1, min(len(self._running), lines // 2 - 3))
        cells = self._cells(lines - runs - 4)
        above: list[Table | Text] = [cells, Text()] if cells else []
        return Group(*above, *([self._runs_table(runs)] if self._running else []), self._bar())

    def _cells(self, lines: int) -> Table | None:
        """The table of cells, of so many lines."""
        if self._board is None or lines < 4:
            return None
        cells = list(self._board.cells)
        hidden = 0
        room = lines - 2  # below the heads
        if len(cells) > room:
            hidden = len(cells) - (room - 1)
            latest = sorted(range(len(cells)), key=lambda number: -cells[number].touched)[: room - 1]
            cells = [cells[number] for number in sorted(latest)]
        others = any(cell.others for cell in cells)
        table = _table("cell", "done", f"{SCORES[self._score]} accuracy", *(["not in the mean"] if others else []))
        for cell in cells:
            texts = [", ".join(f"{number} {how}" for how, number in cell.others.items())] if others else []
            table.add_row(cell.name, f"{len(cell.accuracies)}/{cell.runs}", cell.mean, *texts)
        if hidden:
            table.add_row(Text(f"and {counted(hidden, 'more cell')}", style="dim"))
        return table

    def _runs_table(self, lines: int) -> Table:
        table = _table("running", "epoch", "validation", "time")
        for number in self._running[-lines:]:
            run = self._jobs[number]
            label = self._board.jobs[number].label if self._board else run.label
            table.add_row(
                label + (f" (waiting for {run.waits_for})" if run.waits_for else ""),
                f"{run.epoch}/{run.epochs}" if run.epochs else f"{run.epoch}",
                "" if run.val_acc is None else f"{100 * run.val_acc:.2f} %",
                duration(time.monotonic() - run.started),
            )
        return table

    def _bar(self) -> Table:
        """How far all of it is, in a bar and in words."""
        ended, total = self._done + self._failed, self._total
        running = map(self._jobs.__getitem__, self._running)
        part = sum(job.open * job.epoch / job.epochs for job in running if job.epochs)
        line = Table.grid(padding=(0, 1))
        line.add_column()
        line.add_column(no_wrap=True, overflow="ellipsis")
        before = self._before
        line.add_row(
            ProgressBar(total=before + total, completed=before + ended + part, width=BAR_LETTERS), self._summary()
        )
        return line

    def _summary(self) -> Text:
        ended, total = self._done + self._failed, self._total
        parts = [f"{self._before + self._done} of {self._before + total} done"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        if ended < total:
            parts.append(f"{self._at_once} at once" if self._running or ended else "starting")
        running = [self._jobs[number] for number in self._running]
        rows = zip(self._jobs, self._board.jobs, strict=True) if self._board else ()
        expected = {job.cell: row.seconds for job, row in rows if row.seconds is not None}
        left = time_left(self._jobs, running, self._at_once, time.monotonic(), expected)
        if left is not None and ended < total:
            parts.append(f"about {duration(left)} left")
        return Text(", ".join(parts), style="dim")


def _results(finished: Sequence[Mapping[str, Any]], score: str) -> str:
    """What the runs of a job came to: `done, test 90.50 %`, of several `3 done, 1 collapsed, mean test 90.50 %`."""
    statuses = [event.get("status", "done") for event in finished]
    accuracies = [event[score] for event in finished if event.get(score) is not None]
    if len(finished) > 1:
        counts = Counter(status.partition(",")[0] for status in statuses)
        statuses = [f"{number} {status}" for status, number in counts.items()]
    mean = f"mean {SCORES[score]}" if len(accuracies) > 1 else SCORES[score]
    return ", ".join([*statuses, *([f"{mean} {100 * fmean(accuracies):.2f} %"] if accuracies else [])])


def _table(first: str, *others: str) -> Table:
    """A table of lines that are never broken: the first column is cut where there is no room."""
    table = grid()
    table.add_column(first, no_wrap=True, overflow="ellipsis", min_width=10)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True, overflow="ellipsis")
    return table


def labels(overrides: Sequence[Sequence[str]]) -> list[str]:
    """For each job, those of its overrides in which it differs from the others, and of a group `seeds=0-7`."""
    overrides = [_with_seeds(job) for job in overrides]
    first = set(overrides[0]) if overrides else set()
    varied = {"seeds", *(key(override) for job in overrides for override in set(job) ^ first)}
    own = [" ".join(override for override in job if key(override) in varied) for job in overrides]
    return [label or f"job {number}" for number, label in enumerate(own, 1)]


def _with_seeds(job: Sequence[str]) -> list[str]:
    """The overrides of a job, those of a group's seeds as one."""
    together = [override for override in job if key(override) == "together"]
    if not together:
        return list(job)
    seeds = seeds_text([int(seed) for seed in together[0].partition("=")[2].strip("[]").split(",")])
    return [f"seeds={seeds}" if key(override) == "seed" else override for override in job if override not in together]


def seeds_text(seeds: Sequence[int]) -> str:
    """Ascending seeds, in brief: 0-3,7."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
