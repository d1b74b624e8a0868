"""What has become of a run whose process is gone without a word, in the run's record as in what the sweep shows."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dsbench.errors import InputError
from dsbench.run import interrupts
from dsbench.run.folder import RunFolder
from dsbench.run.lock import locked_if_free
from dsbench.run.record import Status


@dataclass(frozen=True)
class Begun:
    """A run that has begun, now, with so many seconds to go; `folder` is None until it has come to its own."""

    folder: Path | None
    timeout_seconds: float | None
    _since: float = field(default_factory=time.monotonic)

    @property
    def backstop_seconds(self) -> float | None:
        """Seconds after which it has had every chance to end by itself."""
        return None if self.timeout_seconds is None else self.timeout_seconds + 3 * interrupts.GRACE_SECONDS

    def late(self) -> bool:
        """Whether its time is over."""
        return self.timeout_seconds is not None and time.monotonic() - self._since > self.timeout_seconds


@dataclass(frozen=True)
class Fate:
    """The status that the run's record has now, and the reason, in a line."""

    status: str
    reason: str


class ProcessDiedError(RuntimeError):
    """A job's process ended without saying how the job did, or was made to end."""

    def __init__(self, fate: Fate) -> None:
        super().__init__(fate)
        self.fate = fate

    def __str__(self) -> str:
        return self.fate.reason


def fate(exitcode: int, run: Begun) -> Fate:
    """What ended the process, or what the run itself has recorded of its end."""
    found = (
        Fate("timeout", interrupts.reason(run.timeout_seconds or 0)) if run.late() else Fate("killed", how(exitcode))
    )
    return found if run.folder is None else recorded(run.folder, found)


def recorded(folder: Path, found: Fate, since: str = "") -> Fate:
    """What the run in `folder` has recorded of an end not before `since`, else `found`, which goes into its record.

    A record that says `running` is mended, unless somebody has the run. One that cannot be written, on a full disk, or
    read, stays.
    """
    with suppress(OSError, ValueError, InputError), locked_if_free(folder) as free:
        record = RunFolder(folder).end_record(Status(found.status), found.reason) if free else None
        if record is not None and (record.finished or "") >= since:
            return Fate(record.status, record.error or found.reason)
    return found


def how(exitcode: int) -> str:
    """What ended a process that returned nothing; `exitcode` is negative for the number of a signal."""
    if exitcode == -signal.SIGKILL:
        return "killed by SIGKILL, as the system does for want of memory"
    if exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"its process ended with exit code {exitcode}"
