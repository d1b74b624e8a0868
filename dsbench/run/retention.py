"""Removing the checkpoints of a run that are not needed any more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dsbench.errors import InputError
from dsbench.run.folder import RunFolder
from dsbench.run.lock import locked_if_free
from dsbench.run.record import FINAL, Record

KEEP = ("tested", "best", "last", "none")


@dataclass(frozen=True)
class Spare:
    """The checkpoints of a run that may be removed: `files` of `size` bytes, or none, for the reason in `left`."""

    files: tuple[Path, ...] = ()
    size: int = 0
    left: str | None = None


def spare(folder: RunFolder, keep: str, remove: bool = False) -> Spare:
    """What may be removed where `keep`, one of KEEP, stays; `tested` is best or last, whichever weights were tested.

    With `remove` it is removed. Half-written checkpoints of a killed process count as well. A run that is not final
    keeps all, since it goes on from its checkpoints when asked for again, and so does a run that a process has at this
    moment. Records, metrics and logs are no checkpoints.
    """
    with locked_if_free(folder.path) as free:
        if not free:
            return Spare(left="in use")
        record = _final(folder)
        if record is None:
            return Spare(left="not final")
        kept = _kept(folder, str(record.test_weights) if keep == "tested" else keep)
        files = tuple(path for path in sorted(folder.last.parent.glob("*")) if _checkpoint(path) and path not in kept)
        size = sum(path.stat().st_size for path in files)
        for file in files if remove else ():
            file.unlink()
        return Spare(files, size)


def _kept(folder: RunFolder, keep: str) -> tuple[Path, ...]:
    """The checkpoints that stay; both where it is not certain which weights were tested."""
    return {"best": (folder.best,), "last": (folder.last,), "none": ()}.get(keep, (folder.best, folder.last))


def _final(folder: RunFolder) -> Record | None:
    """The record of a run that has a result, None for any other."""
    try:
        record = folder.result()
    except InputError:
        return None
    return record if record is not None and record.status in FINAL else None


def _checkpoint(path: Path) -> bool:
    """Whether dsbench wrote it: last.ckpt, best.ckpt, a temporary file of theirs, or one that was damaged."""
    name = path.name.removesuffix(".damaged")
    return name in ("last.ckpt", "best.ckpt") or name.startswith((".last.ckpt.", ".best.ckpt."))
