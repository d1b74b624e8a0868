"""Turning a request to stop into an exception, so that a run closes its files and its tracker before it goes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE_SECONDS = 2.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


class Interrupted(BaseException):
    """The process was asked to stop by a signal; not an Exception, so that nothing takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


_asked: BaseException | None = None  # what was last asked for within interruptible()
_held_back: BaseException | None = None  # what was asked for within undisturbed()
_undisturbed = _patient = False
_reminder: threading.Timer | None = None  # the end of patience, once something is asked for


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, SIGINT, SIGTERM and SIGHUP raise Interrupted; outside the main thread this does nothing.

    A signal that somebody else handles, as submitit does, stays theirs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _asked
    ours = [number for number in _SIGNALS if signal.getsignal(number) in _REPLACED]
    before = {number: signal.signal(number, _interrupt) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if _interrupt not in before.values():
            _asked = None


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, for what must not be left half-done, what is asked for waits for the end. In the main thread alone."""
    global _undisturbed, _held_back
    _undisturbed, _held_back = True, None
    try:
        yield
    finally:
        _undisturbed = False
        if _held_back is not None:
            raise _held_back


@contextmanager
def patient() -> Iterator[None]:
    """Within, what is asked for waits for the next `insist`, PATIENCE_SECONDS at the longest."""
    global _patient, _reminder
    _patient = True
    try:
        yield
    finally:
        _patient = False
        if _reminder is not None:
            _reminder.cancel()
            _reminder = None


def asked() -> BaseException | None:
    """What is to be raised since this process was asked to stop, None where it was not."""
    return _asked


def insist() -> None:
    """Raise what was asked for, whether it waits or was raised before and all goes on.

    What is raised while Python clears up an object, or in a function that C code calls, can be printed and forgotten,
    and some libraries catch everything while they are imported. Long loops ask from time to time.
    """
    if _asked is not None:
        raise _asked


def forget(kind: type[BaseException]) -> None:
    """Ask no more for what is of this kind."""
    global _asked
    if isinstance(_asked, kind):
        _asked = None


def ask(request: BaseException, number: int) -> None:
    """Raise `request`, at the next good moment, in the handler of the signal `number`, which is sent again by then."""
    global _asked, _held_back, _reminder
    _asked = request
    if _undisturbed:
        _held_back = request
    elif _patient and _reminder is None:
        _reminder = threading.Timer(PATIENCE_SECONDS, os.kill, (os.getpid(), number))
        _reminder.daemon = True
        _reminder.start()
    else:
        raise request


def _interrupt(number: int, frame: FrameType | None) -> None:
    ask(Interrupted(number), number)


_REPLACED = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, _interrupt, None)
