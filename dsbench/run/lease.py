"""Who has a run's folder, for processes of several machines: numbered files, of which the highest counts.

A lease is taken by creating the file after the highest, which of several processes one alone can do, on network file
systems too. It is alive while its owner's process is there (seen from the same host), or while its file is renewed
(from another). Numbers only rise, so that whoever was taken over can tell.
"""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from dsbench.run.owner import Owner

RENEW_SECONDS = 10.0
DEAD_SECONDS = 60.0  # without renewal, seen from another host
_NAME = re.compile(r"\.lease-([0-9]+)")
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the first goes on while the machine sleeps


class LostLeaseError(Exception):
    """Another process has taken the run over while this one stood still."""


@dataclass(frozen=True)
class Lease:
    """A lease as found in a folder; `owner` is None before it is written, `renewed` 0 once it is given back."""

    number: int
    owner: Owner | None
    renewed: float

    def given_back(self) -> bool:
        """Whether its owner has no more use for it."""
        return self.renewed == 0

    def alive(self, now: float, host: str) -> bool:
        """Whether somebody has it at the time `now`, asked on `host`."""
        if self.given_back():
            return False
        if self.owner is not None and self.owner.host == host:
            return self.owner.runs()
        return now - self.renewed < DEAD_SECONDS


def latest(folder: Path) -> Lease | None:
    """The lease that counts in `folder`, None where there never was one."""
    while (number := _highest(folder)) is not None:
        with suppress(FileNotFoundError), open(_path(folder, number), encoding="utf-8") as file:
            # Of an open file, since a network file system may remember an older time of one that is not.
            return Lease(number, _owner(file.read()), os.fstat(file.fileno()).st_mtime)
    return None


def claim(folder: Path, after: Lease | None, owner: Owner) -> Held | None:
    """Take the lease that follows `after`; None where another process was quicker. Removes those before."""
    number = after.number + 1 if after else 1
    try:
        descriptor = os.open(_path(folder, number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return None
    try:
        os.write(descriptor, json.dumps(asdict(owner)).encode())
    except BaseException:
        _path(folder, number).unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    if _highest(folder) != number:  # `after` was long past
        _path(folder, number).unlink(missing_ok=True)
        return None
    for earlier in _numbers(folder):
        if earlier < number:
            _path(folder, earlier).unlink(missing_ok=True)
    return Held(folder, number)


class Held:
    """A lease of this process, renewed by a thread until it is given back."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number
        self._confirmed, self._over = time.clock_gettime(_CLOCK), threading.Event()
        self._thread = threading.Thread(target=self._renew, name="dsbench-lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise LostLeaseError where the lease is not this process's any more; quick where that cannot be."""
        if time.clock_gettime(_CLOCK) - self._confirmed > DEAD_SECONDS / 2:
            self.confirm()

    def confirm(self) -> None:
        """Renew the lease. Raises LostLeaseError where it is not this process's any more."""
        found = latest(self.folder)
        if found is None or found.number != self.number:
            who = found.owner if found else None
            raise LostLeaseError(f"{who or 'another process'} has taken this run over while this process stood still")
        os.utime(_path(self.folder, self.number))
        self._confirmed = time.clock_gettime(_CLOCK)

    def give_back(self) -> None:
        """End the lease, where it is still this process's; the file stays, since numbers only rise."""
        self._over.set()
        self._thread.join()
        with suppress(FileNotFoundError):
            os.utime(_path(self.folder, self.number), (0, 0))

    def _renew(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            try:
                self.confirm()
            except LostLeaseError:
                self._confirmed = float("-inf")  # the next check raises it where it can be heard
                return
            except OSError:
                pass  # a network file system that is away for a moment


def clock(folder: Path) -> float:
    """The time by the clock of the file system that `folder` lies on, which may not be this machine's."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


def in_use(folder: Path) -> bool:
    """Whether a process has the run in `folder`; writes nothing, so that renewal is judged by this machine's clock."""
    found = latest(folder)
    return found is not None and found.alive(time.time(), socket.gethostname())


def _owner(text: str) -> Owner | None:
    try:
        return Owner(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _numbers(folder: Path) -> list[int]:
    return [int(match[1]) for entry in os.scandir(folder) if (match := _NAME.fullmatch(entry.name))]


def _highest(folder: Path) -> int | None:
    return max(_numbers(folder), default=None)


def _path(folder: Path, number: int) -> Path:
    return folder / f".lease-{number}"
