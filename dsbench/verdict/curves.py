"""Where does one family overtake another? Accuracy along each cost, of families trained in several sizes."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from dsbench.quantities import COUNTED_BUDGETS
from dsbench.statistics.crossing import Along, Crossing, Difference, crossings, whole
from dsbench.statistics.means import ALPHA, contrast
from dsbench.verdict.better import Correct, sample
from dsbench.verdict.cells import DEPTHWISE, TOLERANCE, Cell, differing
from dsbench.verdict.faster import LATENCY
from dsbench.verdict.groups import FAMILIES, classes, shared_recipe
from dsbench.verdict.rule import Rule
from dsbench.verdict.timings import STEP, Key, Records, measured_together

TIMES: dict[str, Key] = {"train_step_ms": STEP, "latency_ms": LATENCY}  # by quantity: milliseconds
_OF_BLOCK = ("model.", "block.", DEPTHWISE)  # settings of a network that go with its family


@dataclass(frozen=True)
class Curves:
    """Two families along one `cost`, the name of a quantity: the accuracy of the `candidate` less the `reference`'s.

    `along` has the difference of their means at each cost that a network of either has, between the least and the
    largest that both reach, with its interval at 1 - `level`. Between two networks of a family its mean accuracy is
    taken to be a straight line over the logarithm of the cost. `networks` are those of both, the reference's first.
    """

    cost: str
    reference: str
    candidate: str
    level: float
    along: Along
    networks: tuple[tuple[Cell, ...], tuple[Cell, ...]] = field(metadata={"plain": False})

    @property
    def crossings(self) -> list[Crossing]:
        """Each cost at which one overtakes the other: decided on both sides of it."""
        return crossings(self.along)

    @property
    def ahead(self) -> int:
        """1 where the candidate is more accurate all along, -1 where the reference is, 0 where neither is."""
        return whole(self.along)

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest cost that both reach."""
        return min(self.along), max(self.along)


def curves(cells: Sequence[Cell], records: Records, rule: Rule, correct: Correct) -> Iterator[Curves]:
    """Each two families that were trained alike in two sizes or more, along each cost that they have in common.

    A family is all of a network but its width: its model, block and pattern. Along times where all were measured by
    turns. The points of two curves along one cost share a level of ALPHA, and where the sweep looks at its results
    several times, the looks do. Of networks with recipes of their own there are none.
    """
    trained = [cell for cell in cells if cell.done and cell.costs["params"] and not cell.own]
    for alike in classes(trained, _alike):
        families = sorted((own for own in classes(alike, _kind) if len(own) > 1), key=_rank)
        if len(families) < 2:
            continue
        members = [cell for family in families for cell in family]
        times = {name: measured_together(members, key, records) for name, key in TIMES.items()}
        for pair, names in zip(combinations(families, 2), combinations(_names(families), 2), strict=True):
            for cost in (*(cost.name for cost in COUNTED_BUDGETS), *TIMES):
                own = times.get(cost) or {cell.cell_id: float(cell.costs.get(cost) or 0) for cell in members}
                along = _along([_by_cost(family, own) for family in pair], rule, correct)
                if along is not None:
                    yield Curves(cost, *names, *along, networks=(tuple(pair[0]), tuple(pair[1])))


def _alike(cell: Cell) -> dict[str, Any]:
    """What two curves have in common: the recipe, and all of a network but its family and width."""
    named = {name: cell.names[name] for name in ("arch", "kernel")}
    network = {name: value for name, value in cell.network.items() if not name.startswith(_OF_BLOCK)}
    return shared_recipe(cell) | named | network


def _kind(cell: Cell) -> dict[str, Any]:
    named = {name: cell.names[name] for name in ("model", "block")}
    return named | {name: value for name, value in cell.network.items() if name.startswith(_OF_BLOCK)}


def _rank(family: Sequence[Cell]) -> int:
    """The less of it is separable, the earlier a family comes."""
    model = str(family[0].names["model"])
    return FAMILIES.index(model) if model in FAMILIES else len(FAMILIES)


def _names(families: Sequence[Sequence[Cell]]) -> list[str]:
    """What each is called: its model, and where several are the same what else differs."""
    kinds = [_kind(family[0]) for family in families]
    models = [str(kind["model"]) for kind in kinds]
    others = [name for name in differing(kinds) if name != "model"] if len(set(models)) < len(models) else []
    return [
        ", ".join([model, *(f"{name} {kind[name]}" for name in others if kind.get(name) is not None)])
        for model, kind in zip(models, kinds, strict=True)
    ]


Sizes = list[tuple[float, Cell]]  # by rising cost


def _by_cost(family: Sequence[Cell], costs: Mapping[str, float]) -> Sizes:
    """The networks of a family by rising cost; of several that cost the same the first."""
    known = {costs[cell.cell_id]: cell for cell in reversed(family) if costs.get(cell.cell_id)}
    return sorted(known.items())


def _along(pair: Sequence[Sizes], rule: Rule, correct: Correct) -> tuple[float, Along] | None:
    """The level, and the difference at each cost between the ends that both reach; None where they share no span."""
    if not all(pair):
        return None
    low, high = max(sizes[0][0] for sizes in pair), min(sizes[-1][0] for sizes in pair)
    points: list[float] = []
    for cost in sorted(cost for sizes in pair for cost, _ in sizes if low <= cost <= high):
        if not points or cost > (1 + TOLERANCE) * points[-1]:  # what meets one budget is one point
            points.append(cost)
    if len(points) < 2:
        return None
    level = ALPHA / len(points) / _looks(rule)
    return level, {point: _difference(pair, point, level, rule, correct) for point in points}


def _looks(rule: Rule) -> int:
    """How often the results are looked at, planned or not."""
    planned = (len(standing.fractions) for standing in (rule.standings or {}).values())
    return max(rule.looks, *planned, 1)


def _difference(pair: Sequence[Sizes], cost: float, level: float, rule: Rule, correct: Correct) -> Difference:
    samples = [
        sample(cell, sign * weight, correct)
        for sizes, sign in zip(pair, (-1.0, 1.0), strict=True)
        for cell, weight in _weights(sizes, cost)
    ]
    found = contrast(samples, cautious=_looks(rule) > 1)
    assert found is not None, "cells without a run that is done are on no curve"
    return Difference(found.difference, found.interval(level) if found.decides else None, min(found.runs))


def _weights(sizes: Sizes, cost: float) -> list[tuple[Cell, float]]:
    """The networks on both sides of a cost with their shares in the accuracy there, or the one that has it."""
    number = bisect_left(sizes, cost, key=lambda size: size[0])
    above, cell = sizes[number]
    if above == cost:
        return [(cell, 1.0)]
    below, other = sizes[number - 1]
    share = math.log(cost / below) / math.log(above / below)
    return [(other, 1 - share), (cell, share)]
