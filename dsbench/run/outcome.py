"""How a run ended whose process is gone without a word, in the run's record as in what the sweep shows."""

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
    """A job's process ended without saying how the job did, or was made to end."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended)
        self.ended = ended

    def __str__(self) -> str:
        return self.ended.reason


def recorded_end(folder: Path, ended: Ended, since: str) -> Ended:
    """What the run in `folder` has recorded of an end not before `since`, else `ended`, which goes into its record.

    A record that says `running` is mended, unless somebody has the run. One that cannot be written, on a full disk, or
    read, stays.
    """
    with suppress(OSError, ValueError, InputError), locked_if_free(folder) as free:
        record = RunFolder(folder).end_record(Status(ended.status), ended.reason) if free else None
        if record is not None and (record.finished or "") >= since:
            return Ended(record.status, record.error or ended.reason)
    return ended
