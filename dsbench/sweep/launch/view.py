"""What a sweep shows while it runs: the running cells in a terminal, a line an event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dsbench.config.hydra_internals import returned_value
from dsbench.config.overrides import key
from dsbench.console import redraws, terminal
from dsbench.errors import first_line
from dsbench.numerals import counted, duration


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
class _Run:
    label: str
    cell: Hashable
    started: float = 0.0
    took: float | None = None
    epochs: int | None = None
    epoch: int = 0
    val_acc: float | None = None
    finished: Mapping[str, Any] = field(default_factory=dict)
    log: str | None = None
    waits_for: str | None = None


class View(Lines):
    """Shows jobs that send events while they run."""

    def __init__(
        self,
        labels: Sequence[str],
        cells: Sequence[Hashable],
        at_once: int,
        threads: int,
        console: Console | None = None,
    ) -> None:
        """`at_once` jobs run at a time, each on `threads` threads; those of equal `cells` differ in their seeds."""
        super().__init__(labels, console)
        self._at_once, self._threads = at_once, threads
        self._runs = [_Run(label, cell) for label, cell in zip(labels, cells, strict=True)]
        self._running: list[int] = []
        self._failed = 0
        self._live: Live | None = None
        self._open = ExitStack()

    def __enter__(self) -> View:
        if redraws(self.console) and self._runs:
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
        self._runs[number].started = time.monotonic()
        self._print_unless_live(number, "started")

    def heard(self, number: int, event: Mapping[str, Any]) -> None:
        """A job has sent an event (see dsbench.sweep.launch.worker)."""
        run = self._runs[number]
        run.waits_for = event.get("owner")
        if run.waits_for:
            self._print_unless_live(number, f"waits for {run.waits_for}, which trains it")
        if event["kind"] == "started":
            run.epochs, run.log = event["epochs"], event["log"]
        elif event["kind"] == "epoch":
            run.epoch, run.val_acc = event["epoch"], event["val_acc"]
        elif event["kind"] == "finished":
            run.finished = event

    def ended(self, number: int, job: JobReturn, again: bool) -> None:
        """A job's process has ended; `again` when it is started again."""
        self._running.remove(number)
        run = self._runs[number]
        if job.status != JobStatus.COMPLETED:
            where = f"; log: {run.log}" if run.log else ""
            self._print(number, f"{'tried again' if again else 'failed'}: {first_line(returned_value(job))}{where}")
            self._failed += not again
            return
        self._done += 1
        run.took = time.monotonic() - run.started
        status, accuracy = run.finished.get("status", "done"), run.finished.get("test_acc")
        tested = "" if accuracy is None else f"test {100 * accuracy:.2f} %, "
        self._print_unless_live(number, f"{status}, {tested}{duration(run.took)}")

    def refresh(self) -> None:
        """Draw the screen again, where there is one."""
        if self._live is not None:
            self._live.update(self._screen(), refresh=True)

    def _print_unless_live(self, number: int, what: str) -> None:
        if self._live is None:
            self._print(number, what)

    def _print(self, number: int, what: str) -> None:
        place = f"[{self._done + self._failed + len(self._running)}/{len(self._runs)}]"
        self.console.print(f"{place} {self._runs[number].label}: {what}", soft_wrap=True)

    def _screen(self) -> Group:
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("running", overflow="fold", ratio=1)
        for name in ("epoch", "validation", "time"):
            table.add_column(name, justify="right")
        for number in self._running:
            run = self._runs[number]
            table.add_row(
                run.label + (f" (waiting for {run.waits_for})" if run.waits_for else ""),
                f"{run.epoch}/{run.epochs}" if run.epochs else f"{run.epoch}",
                "" if run.val_acc is None else f"{100 * run.val_acc:.2f} %",
                duration(time.monotonic() - run.started),
            )
        return Group(table, self._summary())

    def _summary(self) -> Text:
        ended, total = self._done + self._failed, len(self._runs)
        parts = [f"{self._done} of {total} done"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        parts.append(f"{self._at_once} at once, {counted(self._threads, 'thread')} each")
        left = self._seconds_left()
        if left is not None and ended < total:
            parts.append(f"about {duration(left)} left")
        return Text(", ".join(parts), style="dim")

    def _seconds_left(self) -> float | None:
        """What the runs that are done, and the epochs of those that run, say of the others; None before the first."""
        now = time.monotonic()
        running = [self._runs[number] for number in self._running]
        took: dict[Hashable, list[float]] = {}
        for run in self._runs:
            if run.took is not None:
                took.setdefault(run.cell, []).append(run.took)
        for run in running:
            if run.epoch and run.epochs and run.cell not in took:
                took[run.cell] = [(now - run.started) * max(1.0, run.epochs / run.epoch)]
        spent = [(run.cell, now - run.started) for run in running]
        unstarted = [(run.cell, 0.0) for run in self._runs if not run.started]
        return seconds_left(took, spent + unstarted, self._at_once)


def seconds_left(
    took: Mapping[Hashable, Sequence[float]], spent: Sequence[tuple[Hashable, float]], at_once: int
) -> float | None:
    """Seconds that runs still take, `at_once` at a time, by what others of their cells `took`; None where none did.

    `spent` is the cell of each run and the seconds that it has had. A run of a cell that none has ended of takes the
    mean of the cells.
    """
    if not took:
        return None
    means = {cell: fmean(seconds) for cell, seconds in took.items()}
    left = [max(0.0, means.get(cell, fmean(means.values())) - had) for cell, had in spent]
    return max(max(left, default=0.0), sum(left) / at_once)


def labels(overrides: Sequence[Sequence[str]]) -> list[str]:
    """For each job, those of its overrides in which it differs from the others."""
    first = set(overrides[0]) if overrides else set()
    varied = {key(override) for job in overrides for override in set(job) ^ first}
    own = [" ".join(override for override in job if key(override) in varied) for job in overrides]
    return [label or f"job {number}" for number, label in enumerate(own, 1)]
