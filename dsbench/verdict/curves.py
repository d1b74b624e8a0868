"""Where does one family overtake another? Accuracy along each cost, of families trained in several sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby, product
from typing import Any

from dsbench.quantities import COUNTED_BUDGETS, QUANTITIES
from dsbench.statistics.crossing import Along, Crossing, Difference, crossings
from dsbench.statistics.means import Interval, contrast
from dsbench.verdict.better import Better, Correct, sample, side
from dsbench.verdict.cells import DEPTHWISE, Cell, differing
from dsbench.verdict.faster import LATENCY
from dsbench.verdict.groups import FAMILIES, classes, shared_recipe
from dsbench.verdict.rule import Answer, Rule
from dsbench.verdict.timings import STEP, Key, Records, measured_together

TIMES: dict[str, Key] = {"train_step_ms": STEP, "latency_ms": LATENCY}  # by quantity: milliseconds
NEAR = 0.02  # share of a cost within which two networks are at one point, as those that meet one budget are
_OF_BLOCK = ("model.", "block.", DEPTHWISE)  # settings of a network that go with its family


@dataclass(frozen=True)
class Span:
    """Neighbouring costs from `low` to `high` at which the same holds: see Curves.sides."""

    side: int | None
    low: float
    high: float


@dataclass(frozen=True)
class Curves:
    """Two families along one `cost`, the name of a quantity: the accuracy of the `candidate` less the `reference`'s.

    `of` says what tells them from other curves of the sweep: its data, architecture, kernel or recipe. `along` has the
    difference of the mean accuracies at each cost that a network of either has, between the least and the largest that
    both reach. Where a family has no network its accuracy lies between the straight line over the logarithm of the cost
    and the larger of the two networks beside it, as it does where accuracy rises with the cost and ever less so: `mean`
    is that of the line, and the interval, at 1 - `level`, reaches over both. Where both have one, within NEAR, and the
    two are compared as a pair, it is that pair's. `margin` is a share of 1. `networks` are those of both, the
    reference's first.
    """

    of: str
    cost: str
    reference: str
    candidate: str
    level: float
    margin: float
    along: Along = field(metadata={"plain": False})
    networks: tuple[tuple[Cell, ...], tuple[Cell, ...]] = field(metadata={"plain": False})

    @property
    def sides(self) -> dict[float, int | None]:
        """By cost, 1 where the candidate is more accurate, -1 the reference, 0 within the margin, None where open."""
        return {cost: side(one.interval, self.margin) for cost, one in self.along.items()}

    @property
    def spans(self) -> list[Span]:
        """The spans of costs at which the same holds, in order."""
        runs = [(of, [cost for cost, _ in run]) for of, run in groupby(self.sides.items(), key=lambda entry: entry[1])]
        return [Span(of, costs[0], costs[-1]) for of, costs in runs]

    @property
    def ahead(self) -> int | None:
        """1 where the candidate is more accurate all along, -1 the reference, 0 where both are even, else None.

        All along is at both ends and at every cost between that is decided.
        """
        decided = {span.side for span in self.spans} - {None}
        ends = {self.spans[0].side, self.spans[-1].side}
        return decided.pop() if len(decided) == 1 and decided == ends else None

    @property
    def crossings(self) -> list[Crossing]:
        """Each cost at which one overtakes the other; see dsbench.statistics.crossing."""
        return crossings(self.along)

    @property
    def points(self) -> list[dict[str, Any]]:
        """Each cost with the difference, and the name of the family that is ahead there."""
        names = {1: self.candidate, -1: self.reference, 0: "even", None: None}
        return [
            {"cost": cost, "unit": QUANTITIES[self.cost].unit, "difference": one, "ahead": names[self.sides[cost]]}
            for cost, one in self.along.items()
        ]

    @property
    def labels(self) -> list[list[str]]:
        """What the networks of both are called."""
        return [[cell.label for cell in family] for family in self.networks]


Pairs = Mapping[tuple[str, str], Better]  # by the ids of reference and candidate


def curves(cells: Sequence[Cell], records: Records, rule: Rule, correct: Correct, pairs: Pairs) -> Iterator[Curves]:
    """Each two families that were trained alike in two sizes or more, along each cost that they have in common.

    A family is all of a network but its width: its model, block and pattern. Along a time there are curves only where
    all networks were measured by turns. `pairs` has the comparisons that are judged anyway. The other points of two
    curves along one cost share a level of ALPHA, spent over the looks that the sweep has had. Of networks with recipes
    of their own there are none.
    """
    known = [cell for cell in cells if cell.costs["params"] and not cell.own]
    trained = [cell for cell in known if any(run.test_acc is not None for run in cell.done)]
    found = [
        families
        for alike in classes(trained, _alike)
        if len(families := sorted((own for own in classes(alike, _kind) if len(own) > 1), key=_rank)) > 1
    ]
    apart = differing([_alike(families[0][0]) for families in found])
    for families in found:
        shared = _alike(families[0][0])
        of = ", ".join(f"{name} {shared[name]}" for name in apart if shared.get(name) is not None)
        members = [cell for family in families for cell in family]
        times = {name: measured_together(members, key, records) for name, key in TIMES.items()}
        margin = rule.margin_of(str(members[0].names["data"]))
        for pair, names in zip(combinations(families, 2), combinations(_names(families), 2), strict=True):
            for cost in (*(cost.name for cost in COUNTED_BUDGETS), *TIMES):
                counts = {cell.cell_id: float(cell.costs.get(cost) or 0) for cell in members}
                own = times.get(cost, counts)
                along = _along([_sizes(family, own) for family in pair], rule, correct, pairs)
                if along is not None:
                    yield Curves(of, cost, *names, along[0], margin, along[1], (tuple(pair[0]), tuple(pair[1])))


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
        f"{model} ({', '.join(told)})"
        if (told := [f"{n} {kind[n]}" for n in others if kind.get(n) is not None])
        else model
        for model, kind in zip(models, kinds, strict=True)
    ]


Sizes = list[tuple[float, Cell]]  # by rising cost


def _sizes(family: Sequence[Cell], costs: Mapping[str, float]) -> Sizes:
    """The networks of a family by rising cost; of several that cost the same the most accurate."""
    ordered = sorted(family, key=lambda cell: cell.accuracy.mean or 0.0)
    known = {costs[cell.cell_id]: cell for cell in ordered if costs.get(cell.cell_id)}
    return sorted(known.items())


def _along(pair: Sequence[Sizes], rule: Rule, correct: Correct, pairs: Pairs) -> tuple[float, Along] | None:
    """The level, and the difference at each cost between the ends that both reach; None where they share no span."""
    if not all(pair):
        return None
    low, high = max(sizes[0][0] for sizes in pair), min(sizes[-1][0] for sizes in pair)
    points: list[float] = []
    for cost in sorted(cost for sizes in pair for cost, _ in sizes if low <= cost <= high):
        if not points or cost > (1 + NEAR) * points[-1]:
            points.append(cost)
    if len(points) < 2:
        return None
    judged = {point: found for point in points if (found := _judged(pair, point, pairs)) is not None}
    standing = rule.unplanned
    level = standing.level(max(len(points) - len(judged), 1)) / rule.looks
    return level, {
        point: judged.get(point) or _difference(pair, point, level, correct, standing.looks_again) for point in points
    }


def _judged(pair: Sequence[Sizes], cost: float, pairs: Pairs) -> Difference | None:
    """The difference of two networks of that cost that are compared as a pair; None where they are not."""
    (reference, *between), (candidate, *others) = (_weights(sizes, cost) for sizes in pair)
    better = None if between or others else pairs.get((reference[0][0].cell_id, candidate[0][0].cell_id))
    if better is None or better.mean is None:
        return None
    return Difference(better.mean, None if better.answer is Answer.TOO_FEW else better.interval, min(better.runs))


def _difference(pair: Sequence[Sizes], cost: float, level: float, correct: Correct, cautious: bool) -> Difference:
    """On the line between networks; the interval is over all that accuracy may be there (see Curves)."""
    found = [
        contrast(
            [
                sample(cell, sign * weight, correct)
                for weights, sign in zip(both, (-1.0, 1.0), strict=True)
                for cell, weight in weights
            ],
            cautious,
        )
        for both in product(*(_weights(sizes, cost) for sizes in pair))
    ]
    known = [one for one in found if one is not None]
    assert len(known) == len(found), "cells without an accuracy are on no curve"
    line, n = known[0].difference, min(min(one.runs) for one in known)
    intervals = [one.interval(level) if one.decides else None for one in known]
    ends = [(own.low, own.high) for own in intervals if own is not None]
    whole = Interval(min(low for low, _ in ends), max(high for _, high in ends)) if len(ends) == len(known) else None
    return Difference(line, whole, n)


def _weights(sizes: Sizes, cost: float) -> list[list[tuple[Cell, float]]]:
    """The network that has the cost; else those beside it with their shares on the line, and the larger alone."""
    near, cell = min(sizes, key=lambda size: abs(math.log(size[0] / cost)))
    if abs(near / cost - 1) <= NEAR:
        return [[(cell, 1.0)]]
    number = next(number for number, (size, _) in enumerate(sizes) if size > cost)
    (below, smaller), (above, larger) = sizes[number - 1], sizes[number]
    share = math.log(cost / below) / math.log(above / below)
    return [[(smaller, 1 - share), (larger, share)], [(larger, 1.0)]]
