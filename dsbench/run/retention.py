"""Which checkpoints of a run may go, and their going."""

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
    """What of a run's checkpoints may go: `files` of `size` bytes, or none and the reason in `left`."""

    files: tuple[Path, ...] = ()
    size: int = 0
    left: str | None = None


def spare(folder: RunFolder, keep: str, remove: bool = False) -> Spare:
    """What may go where `keep` stays, one of KEEP; `tested` is best or last, whichever weights were tested.

    With `remove` it is gone. What a kill left half-written may go too. Nothing of a run that is not final, which goes
    on from its checkpoints when asked for again, and nothing of one that a process has at this moment. Records,
    metrics and logs are no checkpoints.
    """
    with locked_if_free(folder.path) as free:
        if not free:
            return Spare(left="in use")
        found = _spare(folder, keep)
        for file in found.files if remove else ():
            file.unlink()
        return found


def _spare(folder: RunFolder, keep: str) -> Spare:
    record = _final(folder)
    if record is None:
        return Spare(left="not final")
    wanted = str(record.test_weights) if keep == "tested" else keep
    kept = {"best": (folder.best,), "last": (folder.last,), "none": ()}.get(wanted, (folder.best, folder.last))
    files = tuple(path for path in sorted(folder.last.parent.glob("*")) if _checkpoint(path) and path not in kept)
    return Spare(files, sum(path.stat().st_size for path in files))


def _final(folder: RunFolder) -> Record | None:
    """The record of a run that is never trained on, None for any other."""
    try:
        record = folder.result()
    except InputError:
        return None
    return record if record is not None and record.status in FINAL else None


def _checkpoint(path: Path) -> bool:
    """Whether dsbench wrote it: last.ckpt, best.ckpt, or the temporary file of one."""
    return path.name in ("last.ckpt", "best.ckpt") or path.name.startswith((".last.ckpt.", ".best.ckpt."))
