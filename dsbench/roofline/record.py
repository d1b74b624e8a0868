"""A roofline as plain data, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from dsbench.roofline.rows import OVERHEAD, KindRow, LayerRow, Measured, Rates, Roofline
from dsbench.roofline.verdict import verdict


def record(one: Roofline) -> dict[str, Any]:
    """Everything that was measured and follows from it, as JSON can hold it."""
    low, median, high = one.step_ms
    return {
        "rates": asdict(one.rates) | {"flops": one.rates.flops, "ridge": one.rates.ridge},
        "overhead_above": OVERHEAD,
        "batch_size": one.batch_size,
        "steps": one.steps,
        "step_ms": {"lower_quartile": low, "median": median, "upper_quartile": high},
        "busy": one.busy,
        "verdict": verdict(one),
        "total": _row(one.total),
        "kinds": [_row(row) for row in one.kinds],
        "layers": [_row(row) for row in one.layers],
    }


def section(one: Roofline | None, session: str) -> dict[str, Any]:
    """What is added to the record of a run, with the session in which it took turns; empty where there is none."""
    return {} if one is None else {"roofline": record(one) | {"session": session}}


def read(found: Mapping[str, Any], name: str, place: Mapping[str, Any]) -> Roofline:
    """The roofline of which `record` made `found`; `place` names its device, precision and threads.

    Raises KeyError where a key is missing.
    """
    step = found["step_ms"]
    return Roofline(
        name=name,
        batch_size=found["batch_size"],
        device=place["device"],
        precision=place["precision"],
        threads=place["threads"],
        rates=Rates(**_own(Rates, found["rates"])),
        steps=found["steps"],
        step_ms=(step["lower_quartile"], step["median"], step["upper_quartile"]),
        busy=found["busy"],
        layers=tuple(
            LayerRow(**_own(LayerRow, row) | {"output_shape": tuple(row["output_shape"])}) for row in found["layers"]
        ),
        kinds=tuple(KindRow(**_own(KindRow, row)) for row in found["kinds"]),
        total=Measured(**_own(Measured, found["total"])),
    )


def _own(cls: type, found: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: found[field.name] for field in fields(cls)}


def _row(row: Measured) -> dict[str, Any]:
    return asdict(row) | {"bound": row.bound, "efficiency": row.efficiency, "intensity": row.intensity}
