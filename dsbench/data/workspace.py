"""A place to make a cache folder in, so that it appears complete or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from dsbench.data.request import Report
from dsbench.errors import InputError


@contextmanager
def workspace(folder: Path, report: Report) -> Iterator[Path]:
    """A new folder beside ``folder``, for what is to become it; one process at a time has one, and it goes afterwards.

    What interrupted preparations left is removed on the way in; on the way out, so are new folders left empty. Raises
    InputError when the place cannot be written.
    """
    parent = folder.parent
    new = [above for above in (parent, *parent.parents) if not above.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(parent / f".{folder.name}.lock", report)
    except OSError as error:
        raise InputError(f"the data root cannot be written: {error}") from error
    try:
        for leftover in parent.glob(f".{folder.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=parent))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        with suppress(OSError):
            os.unlink(lock.lock_file)  # while it is held: whoever waits for it sees that it is gone and starts over
        lock.release()
        with suppress(OSError):  # the first that is not empty ends it
            for above in new:
                above.rmdir()


def _locked(path: Path, report: Report) -> FileLock:
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        report("waiting for another process that prepares it", None)
        lock.acquire()
    return lock
