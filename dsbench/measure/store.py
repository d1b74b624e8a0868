"""Measurements kept on disk, so that no network is measured twice on one machine in one way.

This module is light: to look up what is kept, nothing that measures need be imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from filelock import FileLock

from dsbench import provenance
from dsbench.errors import InputError
from dsbench.files import write_atomically
from dsbench.measure.timing import Timing

if TYPE_CHECKING:
    from dsbench.training.device import Compute

_PACKAGES = ("dsbench", "torch")


class Identified(Protocol):
    """A network, or what else is measured: equal ones have equal identities."""

    def identity(self) -> dict[str, object]:
        """What it is, as plain data."""


def conditions(network: Identified, what: object, batch: int, compute: Compute) -> dict[str, Any]:
    """All that a timing depends on, as plain data; `what` says what is timed."""
    from dsbench.measure.identity import identity

    return {
        "network": network.identity(),
        "what": what,
        "batch": batch,
        "precision": compute.precision,
        "device": [compute.device.type, compute.name],
        "identity": identity(compute.device.type),
        "threads": compute.threads,
        "versions": {package: version(package) for package in _PACKAGES},
        # Timings that are there know none but channels_last.
        **({} if compute.memory_format == "channels_last" else {"memory_format": compute.memory_format}),
    }


@dataclass(frozen=True)
class Store:
    """Timings in `folder` (`<outputs>/latency`), a JSON file each, named by the hash of their conditions.

    Other facts of networks in other folders (`<outputs>/chips`) are kept alike.
    """

    folder: Path

    def timing(self, under: dict[str, Any], limit_seconds: float, measure: Callable[[], Timing]) -> Timing:
        """The timing recorded under these conditions, else that of `measure`, which is recorded.

        A timing that did not settle is taken anew where `limit_seconds` is more than it had, and so is a damaged one.
        Raises InputError where the folder cannot be written to.
        """
        path = self.path(under)
        timing = _read(path, limit_seconds)
        if timing is None:
            timing = measure()
            self.keep(under, limit_seconds=limit_seconds, timing=asdict(timing))
        return timing

    def kept(self, under: dict[str, Any]) -> dict[str, Any]:
        """What is recorded under these conditions, themselves included; empty where nothing is, or it is damaged."""
        return _entry(self.path(under))

    def path(self, under: dict[str, Any]) -> Path:
        """The file for these conditions."""
        text = json.dumps(under, sort_keys=True, separators=(",", ":"))
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"

    def keep(self, under: dict[str, Any], **facts: Any) -> None:
        """Record `facts`, plain data, under these conditions.

        Raises InputError where the folder cannot be written to.
        """
        entry = under | {"measured": provenance.now(), **facts}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path(under), json.dumps(entry) + "\n")
        except OSError as error:
            raise self._unwritable(error) from None

    @contextmanager
    def locked(self, under: dict[str, Any]) -> Iterator[None]:
        """One process at a time: what another adds between reading what is kept and keeping more would be lost.

        Raises InputError where the folder cannot be written to.
        """
        lock = FileLock(self.path(under).with_suffix(".lock"))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            yield
        finally:
            lock.release()

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(f"cannot write to {self.folder}: {error.strerror}; set outputs= to another folder")


def _read(path: Path, limit_seconds: float) -> Timing | None:
    """The timing in the file at `path`; None where that is missing, damaged or was given too little time."""
    entry = _entry(path)
    try:
        fields = entry["timing"]
        timing = Timing(**fields | {"rounds_ms": tuple(fields["rounds_ms"])})
        valid = timing.median_ms > 0 and (timing.settled or entry["limit_seconds"] >= limit_seconds)
    except (ValueError, KeyError, TypeError):
        return None
    return timing if valid else None


def _entry(path: Path) -> dict[str, Any]:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}
