"""The end of a run that takes too long: asked for first, then made, whatever the run is stuck in."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType

from dsbench.errors import InputError
from dsbench.run.signals import ask, forget

GRACE_SECONDS = 5.0  # between asking a run, or a process, to end and ending it
EXIT_CODE = 124  # as of timeout(1)


class TimedOut(BaseException):
    """The run's time is over; not an Exception, so that nothing takes it for a failure of its own."""


def reason(seconds: float) -> str:
    """What the record of a run says that took longer than `seconds`."""
    return f"ran longer than timeout={seconds:g} s"


def check(seconds: float | None) -> None:
    """Raise InputError for a time that is none."""
    if seconds is not None and not 0 < seconds < threading.TIMEOUT_MAX:
        raise InputError(f"timeout {seconds:g} is not a positive number of seconds; null means no limit")


class Limit:
    """Within, the run has `seconds`, without end where that is None.

    Then the stacks of all threads go into the file `log` and TimedOut is asked for in the main thread, as by a signal.
    A process that is still within after GRACE_SECONDS more calls `last_words` and exits with 124. Where not even a
    thread of Python can run, since C code holds the interpreter's lock, it ends after as long again without more words.
    """

    def __init__(self, seconds: float | None, log: Path, last_words: Callable[[], object]) -> None:
        self.seconds, self.log, self.last_words = seconds, log, last_words
        self._over = threading.Event()
        self._training = True

    def __enter__(self) -> Limit:
        if self.seconds is not None:
            self._stacks = self.log.open("a", encoding="utf-8")
            if threading.current_thread() is threading.main_thread():
                self._before = signal.signal(signal.SIGALRM, self._raise)
            faulthandler.dump_traceback_later(self.seconds + 2 * GRACE_SECONDS, exit=True, file=self._stacks)
            self._thread = threading.Thread(target=self._watch, name="dsbench-timeout", daemon=True)
            self._thread.start()
        return self

    def trained(self) -> None:
        """Raise TimedOut no more: what comes now is to be written whole."""
        self._training = False

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self.seconds is not None:
            self._over.set()
            self._thread.join()
            faulthandler.cancel_dump_traceback_later()
            forget(TimedOut)  # a run that was done just then
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGALRM, self._before)
            self._stacks.close()

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self._training:
            assert self.seconds is not None
            ask(TimedOut(reason(self.seconds)), number)

    def _watch(self) -> None:
        assert self.seconds is not None
        if self._over.wait(self.seconds):
            return
        faulthandler.dump_traceback(self._stacks, all_threads=True)
        os.kill(os.getpid(), signal.SIGALRM)
        if self._over.wait(GRACE_SECONDS):
            return
        try:
            self.last_words()
            os.write(2, f"error: {reason(self.seconds)}\n".encode())
        finally:
            os._exit(EXIT_CODE)
