"""Turning a request to stop into an exception, so that a run closes its files and its tracker before it goes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


class Interrupted(BaseException):
    """The process was asked to stop by a signal; not an Exception, so that nothing takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


_held_back: list[int] | None = None  # signals that came within undisturbed(), None outside


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, SIGINT, SIGTERM and SIGHUP raise Interrupted; outside the main thread this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _raise) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, for what must not be left half-done, Interrupted waits for the end. In the main thread alone."""
    global _held_back
    _held_back = []
    try:
        yield
    finally:
        came, _held_back = _held_back, None
        if came:
            raise Interrupted(came[0])


def _raise(number: int, frame: FrameType | None) -> None:
    if _held_back is None:
        raise Interrupted(number)
    _held_back.append(number)
