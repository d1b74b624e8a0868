"""Who may write to a run's folder: one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def locked(folder: Path, waiting: Callable[[Path], None]) -> Iterator[None]:
    """Hold the lock of the run in `folder`, after whoever has it at this moment; a killed process holds none.

    `waiting` is called with `folder` where somebody has it.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting(folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_if_free(folder: Path) -> Iterator[bool]:
    """Hold the lock of the run in `folder` unless somebody has it; yields whether nobody has.

    A folder without a lock file, which nobody has ever had, stays without.
    """
    if not (folder / ".lock").exists():
        yield True
        return
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
