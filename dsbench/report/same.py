"""The cells that two sweeps have in common, and how they differ in accuracy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dsbench.statistics.paired import Paired, paired
from dsbench.verdict.cells import Cell

_FREE = ("precision", "device", "threads")  # what the same cell may have another of in another sweep


@dataclass(frozen=True)
class Both:
    """One cell in both sweeps; `seeds` are those that are done in both, `test` is of the second less the first."""

    first: Cell
    second: Cell
    seeds: tuple[int, ...]
    test: Paired | None
    train_seconds: tuple[float | None, float | None]

    @classmethod
    def of(cls, first: Cell, second: Cell) -> Both:
        """What two cells that are the same come to."""
        seeds = tuple(sorted(first.scores.keys() & second.scores.keys()))
        test = paired([second.scores[seed] - first.scores[seed] for seed in seeds])
        return cls(first, second, seeds, test, (_mean_seconds(first), _mean_seconds(second)))

    @property
    def equal(self) -> bool:
        """Whether every seed has exactly the same accuracy."""
        return bool(self.seeds) and all(self.first.scores[seed] == self.second.scores[seed] for seed in self.seeds)


def same(first: Sequence[Cell], second: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    """The cells that are the same in both; of several that differ in _FREE alone, those that share it too."""
    groups: list[dict[str, list[Cell]]] = [{}, {}]
    for found, some in zip(groups, (first, second), strict=True):
        for cell in some:
            found.setdefault(_shape(cell), []).append(cell)
    out = []
    for shape, ones in groups[0].items():
        others = groups[1].get(shape, [])
        if len(ones) == len(others) == 1:
            out.append((ones[0], others[0]))
        else:
            out += [(one, other) for one in ones for other in others if one.recipe == other.recipe]
    return out


def _shape(cell: Cell) -> str:
    """What makes a cell the same in another sweep."""
    names = {name: value for name, value in cell.names.items() if name != "study"}
    recipe = {name: value for name, value in cell.recipe.items() if name not in _FREE}
    return json.dumps([names, cell.network, recipe], sort_keys=True)


def _mean_seconds(cell: Cell) -> float | None:
    known = [run.train_seconds for run in cell.done if run.train_seconds is not None]
    return sum(known) / len(known) if known else None
