"""The same networks at equal epochs, equal training MACs and equal seconds, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dsbench.verdict.cells import Accuracy, Cell
from dsbench.verdict.groups import differing

_STOP = ("stop.by", "stop.target", "device", "threads")  # of a recipe; the last two stand under stop.by=seconds alone
UNITS = {"epochs": "epochs", "train_macs": "training MACs", "seconds": "seconds"}


@dataclass(frozen=True)
class Regime:
    """An end of training: `target` epochs, training MACs or seconds."""

    by: str
    target: float

    def __str__(self) -> str:
        return f"{self.target:,.6g} {UNITS.get(self.by, self.by)}"


@dataclass(frozen=True)
class Regimes:
    """One network in several regimes; `accuracies` has one for each of `regimes`, None where it was not trained so."""

    network: str
    regimes: tuple[Regime, ...]
    accuracies: tuple[Accuracy | None, ...]


def regimes(cells: Sequence[Cell]) -> list[Regimes]:
    """The networks of a sweep by regime; empty where it has only one."""
    rows: dict[str, dict[Regime, Cell]] = {}
    for cell in cells:
        if "stop.by" in cell.recipe and cell.recipe.get("stop.target") is not None:
            regime = Regime(cell.recipe["stop.by"], float(cell.recipe["stop.target"]))
            rows.setdefault(json.dumps(_besides(cell), sort_keys=True), {})[regime] = cell
    order = list(UNITS)
    found = {regime for row in rows.values() for regime in row}
    known = tuple(sorted(found, key=lambda one: (order.index(one.by), one.target)))
    if len(known) < 2:
        return []
    named = _names([next(iter(row.values())) for row in rows.values()])
    return [
        Regimes(name, known, tuple(row[one].accuracy if one in row else None for one in known))
        for name, row in zip(named, rows.values(), strict=True)
    ]


def _besides(cell: Cell) -> dict[str, Any]:
    """All that a cell is but for when its training ends; what its study is called says that too."""
    names = {name: value for name, value in cell.names.items() if name != "study"}
    return names | cell.network | {name: value for name, value in cell.recipe.items() if name not in _STOP}


def _names(cells: Sequence[Cell]) -> list[str]:
    """The model of each and what else tells it from the others."""
    found = [_besides(cell) for cell in cells]
    others = [name for name in differing(found) if name != "model"]
    return [
        " ".join([str(one["model"]), *(f"{name} {one[name]}" for name in others if one.get(name) is not None)])
        for one in found
    ]
