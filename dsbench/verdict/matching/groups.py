"""Which cells may be compared: matched groups, cells of equal width, and two that are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from dsbench.verdict.cells import TOLERANCE, Cell, differing
from dsbench.verdict.matching.regimes import spent_as_much

COUNTED = ("params", "macs", "acts")  # what cells without a budget are matched by: the first of these that matches
BUDGET, WIDTH, ASKED = "budget", "width", "asked"
FAMILIES = ("cnn", "hybrid", "dwsep")  # from none to all of it separable


@dataclass(frozen=True)
class Group:
    """Cells that may be compared, those with more of it separable later, or in the order that was asked for.

    They share data and recipe, but for those of `asked`. `by` is budget (their `measure`, a cost of `scope` total or
    conv, is within TOLERANCE of `target`; where it was asked for, `requested`, it is the targets that are, and costs
    are as near to them as budget.tolerance allows), width (same architecture, width and kernel), or asked. `recipe`
    holds the settings in which it differs from other groups of the sweep.
    """

    by: str
    cells: tuple[Cell, ...]
    measure: str | None = None
    scope: str = "total"
    target: float | None = None
    requested: bool = False
    recipe: dict[str, Any] = field(default_factory=dict)

    @property
    def pairs(self) -> list[tuple[Cell, Cell]]:
        """All pairs, each with its reference first."""
        return list(combinations(self.cells, 2))

    @property
    def ids(self) -> set[str]:
        """The cells, by id."""
        return {cell.cell_id for cell in self.cells}


def groups(cells: Sequence[Cell]) -> list[Group]:
    """The groups of two cells or more; a cell may be in several, or in none.

    A budget that was asked for gathers the cells that asked for it and, of models, architectures and blocks that did
    not, those that cost as much. Cells without a budget are matched by parameters, those left by MACs, then by
    activations; then come cells of equal width. Cells that are all in an earlier group make no group again: nothing is
    asked twice.
    """
    found: list[Group] = []
    known = [cell for cell in cells if cell.costs["params"] is not None]  # all that an unreadable record is not
    for alike in _classes(known, lambda cell: cell.recipe):
        recipe, own = alike[0].recipe, {cell.cell_id for cell in alike}
        alike += spent_as_much(alike, known)
        free = [cell for cell in alike if cell.budget is None]
        wide = [Group(WIDTH, ordered(one)) for one in _classes(alike, shape) if len(one) > 1]
        for group in (*_requested(alike), *_counted(free), *wide):
            if group.ids & own and not any(group.ids <= earlier.ids for earlier in found):
                found.append(replace(group, recipe=recipe))
    return _told_apart(found)


def ordered(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """The less of a network is separable, the earlier it comes; otherwise in the order given."""
    ranks = {family: rank for rank, family in enumerate(FAMILIES)}
    return tuple(sorted(cells, key=lambda cell: ranks.get(str(cell.names["model"]), len(ranks))))


def _requested(cells: Sequence[Cell]) -> list[Group]:
    """A group for each budget that was asked for."""
    asked: dict[tuple[str, str], dict[str, float]] = {}
    for cell in cells:
        if cell.budget is not None:
            asked.setdefault((cell.budget.kind, cell.budget.scope), {})[cell.cell_id] = cell.budget.target
    out = []
    for (kind, scope), targets in asked.items():
        for some in _near([cell for cell in cells if cell.cell_id in targets], targets):
            target, kinds = targets[some[0].cell_id], [_kind(cell) for cell in some]
            others = [cell for cell in cells if cell.cell_id not in targets and _kind(cell) not in kinds]
            members = [*some, *(cell for cell in others if _meets(cell, kind, scope, target))]
            if len(members) > 1:
                in_order = ordered(cell for cell in cells if cell in members)
                out.append(Group(BUDGET, in_order, kind, scope, target, requested=True))
    return out


def _meets(cell: Cell, kind: str, scope: str, target: float) -> bool:
    cost = cell.costs.get(f"{kind}_conv" if scope == "conv" else kind)  # a measured budget is no cost of a description
    return cost is not None and abs(cost - target) <= TOLERANCE * target


def _counted(cells: Sequence[Cell]) -> list[Group]:
    """Groups of cells that cost the same although nobody asked for it."""
    out: list[Group] = []
    left = list(cells)
    for measure in COUNTED:
        costs = {cell.cell_id: float(cost) for cell in left if (cost := cell.costs[measure])}
        for some in _near([cell for cell in left if cell.cell_id in costs], costs):
            if len(some) > 1:
                members = ordered(cell for cell in left if cell in some)
                out.append(Group(BUDGET, members, measure, target=costs[members[0].cell_id]))
        taken = {cell_id for group in out for cell_id in group.ids}
        left = [cell for cell in left if cell.cell_id not in taken]
    return out


def _near(cells: Sequence[Cell], values: Mapping[str, float]) -> list[list[Cell]]:
    """The cells in clusters in which `values`, by cell_id, are within TOLERANCE of the smallest."""
    out: list[list[Cell]] = []
    for cell in sorted(cells, key=lambda cell: values[cell.cell_id]):
        if out and values[cell.cell_id] <= (1 + TOLERANCE) * values[out[-1][0].cell_id]:
            out[-1].append(cell)
        else:
            out.append([cell])
    return out


def _kind(cell: Cell) -> tuple[Any, ...]:
    return cell.names["model"], cell.names["arch"], cell.names["block"]


def shape(cell: Cell) -> dict[str, Any]:
    """What cells of equal width share besides their recipe: all of the network but the family and its block."""
    named = {name: cell.names[name] for name in ("arch", "width", "fine_width", "kernel")}
    return named | {name: value for name, value in cell.network.items() if not name.startswith(("model.", "block."))}


def _classes(cells: Iterable[Cell], of: Callable[[Cell], Any]) -> list[list[Cell]]:
    """The cells by what `of` says of them, plain data; both in order."""
    out: dict[str, list[Cell]] = {}
    for cell in cells:
        out.setdefault(json.dumps(of(cell), sort_keys=True), []).append(cell)
    return list(out.values())


def _told_apart(found: Sequence[Group]) -> list[Group]:
    """The groups with what tells their recipes apart."""
    names = differing([group.recipe for group in found])
    return [replace(one, recipe={name: one.recipe.get(name) for name in names}) for one in found]
