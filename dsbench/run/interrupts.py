"""Requests to stop, by a signal or a time limit: exceptions, so that a run can close its files first."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType

PATIENCE_SECONDS = 2.0
GRACE_SECONDS = 5.0  # between asking a run, or a process, to end and ending it
EXIT_CODE = 124  # of a run that takes too long, as of timeout(1)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The process was asked to stop by a signal; not an Exception, so that nothing takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number
        self.so_far = ""  # what of a sweep was done by then


_request: BaseException | None = None  # the last within interruptible()
_held_back: BaseException | None = None  # what came within deferred()
_deferred = _cooperative = False
_reminder: threading.Timer | None = None  # sends a signal that came within cooperative() again


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, SIGINT, SIGTERM and SIGHUP raise Interrupted; outside the main thread this does nothing.

    A signal that somebody else handles, as submitit does, stays theirs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _request
    ours = [number for number in _SIGNALS if signal.getsignal(number) in _REPLACED]
    before = {number: signal.signal(number, _interrupt) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if _interrupt not in before.values():
            _request = None


@contextmanager
def deferred() -> Iterator[None]:
    """Within, for what must not be left half-done, a request to stop waits for the end. In the main thread alone."""
    global _deferred, _held_back
    _deferred, _held_back = True, None
    try:
        yield
    finally:
        _deferred = False
        if _held_back is not None:
            raise _held_back


@contextmanager
def cooperative() -> Iterator[None]:
    """Within, a request to stop waits for the next `raise_if_asked_to_stop`, PATIENCE_SECONDS at the longest."""
    global _cooperative, _reminder
    _cooperative = True
    try:
        yield
    finally:
        _cooperative = False
        if _reminder is not None:
            _reminder.cancel()
            _reminder = None


def stop_request() -> BaseException | None:
    """The exception to raise where this process was asked to stop, None where it was not."""
    return _request


def raise_if_asked_to_stop() -> None:
    """Raise the request to stop, whether it waits or was raised before and lost.

    What is raised while Python clears up an object, or in a function that C code calls, can be printed and forgotten,
    and some libraries catch everything while they are imported. Long loops call this from time to time.
    """
    if _request is not None:
        raise _request


def _stop(request: BaseException, number: int) -> None:
    """Raise `request`, at the next good moment, in the handler of the signal `number`, which is sent again by then."""
    global _request, _held_back, _reminder
    _request = request
    if _deferred:
        _held_back = request
    elif _cooperative and _reminder is None:
        _reminder = threading.Timer(PATIENCE_SECONDS, os.kill, (os.getpid(), number))
        _reminder.daemon = True
        _reminder.start()
    else:
        raise request


def _interrupt(number: int, frame: FrameType | None) -> None:
    _stop(Interrupted(number), number)


_REPLACED = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, _interrupt, None)


class TimedOut(BaseException):
    """The run's time is over; not an Exception, so that nothing takes it for a failure of its own."""


def reason(seconds: float) -> str:
    """What the record of a run says that took longer than `seconds`."""
    return f"ran longer than timeout={seconds:g} s"


class Limit:
    """Within, the run has `seconds`, without end where that is None.

    Then the stacks of all threads go into the files `logs` and TimedOut is asked for in the main thread, as by a
    signal. A process that is still within after GRACE_SECONDS more calls `last_words` and exits with 124. Where not
    even a thread of Python can run, since C code holds the interpreter's lock, it ends after as long again without more
    words, the stacks in the first of the files.
    """

    def __init__(self, seconds: float | None, logs: Sequence[Path], last_words: Callable[[], object]) -> None:
        self.seconds, self.logs, self.last_words = seconds, logs, last_words
        self._over = threading.Event()
        self._training = True

    def __enter__(self) -> Limit:
        if self.seconds is not None:
            self._stacks = [log.open("a", encoding="utf-8") for log in self.logs]
            if threading.current_thread() is threading.main_thread():
                self._before = signal.signal(signal.SIGALRM, self._raise)
            faulthandler.dump_traceback_later(self.seconds + 2 * GRACE_SECONDS, exit=True, file=self._stacks[0])
            self._thread = threading.Thread(target=self._watch, name="dsbench-timeout", daemon=True)
            self._thread.start()
        return self

    def trained(self) -> None:
        """Raise TimedOut no more: what comes now is to be written whole."""
        self._training = False

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        global _request
        if self.seconds is not None:
            self._over.set()
            self._thread.join()
            faulthandler.cancel_dump_traceback_later()
            if isinstance(_request, TimedOut):  # a run that was done just then
                _request = None
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGALRM, self._before)
            for file in self._stacks:
                file.close()

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self._training:
            assert self.seconds is not None
            _stop(TimedOut(reason(self.seconds)), number)

    def _watch(self) -> None:
        assert self.seconds is not None
        if self._over.wait(self.seconds):
            return
        for file in self._stacks:
            faulthandler.dump_traceback(file, all_threads=True)
        os.kill(os.getpid(), signal.SIGALRM)
        if self._over.wait(GRACE_SECONDS):
            return
        try:
            self.last_words()
            os.write(2, f"error: {reason(self.seconds)}\n".encode())
        finally:
            os._exit(EXIT_CODE)
