"""What is measured of a run after it has ended, added to its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsbench.bench.record import KEYS, PLACE
from dsbench.errors import InputError
from dsbench.run.trained import Trained


def add_to_record(run: Trained, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Write `measured`, as dsbench.bench.record has it, into the record of `run`, in one step; returns the new record.

    What was measured before in the same place stays, its entries joined with the new ones (another batch size, another
    backend); what was measured elsewhere goes, so that measured_on is true of all. Whoever calls it holds the run's
    lock. Raises InputError where the run has been trained anew since it was loaded, so that no measurement comes to
    stand beside another training's result.
    """
    now = run.folder.result()
    if now is None or any(now.get(key) != run.record[key] for key in ("status", "finished")):
        raise InputError(f"the run in {run.folder.path} has been trained anew since it was measured; measure it again")
    if _place(now) != _place(measured):
        now = {key: value for key, value in now.items() if key not in KEYS}
    joined = _joined(now, measured)
    run.folder.write_result(joined)
    return joined


def _place(record: Mapping[str, Any]) -> list[Any]:
    return [record.get("measured_on", {}).get(key) for key in PLACE]


def _joined(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """`old` with the entries of `new`, mappings joined at every depth."""
    both = {
        key: _joined(old[key], value) if isinstance(old.get(key), Mapping) and isinstance(value, Mapping) else value
        for key, value in new.items()
    }
    return {**old, **both}
