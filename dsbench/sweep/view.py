"""What a sweep shows while it runs: the running cells in a terminal, a line an event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dsbench.config.overrides import key
from dsbench.console import terminal
from dsbench.errors import first_line
from dsbench.numerals import counted, duration
from dsbench.sweep.launch.workers import Slots


@dataclass
class _Run:
    label: str
    started: float = 0.0
    epochs: int | None = None
    epoch: int = 0
    val_acc: float | None = None
    outcome: dict[str, Any] = field(default_factory=dict)
    log: str | None = None
    waits_for: str | None = None


class View:
    """The jobs of one launch; `overrides` are theirs, in order."""

    def __init__(self, overrides: Sequence[Sequence[str]], slots: Slots, console: Console | None = None) -> None:
        self.console, self.slots = console or terminal(), slots
        self._runs = [_Run(label) for label in labels(overrides)]
        self._running: list[int] = []
        self._done = self._failed = 0
        self._begun = time.monotonic()
        self._live: Live | None = None
        self._open = ExitStack()

    def __enter__(self) -> View:
        if self.console.is_terminal and self._runs:
            self._live = Live(self._screen(), console=self.console, auto_refresh=False, transient=True)
            self._open.enter_context(self._live)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def started(self, number: int) -> None:
        """A job's process has begun."""
        self._running.append(number)
        self._runs[number].started = time.monotonic()
        self._line(number, "started")

    def told(self, number: int, event: dict[str, Any]) -> None:
        """A job has told something (see dsbench.sweep.launch.reporter)."""
        run = self._runs[number]
        run.waits_for = event.get("owner")
        if run.waits_for:
            self._line(number, f"waits for {run.waits_for}, which trains it")
        if event["kind"] == "started":
            run.epochs, run.log = event["epochs"], event["log"]
        elif event["kind"] == "epoch":
            run.epoch, run.val_acc = event["epoch"], event["val_acc"]
        elif event["kind"] == "finished":
            run.outcome = event

    def ended(self, number: int, job: JobReturn, again: bool) -> None:
        """A job's process has ended; `again` when it is started anew."""
        self._running.remove(number)
        run = self._runs[number]
        if job.status != JobStatus.COMPLETED:
            where = f"; log: {run.log}" if run.log else ""
            self._say(number, f"{'tried again' if again else 'failed'}: {first_line(job._return_value)}{where}")
            self._failed += not again
            return
        self._done += 1
        accuracy = run.outcome.get("test_acc")
        tested = "" if accuracy is None else f"test {100 * accuracy:.2f} %, "
        self._line(number, f"{run.outcome.get('status', 'done')}, {tested}{duration(time.monotonic() - run.started)}")

    def refresh(self) -> None:
        """Draw the screen anew, where there is one."""
        if self._live is not None:
            self._live.update(self._screen(), refresh=True)

    def _line(self, number: int, what: str) -> None:
        if self._live is None:
            self._say(number, what)

    def _say(self, number: int, what: str) -> None:
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
        parts.append(f"{len(self.slots)} at once, {counted(self.slots.threads, 'thread')} each")
        trained = ended + self._partly()
        if trained and ended < total:
            left = (time.monotonic() - self._begun) / trained * (total - trained)
            parts.append(f"about {duration(left)} left")
        return Text(", ".join(parts), style="dim")

    def _partly(self) -> float:
        """How many runs' worth of epochs the running ones have done."""
        runs = [self._runs[number] for number in self._running]
        return sum(min(1.0, run.epoch / run.epochs) for run in runs if run.epochs)


def labels(overrides: Sequence[Sequence[str]]) -> list[str]:
    """What tells each job from the others, in its own overrides."""
    first = set(overrides[0]) if overrides else set()
    differing = {key(one) for other in overrides for one in set(other) ^ first}
    told = [" ".join(one for one in given if key(one) in differing) for given in overrides]
    return [label or f"job {number}" for number, label in enumerate(told, 1)]
