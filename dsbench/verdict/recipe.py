"""Is it the recipe? What of a difference goes away where each network has a recipe of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dsbench.statistics.means import Interval
from dsbench.verdict.better import Better, Correct, better
from dsbench.verdict.cells import Cell
from dsbench.verdict.groups import SHARED, TUNED
from dsbench.verdict.rule import Family, Rule, Standing

if TYPE_CHECKING:
    from dsbench.verdict.verdict import Comparison, Judged


@dataclass(frozen=True)
class Recipe:
    """A pair under the shared recipe, and the same networks with each at its own, `own`.

    `change` is the difference of `own` less that of `shared`, over the cells that are not in both with the same sign:
    of a network that does best at the shared recipe the runs are the same and cancel. It is None where both networks
    do, and where there is no such pair of `own`.
    """

    shared: Comparison = field(metadata={"plain": False})
    own: Comparison | None = field(metadata={"plain": False})
    change: Better | None

    @property
    def pair(self) -> tuple[str, str]:
        """The labels of reference and candidate under the shared recipe."""
        return self.shared.reference, self.shared.candidate

    @property
    def unchanged(self) -> bool:
        """Whether both networks do best at the shared recipe."""
        return all(TUNED in cell.roles for cell in self.shared.cells)

    @property
    def accounted(self) -> tuple[float, Interval | None] | None:
        """By how much the difference is nearer to 0, or beyond, with own recipes: below 0 where it is farther off."""
        if self.change is None or self.change.mean is None or self.shared.better.mean is None:
            return None
        sign, interval = (-1.0 if self.shared.better.mean > 0 else 1.0), self.change.interval
        if interval is not None and sign < 0:
            interval = Interval(-interval.high, -interval.low)
        return sign * self.change.mean, interval


def recipes(groups: Sequence[Judged], rule: Rule, correct: Correct) -> list[Recipe]:
    """Each pair under the shared recipe beside that with own recipes, those of the headline where there are such.

    The changes share a level as the effects of a factorial do. Empty where no design has chosen recipes.
    """
    of = {
        role: [pair for judged in groups if judged.group.role == role for pair in judged.comparisons]
        for role in (SHARED, TUNED)
    }
    own = {_networks(pair): pair for pair in of[TUNED]}
    across = [pair for pair in of[SHARED] if pair.better.family is Family.HEADLINE] or of[SHARED]
    both = [(pair, own.get(_networks(pair)), _weights(pair, own.get(_networks(pair)))) for pair in across]
    number = sum(bool(weighted) for _, _, weighted in both)
    return [Recipe(shared, tuned, _change(weighted, number, rule, correct)) for shared, tuned, weighted in both]


def _weights(shared: Comparison, own: Comparison | None) -> list[tuple[Cell, float]]:
    """The cells of the contrast with their weights, those below 0 first; none where the pairs are the same."""
    if own is None:
        return []
    weights: dict[str, float] = {}
    cells = {cell.cell_id: cell for cell in (*shared.cells, *own.cells)}
    for pair, sign in ((own, 1.0), (shared, -1.0)):
        for cell, weight in zip(pair.cells, (-sign, sign), strict=True):
            weights[cell.cell_id] = weights.get(cell.cell_id, 0.0) + weight
    weighted = [(cells[cell_id], weight) for cell_id, weight in weights.items() if weight]
    return sorted(weighted, key=lambda one: one[1])


def _change(weighted: Sequence[tuple[Cell, float]], number: int, rule: Rule, correct: Correct) -> Better | None:
    if not weighted:
        return None
    cells, weights = zip(*weighted, strict=True)
    return better(cells, weights, Family.EFFECT, number, rule, Standing(), correct)


def _networks(pair: Comparison) -> str:
    """The networks of a pair, whatever the recipes that they have of their own."""
    return json.dumps(
        [[_named(cell), [item for item in cell.network.items() if item[0] not in cell.own]] for cell in pair.cells]
    )


def _named(cell: Cell) -> dict[str, Any]:
    return {name: value for name, value in cell.names.items() if name != "study"}
