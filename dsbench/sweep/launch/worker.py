"""The process of a job on this machine: forked from a server that has imported everything, ended with the sweep.

A run in it sends the sweep its events, and writes what its process prints into its own log.
"""

from __future__ import annotations

import faulthandler
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import cloudpickle

from dsbench.process import work_in
from dsbench.run.interrupts import GRACE_SECONDS
from dsbench.run.progress import Progress
from dsbench.training.history import Epoch

if TYPE_CHECKING:
    from dsbench.run.lock import Owner
    from dsbench.run.plan import Plan
    from dsbench.run.record import Record

_channel: Connection | None = None
_sending = threading.Lock()


def work(channel: Connection, lifeline: Connection, job: bytes, environment: Mapping[str, str]) -> None:
    """Call the pickled function `job` and send what it returns; `environment` is that of this process alone.

    `lifeline` closes when the sweep's process ends, in whatever way, and this process ends with it.
    """
    global _channel
    os.setsid()  # whatever this process starts is killed with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the sweep, which tells its processes
    work_in(environment)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    _channel = channel
    _send("returned", cloudpickle.dumps(cloudpickle.loads(job)()))


def inside() -> bool:
    """Whether this process is one of a sweep's."""
    return _channel is not None


def tell(event: dict[str, Any]) -> None:
    """Send plain data about the run to the sweep, where this is a sweep's process."""
    if _channel is not None:
        _send("event", event)


def _send(kind: str, content: Any) -> None:
    assert _channel is not None
    with _sending, suppress(BrokenPipeError):  # the sweep has ended, and this process does in a moment
        _channel.send((kind, content))


def _end_with(lifeline: Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:  # a run in training, which checkpoints
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
    os.killpg(os.getpid(), signal.SIGKILL)


def _print_into(path: Path) -> None:
    """Have what this process prints, in C too, go into a file."""
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")  # whatever the terminal's
    faulthandler.enable()


class Reporter(Progress):
    """The view of a run in such a process, of that `seed`: it sends the sweep what a Progress would show.

    The runs of a group have one each.
    """

    _prints_into: ClassVar[Path | None] = None

    def __init__(self, seed: int) -> None:
        super().__init__("none")
        self._seed = seed

    def started(self, plan: Plan, history: list[Epoch]) -> None:
        """From here on what the process prints, a crash's stack included, goes to the log of its first run."""
        if Reporter._prints_into is None:
            Reporter._prints_into = plan.folder.log_file
            _print_into(plan.folder.log_file)
        self._tell(
            {
                "kind": "started",
                "folder": str(plan.folder.path),
                "log": str(plan.folder.log_file),
                "epochs": plan.config.train.max_epochs,
            }
        )

    def waiting(self, folder: Path, owner: Owner | None) -> None:
        """Another sweep trains this run."""
        self._tell({"kind": "waiting", "owner": str(owner or "another process")})

    def epoch(self, row: Epoch) -> None:
        """One epoch."""
        super().epoch(row)
        self._tell({"kind": "epoch", "epoch": row["epoch"], "val_acc": row["val_acc"]})

    def recorded(self, plan: Plan, record: Record) -> None:
        """Another sweep has trained this run."""
        self.finished(plan, record)

    def finished(self, plan: Plan, record: Record) -> None:
        """The result."""
        assert record.result is not None
        accuracies = {name: getattr(record.result, name) for name in ("test_acc", "best_val_acc")}
        self._tell({"kind": "finished", "status": record.ending, **accuracies})

    def _tell(self, event: dict[str, Any]) -> None:
        tell({**event, "seed": self._seed})

    def _print(self, what: Any) -> None:
        """Nothing: the sweep shows it."""
