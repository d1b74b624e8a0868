"""The same networks at equal epochs, equal training MACs and equal seconds, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dsbench.verdict.cells import TOLERANCE, Accuracy, Cell, differing

UNITS = {"epochs": "epochs", "train_macs": "training MACs", "seconds": "seconds"}
_STOP = ("stop.by", "stop.target", "device", "threads")  # of a recipe; the last two stand under stop.by=seconds alone


@dataclass(frozen=True)
class Regime:
    """An end of training: `target` epochs, training MACs or seconds; of seconds, those of a device and its threads."""

    by: str
    target: float
    device: str | None = None
    threads: int | None = None

    def __str__(self) -> str:
        where = f" ({self.device}, threads {self.threads})" if self.by == "seconds" and self.device else ""
        return f"{self.target:,.6g} {UNITS.get(self.by, self.by)}{where}"


@dataclass(frozen=True)
class Regimes:
    """One network in several regimes; `accuracies` has one for each of `regimes`, None where it was not trained so."""

    network: str
    regimes: tuple[Regime, ...]
    accuracies: tuple[Accuracy | None, ...]


def regimes(cells: Sequence[Cell]) -> list[Regimes]:
    """The networks of a sweep by regime; empty where it has only one.

    One that was trained for epochs and spent as much as a number of training MACs asks for stands under that too.
    """
    rows: dict[str, dict[Regime, Cell]] = {}
    for cell in cells:
        regime = _regime(cell)
        if regime is not None:
            rows.setdefault(json.dumps(_besides(cell), sort_keys=True), {})[regime] = cell
    found = {regime for row in rows.values() for regime in row}
    known = tuple(sorted(found, key=lambda one: (list(UNITS).index(one.by), one.target, str(one))))
    if len(known) < 2:
        return []
    for row in rows.values():
        spent = {regime: near for regime in known if (near := _nearest(list(row.values()), regime))}
        for regime, near in spent.items():
            row.setdefault(regime, near[0])
    named = _names([next(iter(row.values())) for row in rows.values()])
    return [
        Regimes(name, known, tuple(row[one].accuracy if one in row else None for one in known))
        for name, row in zip(named, rows.values(), strict=True)
    ]


def spent_as_much(alike: Sequence[Cell], cells: Sequence[Cell]) -> list[Cell]:
    """Those of `cells` that were trained for epochs and otherwise as those of one recipe, whose MACs they spent.

    Of networks that are not among `alike`, and of each that which came nearest.
    """
    regime, recipe = _regime(alike[0]), _but_for_stop(alike[0].recipe)
    if regime is None:
        return []
    known = [_besides(cell) for cell in alike]
    found = []
    for cell in _nearest(cells, regime):
        if _but_for_stop(cell.recipe) == recipe and _besides(cell) not in known:
            known.append(_besides(cell))
            found.append(cell)
    return found


def _regime(cell: Cell) -> Regime | None:
    by, target = cell.recipe.get("stop.by"), cell.recipe.get("stop.target")
    if by is None or target is None:
        return None
    return Regime(by, float(target), cell.recipe.get("device"), cell.recipe.get("threads"))


def _nearest(cells: Sequence[Cell], regime: Regime) -> list[Cell]:
    """The cells whose epochs came to the training MACs of `regime`, the nearest first; none of another regime."""
    if regime.by != "train_macs":
        return []
    off = [
        (abs(cell.train_macs - regime.target), index)
        for index, cell in enumerate(cells)
        if cell.recipe.get("stop.by") == "epochs" and cell.train_macs is not None
    ]
    return [cells[index] for distance, index in sorted(off) if distance <= TOLERANCE * regime.target]


def _besides(cell: Cell) -> dict[str, Any]:
    """All that a cell is but for when its training ends; what its study is called says that too."""
    names = {name: value for name, value in cell.names.items() if name != "study"}
    return names | cell.network | _but_for_stop(cell.recipe)


def _but_for_stop(recipe: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in recipe.items() if name not in _STOP}


def _names(cells: Sequence[Cell]) -> list[str]:
    """The model of each and what else tells it from the others."""
    found = [_besides(cell) for cell in cells]
    others = [name for name in differing(found) if name != "model"]
    return [
        " ".join([str(one["model"]), *(f"{name} {one[name]}" for name in others if one.get(name) is not None)])
        for one in found
    ]
