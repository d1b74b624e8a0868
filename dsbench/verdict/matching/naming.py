"""What groups are called: what their cells have in common, and how they differ from other groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dsbench.verdict.cells import differing
from dsbench.verdict.matching.groups import BUDGET, WIDTH, Group, shape

UNITS = {
    "params": "parameters",
    "macs": "MACs",
    "acts": "activations",
    "latency_ms": "ms a forward pass",
    "train_seconds_per_epoch": "seconds an epoch",
}


def group_names(groups: Sequence[Group]) -> list[str]:
    """A name for each, such as "7,800 parameters" or "equal width 16"; no two are the same."""
    wide = [group for group in groups if group.by == WIDTH]
    told = [name for name in differing([shape(group.cells[0]) for group in wide]) if name != "width"] if wide else []
    names = [_name(group, told) for group in groups]
    built = [", as built" * (group.by == BUDGET and not group.requested) for group in groups]
    return [name + by * (names.count(name) > 1) for name, by in zip(names, built, strict=True)]


def _name(group: Group, told: Sequence[str]) -> str:
    first = group.cells[0]
    if group.by == BUDGET:
        unit = f"{UNITS[str(group.measure)]}{' in the slots' if group.scope == 'conv' else ''}"
        said = [f"{group.target:,.10g} {unit}"]
    elif group.by == WIDTH:
        said = [f"equal width {first.names['width']}", *_listed({name: shape(first).get(name) for name in told})]
    else:
        said = [" and ".join(cell.label for cell in group.cells)]
    return ", ".join([*said, *_listed(group.recipe)])


def _listed(values: dict[str, Any]) -> list[str]:
    return [
        f"{name} {' and '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in values.items()
        if value is not None
    ]
