"""Who may write to a run's folder: one process at a time, on one machine or on several that share a file system.

Two things say who. A lock of the operating system, which ends with its process however that ends, is the truth on one
machine; whether other machines see it is up to the file system. A lease (see dsbench.run.lease) is what all machines
see, and what names the owner.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from dsbench.run.lease import Held, Lease, claim, clock, latest
from dsbench.run.owner import Owner, this_process

_POLL_SECONDS = 0.1


@contextmanager
def locked(folder: Path, waiting: Callable[[Path, Owner | None], None], host: str | None = None) -> Iterator[Held]:
    """Hold the lock of the run in `folder`, after whoever has it at this moment; a dead process holds none.

    `waiting` is called with `folder` and, where that is known, the owner, where somebody has it. `host` is this one's
    name, where it is not the system's. What is yielded raises LostLeaseError, when asked, where another host has taken
    this process for dead.
    """
    door = _Door(folder, this_process(host))
    try:
        held = door.enter()
        if held is None:
            waiting(folder, door.owner())
        while held is None:
            time.sleep(_POLL_SECONDS)
            held = door.enter()
        try:
            yield held
        finally:
            held.give_back()
    finally:
        door.close()


@contextmanager
def locked_if_free(folder: Path, host: str | None = None) -> Iterator[bool]:
    """Hold the lock of the run in `folder` unless somebody has it; yields whether nobody has.

    A folder without a lock file, which nobody has ever had, stays without.
    """
    if not (folder / ".lock").exists():
        yield True
        return
    door = _Door(folder, this_process(host))
    try:
        held = door.enter()
        try:
            yield held is not None
        finally:
            if held is not None:
                held.give_back()
    finally:
        door.close()


class _Door:
    """The way of one process into a run's folder."""

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
