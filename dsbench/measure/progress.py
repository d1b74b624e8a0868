"""What measuring shows in a terminal: one line with a bar, which moves between measurements alone.

A bar that moved within them would take time from the cores that are measured.
"""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import AbstractContextManager
from textwrap import shorten

from dsbench.numerals import duration

STEPS = 4  # of a repeat: two latencies, the training step, its memory
ROOFLINE_STEPS = 2  # the rates of the device, the layers
_BAR = 20  # letters


class Measuring(AbstractContextManager["Measuring"]):
    """Shows the beginning of each of so many `steps`, of which there may be fewer, on standard error.

    Nothing is shown where that is no terminal. `within` is the seconds that all of it takes at the most.
    """

    def __init__(self, steps: int, within: float | None = None) -> None:
        self._steps, self._begun, self._start, self._within = steps, 0, time.monotonic(), within

    def __enter__(self) -> Measuring:
        self._show("starting")
        return self

    def __call__(self, what: str) -> None:
        """The measurement called `what` begins."""
        self._show(what)
        self._begun += 1

    def _show(self, what: str) -> None:
        done = min(_BAR, _BAR * self._begun // self._steps)
        left = ""
        if self._within is not None:
            seconds = max(0.0, self._within - (time.monotonic() - self._start))
            left = f"at most {duration(seconds)} left, "
        self._write(f"[{'#' * done}{'-' * (_BAR - done)}] {left}{what}")

    def __exit__(self, *error: object) -> None:
        self._write("")

    def _write(self, line: str) -> None:
        """The line in place of the last one; what others print begins at its start."""
        if sys.stderr.isatty():
            columns = shutil.get_terminal_size().columns
            sys.stderr.write(f"\r\x1b[K{shorten(line, columns - 1, placeholder=' ...')}\r")
            sys.stderr.flush()
