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


_asked: int | None = None  # the last signal that came within interruptible()
_held_back: int | None = None  # one that came within undisturbed()
_undisturbed = False


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, SIGINT, SIGTERM and SIGHUP raise Interrupted; outside the main thread this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _asked
    before = {number: signal.signal(number, _raise) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if _raise not in before.values():
            _asked = None


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, for what must not be left half-done, Interrupted waits for the end. In the main thread alone."""
    global _undisturbed, _held_back
    _undisturbed, _held_back = True, None
    try:
        yield
    finally:
        _undisturbed = False
        if _held_back is not None:
            raise Interrupted(_held_back)


def insist() -> None:
    """Raise Interrupted again where it was raised before and all goes on.

    What is raised while Python clears up an object, or in a function that C code calls, can be printed and forgotten,
    and some libraries catch everything while they are imported. Long loops ask from time to time.
    """
    if _asked is not None:
        raise Interrupted(_asked)


def _raise(number: int, frame: FrameType | None) -> None:
    global _asked, _held_back
    _asked = number
    if not _undisturbed:
        raise Interrupted(number)
    _held_back = number
