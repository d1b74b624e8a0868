"""A roofline as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dsbench.roofline.rows import OVERHEAD, Measured, Roofline
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


def _row(row: Measured) -> dict[str, Any]:
    return asdict(row) | {"bound": row.bound, "efficiency": row.efficiency, "intensity": row.intensity}
