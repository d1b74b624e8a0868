"""The life of one run's process: forked from a server that has all imported, ended with the sweep at the latest."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from dsbench.run.interrupts import EXIT_CODE, GRACE_SECONDS, Interrupted, TimedOut

_channel: Connection | None = None
_sending = threading.Lock()


def work(channel: Connection, lifeline: Connection, task: bytes, environment: Mapping[str, str]) -> None:
    """Call the pickled function `task` and send what it returns; `environment` is this process's own.

    `lifeline` closes when the sweep's process ends, however it ends, and this one ends with it.
    """
    global _channel
    os.setsid()  # whatever this process starts is killed with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the sweep, which tells its processes
    os.environ.update(environment)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    _channel = channel
    try:
        result = cloudpickle.loads(task)()
    except Interrupted as error:
        raise SystemExit(128 + error.number) from None  # without a traceback on the sweep's standard error
    except TimedOut:
        raise SystemExit(EXIT_CODE) from None
    with _sending:
        channel.send(("result", cloudpickle.dumps(result)))


def inside() -> bool:
    """Whether this process is one of a sweep's."""
    return _channel is not None


def tell(event: dict[str, Any]) -> None:
    """Send plain data about the run to the sweep, where this is a process of one."""
    if _channel is not None:
        with _sending:
            _channel.send(("event", event))


def _end_with(lifeline: Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:  # a run in training, which checkpoints
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
    os.killpg(os.getpid(), signal.SIGKILL)
