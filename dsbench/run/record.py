"""What the record of a run can say about how it went, and what follows for the same run asked for again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsbench import provenance

FINAL = ("done", "diverged", "collapsed")  # results
BROKEN = ("failed", "killed", "timeout")  # ended without one, and trained again when asked for


def stale(record: Mapping[str, Any]) -> bool:
    """Whether other code than this made the record."""
    return record.get("source_sha256") != provenance.source_sha256()


def anew(record: Mapping[str, Any], force: bool, rerun: str) -> bool:
    """Whether what the record stands for is trained from the start, instead of taken up or gone on with."""
    return (force and record["status"] in FINAL) or (rerun == "stale" and stale(record))


def stays(record: Mapping[str, Any] | None, force: bool, rerun: str) -> bool:
    """Whether the record holds a result that stays as it is."""
    return record is not None and record["status"] in FINAL and not anew(record, force, rerun)


def width(result: Mapping[str, Any]) -> str:
    """The width of a record, with the fine width where one was set: 16, or 31 (fine 69)."""
    fine = result.get("fine_width")
    return f"{result['width']}" if fine is None else f"{result['width']} (fine {fine})"
