"""How a run has ended whose process did not record it, for the run's record and for what a sweep shows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dsbench.errors import InputError
from dsbench.run.folder import RunFolder
from dsbench.run.lock import locked_if_free
from dsbench.run.record import Status


@dataclass(frozen=True)
class Ended:
    """The status that the run's record has now, and the reason, in a line."""

    status: str
    reason: str


class ProcessDiedError(RuntimeError):
    """A job's process has died, or was killed, before it returned a result."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended)
        self.ended = ended

    def __str__(self) -> str:
        return self.ended.reason


def recorded_end(folder: Path, ended: Ended, since: str) -> Ended:
    """The end that the run in `folder` has recorded, if it is not before `since`; otherwise `ended`.

    `ended` is written into a record that says `running`, unless a process has the run. A record that cannot be read, or
    written, on a full disk, stays as it is.
    """
    with suppress(OSError, ValueError, InputError), locked_if_free(folder) as free:
        record = RunFolder(folder).end_record(Status(ended.status), ended.reason) if free else None
        if record is not None and (record.finished or "") >= since:
            return Ended(record.status, record.error or ended.reason)
    return ended
