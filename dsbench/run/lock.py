"""Who may write to a run's folder: one process at a time, on one machine or on several that share a file system.

Two things decide it. A lock of the operating system, which ends with its process however that ends, is the truth on one
machine; whether other machines see it is up to the file system. A lease is what all machines see, and what names the
owner: numbered files, of which the highest counts. A lease is taken by creating the file after the highest, which of
several processes only one can do, on network file systems too. It is alive while its owner's process is there (seen
from the same host), or while its file is renewed (from another). Numbers only rise, so that whoever was taken over can
tell.

filelock's SoftFileLease takes a zombie for its living owner, needs to watch another host's lease for its whole
duration before it can say that it is dead, and tells a process that stood still of its loss only at a later heartbeat.
Here a look is enough to know whether a run is in use, and a process asks before it writes.
"""

from __future__ import annotations

import json
import math
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

RENEW_SECONDS = 10.0
DEAD_SECONDS = 60.0  # without renewal, seen from another host
_POLL_SECONDS = 0.1
_BEYOND_PIDS = 2**31
_NAME = re.compile(r"\.lease-([0-9]+)")
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the first goes on while the machine sleeps
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


class LostLeaseError(Exception):
    """Another process has taken the run over while this one stood still."""


@dataclass(frozen=True)
class Lease:
    """A lease in a folder; `owner` is None before it is written, `renewed` 0 once it is given back."""

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
        with suppress(FileNotFoundError), open(_path(folder, number), "rb") as file:
            # Of an open file, since a network file system may remember an older time of one that is not.
            return Lease(number, _owner(file.read()), os.fstat(file.fileno()).st_mtime)
    return None


def claim(folder: Path, after: Lease | None, owner: Owner) -> Held | None:
    """Take the lease that follows `after`; None where another process was quicker. Removes those before."""
    number = after.number + 1 if after else 1
    try:
        descriptor = os.open(_path(folder, number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
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
        last = latest(self.folder)
        if last is None or last.number != self.number:
            who = last.owner if last else None
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
                pass  # a network file system that does not answer for a moment


def clock(folder: Path) -> float:
    """The time by the clock of the file system that `folder` lies on, which may not be this machine's."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


def in_use(folder: Path) -> bool:
    """Whether a process has the run in `folder`, which need not be there.

    It writes nothing, so that renewal is judged by this machine's clock.
    """
    with suppress(FileNotFoundError):
        last = latest(folder)
        return last is not None and last.alive(time.time(), socket.gethostname())
    return False


def _owner(text: bytes) -> Owner | None:
    """Who wrote `text`; None where that is not whole, or no process's."""
    try:
        owner = Owner(**json.loads(text))
        known = isinstance(owner.host, str) and type(owner.pid) is int and 0 < owner.pid < _BEYOND_PIDS
        return owner if known and math.isfinite(owner.started) else None
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None


def _numbers(folder: Path) -> list[int]:
    return [int(match[1]) for entry in os.scandir(folder) if (match := _NAME.fullmatch(entry.name))]


def _highest(folder: Path) -> int | None:
    return max(_numbers(folder), default=None)


def _path(folder: Path, number: int) -> Path:
    return folder / f".lease-{number}"


@contextmanager
def locked(folder: Path, waiting: Callable[[Path, Owner | None], None], host: str | None = None) -> Iterator[Held]:
    """Hold the lock of the run in `folder`, after whoever has it at this moment; a dead process holds none.

    `waiting` is called with `folder` and, where that is known, the owner, where somebody has it. `host` is this one's
    name, where it is not the system's. What is yielded raises LostLeaseError, when asked, where another host has taken
    this process for dead.
    """
    with _entered(folder, host, waiting) as held:
        assert held is not None
        yield held


@contextmanager
def locked_now(folder: Path) -> Iterator[Held | None]:
    """Hold the lock of the run in `folder`, as `locked` does, or None where somebody has it."""
    with _entered(folder) as held:
        yield held


@contextmanager
def locked_if_free(folder: Path, host: str | None = None) -> Iterator[bool]:
    """Hold the lock of the run in `folder` unless somebody has it; yields whether nobody has.

    A folder without a lock file, which nobody has ever had, stays without; of one that cannot be written to nothing is
    held.
    """
    if not (folder / ".lock").exists():
        yield True
    elif not os.access(folder, os.W_OK):
        yield not in_use(folder)
    else:
        with _entered(folder, host) as held:
            yield held is not None


@contextmanager
def _entered(
    folder: Path, host: str | None = None, waiting: Callable[[Path, Owner | None], None] | None = None
) -> Iterator[Held | None]:
    """The lease of the run in `folder`. Where somebody has it: after a wait, told to `waiting`, or None without it."""
    contender = _Contender(folder, this_process(host))
    try:
        held = contender.enter()
        if held is None and waiting is not None:
            waiting(folder, contender.owner())
            while held is None:
                time.sleep(_POLL_SECONDS)
                held = contender.enter()
        if held is None:
            contender.close()
        try:
            yield held
        finally:
            if held is not None:
                held.give_back()
    finally:
        contender.close()


class _Contender:
    """A process that wants a run's folder for itself."""

    def __init__(self, folder: Path, me: Owner) -> None:
        self.folder, self.me = folder, me
        self._lock = FileLock(folder / ".lock")

    def enter(self) -> Held | None:
        """The lease, None where somebody has the run."""
        with suppress(Timeout):
            if not self._lock.is_locked:
                self._lock.acquire(timeout=0)
        last = latest(self.folder)
        if last is not None and last.alive(clock(self.folder), self.me.host):
            return None
        if self._lock.is_locked or self._silent_elsewhere(last):
            return claim(self.folder, last, self.me)
        return None

    def owner(self) -> Owner | None:
        """Who has the run, as far as its lease says."""
        last = latest(self.folder)
        return None if last is None or last.given_back() else last.owner

    def close(self) -> None:
        """Let the next one in."""
        if self._lock.is_locked:
            self._lock.release()

    def _silent_elsewhere(self, last: Lease | None) -> bool:
        """Whether the dead lease `last` was another host's: its system's lock, if seen here, is no sign of life."""
        return last is not None and not last.given_back() and (last.owner is None or last.owner.host != self.me.host)
