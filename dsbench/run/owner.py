"""A process by what tells it from every other one, on its machine and elsewhere, now and later."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache

_START_TOLERANCE_SECONDS = 2.0  # a process's start is known to the second or so: the system's clock is adjusted


@dataclass(frozen=True)
class Owner:
    """A process; `started` is when it was, in seconds since 1970, since ids are used again."""

    host: str
    pid: int
    started: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def runs(self) -> bool:
        """Whether the process is there, asked on its own host."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _START_TOLERANCE_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def this_process(host: str | None = None) -> Owner:
    """This process, on this host unless another is named."""
    return Owner(host or socket.gethostname(), os.getpid(), _started(os.getpid()))


@cache
def _started(pid: int) -> float:
    import psutil

    return psutil.Process(pid).create_time()
