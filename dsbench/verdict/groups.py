"""Which cells of a sweep may be compared: groups of an equal budget or width, and one network's ends of training."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from dsbench.errors import InputError
from dsbench.quantities import COUNTED_BUDGETS, QUANTITIES
from dsbench.verdict.cells import DATA, DEPTHWISE, TOLERANCE, Accuracy, Cell, differing

BUDGET, WIDTH, ASKED = "budget", "width", "asked"
SHARED, TUNED = "shared", "tuned"  # roles: networks at one recipe, and each at its own
HYBRID = "hybrid"  # a role: what a design has proposed, to be judged against the plain network
RECIPES = {SHARED: "under the shared recipe", TUNED: "with each at its own recipe"}
AS_ASKED = "as asked"  # what a group of two cells is called that was asked for
FAMILIES = ("cnn", "hybrid", "dwsep")  # from none to all of it separable
COUNTED = tuple(cost.name for cost in COUNTED_BUDGETS)  # the first that matches is what cells without a budget have
STOP_UNITS = {"epochs": "epochs", "train_macs": QUANTITIES["train_macs"].wording, "seconds": "seconds"}
_STOP = ("stop.by", "stop.target", "device", "threads")  # of a recipe; the last two stand under stop.by=seconds alone


@dataclass(frozen=True)
class Group:
    """Cells that may be compared, those with more of it separable later, or in the order that was asked for.

    They share data and recipe, but for those of `asked`. `by` is budget (their `measure`, a cost of `scope` total or
    conv, is within TOLERANCE of `target`; where it was asked for, `requested`, it is the targets that are, and costs
    are as near to them as budget.tolerance allows or, of what a `chip` counts, `at_most` that), width (same
    architecture, width and kernel), or asked. `recipe` holds the settings in which it differs from other groups of the
    sweep. Of `role` tuned each cell has a recipe of its own, chosen among the same ones.
    """

    by: str
    cells: tuple[Cell, ...]
    measure: str | None = None
    scope: str = "total"
    target: float | None = None
    requested: bool = False
    chip: str | None = None
    at_most: bool = False
    recipe: dict[str, Any] = field(default_factory=dict)
    role: str | None = field(default=None, metadata={"plain": False})

    @property
    def pairs(self) -> list[tuple[Cell, Cell]]:
        """All pairs, each with its reference first."""
        return list(combinations(self.cells, 2))

    @property
    def matched(self) -> str | None:
        """The cost of whole networks, by their description, that the cells have in common."""
        return self.measure if self.scope == "total" and self.chip is None else None

    @property
    def matched_on_chip(self) -> tuple[str, str] | None:
        """The chip, and the cost there, that the cells have in common."""
        return (self.chip, self.measure) if self.chip and self.measure else None

    @property
    def ids(self) -> set[str]:
        """The cells, by id."""
        return {cell.cell_id for cell in self.cells}


def groups(cells: Sequence[Cell]) -> list[Group]:
    """The groups of two cells or more; a cell may be in several, or in none.

    A budget that was asked for gathers the cells that asked for it and, of models, architectures and blocks that did
    not, those that cost as much. Cells without a budget are matched by parameters, those left by MACs, then by
    activations; then come cells of equal width. Cells that are all in an earlier group make no group again: nothing is
    asked twice. Cells that a design has chosen in roles are compared role by role where they have settings of their
    own.
    """
    out: list[Group] = []
    readable = [cell for cell in cells if cell.costs["params"] is not None]  # an unreadable record has no costs
    apart = dict.fromkeys(role for cell in cells if cell.own for role in cell.roles)
    for role in apart or (None,):
        for group in _alike([cell for cell in readable if role is None or role in cell.roles]):
            if not any(group.ids <= earlier.ids for earlier in out):
                out.append(replace(group, role=role))
    names = differing([group.recipe for group in out])
    return [replace(group, recipe={name: group.recipe.get(name) for name in names}) for group in out]


def _alike(cells: Sequence[Cell]) -> Iterator[Group]:
    """The groups of cells that share their recipe, or all of it of which they have none of their own."""
    out: list[Group] = []
    for alike in classes(cells, shared_recipe):
        recipe, own = shared_recipe(alike[0]), {cell.cell_id for cell in alike}
        alike += _spent_as_much(alike, cells)
        without_budget = [cell for cell in alike if cell.budget is None]
        wide = [Group(WIDTH, _ordered(members)) for members in classes(alike, _shape) if len(members) > 1]
        for group in (*_requested(alike), *_counted(without_budget), *wide):
            if group.ids & own and not any(group.ids <= earlier.ids for earlier in out):
                out.append(replace(group, recipe=recipe))
    return iter(out)


def shared_recipe(cell: Cell) -> dict[str, Any]:
    """The recipe of a cell, without settings that each network has its own of."""
    return {name: value for name, value in cell.recipe.items() if name not in cell.own}


def _requested(cells: Sequence[Cell]) -> list[Group]:
    """A group for each budget that was asked for."""
    asked: dict[tuple[str, str, str | None, bool], dict[str, float]] = {}
    for cell in cells:
        if (budget := cell.budget) is not None:
            at_most = budget.chip is not None and budget.match is None
            asked.setdefault((budget.kind, budget.scope, budget.chip, at_most), {})[cell.cell_id] = budget.target
    out = []
    for (kind, scope, chip, at_most), targets in asked.items():
        for cluster in _clusters([cell for cell in cells if cell.cell_id in targets], targets):
            target, known = targets[cluster[0].cell_id], [_kind(cell) for cell in cluster]
            others = [cell for cell in cells if cell.cell_id not in targets and _kind(cell) not in known]
            members = [*cluster, *(cell for cell in others if _meets(cell, kind, scope, target))]
            if len(members) > 1:
                in_order = _ordered(cell for cell in cells if cell in members)
                out.append(Group(BUDGET, in_order, kind, scope, target, True, chip, at_most))
    return out


def _kind(cell: Cell) -> tuple[Any, ...]:
    return cell.names["model"], cell.names["arch"], cell.names["block"]


def _meets(cell: Cell, kind: str, scope: str, target: float) -> bool:
    cost = cell.costs.get(f"{kind}_conv" if scope == "conv" else kind)  # a measured budget is no cost of a description
    return cost is not None and abs(cost - target) <= TOLERANCE * target


def _counted(cells: Sequence[Cell]) -> list[Group]:
    """Groups of cells that cost the same although nobody asked for it."""
    out: list[Group] = []
    left = list(cells)
    for measure in COUNTED:
        costs = {cell.cell_id: float(cost) for cell in left if (cost := cell.costs[measure])}
        for cluster in _clusters([cell for cell in left if cell.cell_id in costs], costs):
            if len(cluster) > 1:
                members = _ordered(cell for cell in left if cell in cluster)
                out.append(Group(BUDGET, members, measure, target=costs[members[0].cell_id]))
        taken = {cell_id for group in out for cell_id in group.ids}
        left = [cell for cell in left if cell.cell_id not in taken]
    return out


def _clusters(cells: Sequence[Cell], values: Mapping[str, float]) -> list[list[Cell]]:
    """The cells in clusters in which `values`, by cell_id, are within TOLERANCE of the smallest."""
    out: list[list[Cell]] = []
    for cell in sorted(cells, key=lambda cell: values[cell.cell_id]):
        if out and values[cell.cell_id] <= (1 + TOLERANCE) * values[out[-1][0].cell_id]:
            out[-1].append(cell)
        else:
            out.append([cell])
    return out


def classes(cells: Iterable[Cell], key: Callable[[Cell], Any]) -> list[list[Cell]]:
    """The cells by what `key` says of them, plain data; both in order."""
    out: dict[str, list[Cell]] = {}
    for cell in cells:
        out.setdefault(json.dumps(key(cell), sort_keys=True), []).append(cell)
    return list(out.values())


def _shape(cell: Cell) -> dict[str, Any]:
    """What cells of equal width share besides their recipe: all of the network but the family and its block."""
    named = {name: cell.names[name] for name in ("arch", "width", "fine_width", "kernel")}
    of_block = ("model.", "block.", DEPTHWISE)
    rest = {name: value for name, value in cell.network.items() if not name.startswith(of_block)}
    return named | {name: value for name, value in rest.items() if name not in cell.own}


def _ordered(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """The less of a network is separable, the earlier it comes; otherwise in the order given."""
    ranks = {family: rank for rank, family in enumerate(FAMILIES)}
    return tuple(sorted(cells, key=lambda cell: ranks.get(str(cell.names["model"]), len(ranks))))


def group_names(groups: Sequence[Group]) -> list[str]:
    """A name for each, such as "7,800 parameters" or "equal width 16"; no two are the same."""
    wide = [_shape(group.cells[0]) for group in groups if group.by == WIDTH]
    shown = [name for name in differing(wide) if name != "width"]
    names = [_name(group, shown) for group in groups]
    built = [", as built" * (group.by == BUDGET and not group.requested) for group in groups]
    return [name + suffix * (names.count(name) > 1) for name, suffix in zip(names, built, strict=True)]


def _name(group: Group, shown: Sequence[str]) -> str:
    """What the cells have in common; of those of equal width what is `shown` of their shape too."""
    values = dict(group.recipe)
    if group.by == BUDGET:
        cost, most = QUANTITIES[str(group.measure)], "at most " if group.at_most else ""
        common = f"{group.target:,.10g} {cost.amount}{' in the slots' if group.scope == 'conv' else ''}"
        if group.chip is not None:
            unit = "B" if cost.unit == "bytes" else cost.unit
            common = f"equal {cost.brief} on {group.chip} ({most}{group.target:,.10g}{unit and ' '}{unit})"
    elif group.by == WIDTH:
        shape = _shape(group.cells[0])
        common, values = f"equal width {shape['width']}", {name: shape.get(name) for name in shown} | values
    else:
        common = AS_ASKED
    texts = [
        f"{name} {' and '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in values.items()
        if value is not None
    ]
    return " ".join([", ".join([common, *texts]), *([RECIPES[group.role]] if group.role else [])])


def named_pair(cells: Sequence[Cell], text: str) -> Group:
    """The group of the two cells that `text`, "A,B", names, the reference first.

    A name is a label, a study's model (mnist_7800/cnn, changed or not), a family that has only one cell, or a cell_id.
    Raises InputError where it names no cell, one twice, or cells of different data, whose accuracies have nothing in
    common.
    """
    commas = [index for index, letter in enumerate(text) if letter == ","]  # names may have commas of their own
    splits = [(text[:index].strip(), text[index + 1 :].strip()) for index in commas]
    if not splits:
        raise InputError(f"compare: {text!r} names one cell; write it as A,B, the reference first")
    known = (names for names in splits if all(_named(cells, name) for name in names))
    reference, candidate = (_the_cell(cells, name) for name in next(known, splits[0]))
    if reference is candidate:
        raise InputError(f"compare: {text!r} names one cell twice; choose two of {_labels(cells)}")
    for name in DATA:
        before, after = reference.recipe.get(name), candidate.recipe.get(name)
        if before != after:
            raise InputError(f"compare: {text!r}: {name} differs ({before} and {after}); choose cells that share it")
    names = differing([reference.recipe, candidate.recipe])
    recipe = {name: [cell.recipe.get(name) for cell in (reference, candidate)] for name in names}
    return Group(ASKED, (reference, candidate), recipe=recipe)


def _the_cell(cells: Sequence[Cell], name: str) -> Cell:
    """The only cell of that name. Raises InputError where there is none, or several."""
    named = _named(cells, name)
    if len(named) == 1:
        return named[0]
    if named:
        raise InputError(f"compare: {name!r} is {len(named)} cells: {_labels(named)}")
    close = difflib.get_close_matches(name, [cell.label for cell in cells], n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {_labels(cells)}"
    raise InputError(f"compare: no cell {name!r}; {hint}")


def _named(cells: Sequence[Cell], name: str) -> list[Cell]:
    """The cells with this label; where there is none, with this study's name, changed or not, family or id."""
    exact = [cell for cell in cells if cell.label == name]
    return exact or [cell for cell in cells if name in (cell.experiment, cell.names["model"], cell.cell_id)]


def _labels(cells: Sequence[Cell]) -> str:
    labels = [cell.label for cell in cells[:12]]
    return "; ".join(labels) + ("; ..." if len(cells) > len(labels) else "")


@dataclass(frozen=True)
class Regime:
    """An end of training: `target` epochs, training MACs or seconds; of seconds, those of a device and its threads."""

    by: str
    target: float
    device: str | None = None
    threads: int | None = None

    def __str__(self) -> str:
        where = f" ({self.device}, threads {self.threads})" if self.by == "seconds" and self.device else ""
        return f"{self.target:,.6g} {STOP_UNITS.get(self.by, self.by)}{where}"


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
            rows.setdefault(json.dumps(_but_for_stop(cell), sort_keys=True), {})[regime] = cell
    present = {regime for row in rows.values() for regime in row}
    columns = tuple(sorted(present, key=lambda regime: (list(STOP_UNITS).index(regime.by), regime.target, str(regime))))
    if len(columns) < 2:
        return []
    for row in rows.values():
        spent = {regime: near for regime in columns if (near := _nearest(list(row.values()), regime))}
        for regime, near in spent.items():
            row.setdefault(regime, near[0])
    networks = [_but_for_stop(next(iter(row.values()))) for row in rows.values()]
    others = [name for name in differing(networks) if name != "model"]
    return [
        Regimes(
            " ".join(
                [
                    str(network["model"]),
                    *(f"{name} {network[name]}" for name in others if network.get(name) is not None),
                ]
            ),
            columns,
            tuple(row[regime].accuracy if regime in row else None for regime in columns),
        )
        for network, row in zip(networks, rows.values(), strict=True)
    ]


def _spent_as_much(alike: Sequence[Cell], cells: Sequence[Cell]) -> list[Cell]:
    """Those of `cells` that were trained for epochs and otherwise as those of one recipe, whose MACs they spent.

    Of networks that are not among `alike`, and of each that which came nearest.
    """
    regime, recipe = _regime(alike[0]), _without_stop(shared_recipe(alike[0]))
    if regime is None:
        return []
    known = [_but_for_stop(cell) for cell in alike]
    out = []
    for cell in _nearest(cells, regime):
        if _without_stop(shared_recipe(cell)) == recipe and _but_for_stop(cell) not in known:
            known.append(_but_for_stop(cell))
            out.append(cell)
    return out


def _regime(cell: Cell) -> Regime | None:
    by, target = cell.recipe.get("stop.by"), cell.recipe.get("stop.target")
    if by is None or target is None:
        return None
    return Regime(by, float(target), cell.recipe.get("device"), cell.recipe.get("threads"))


def _nearest(cells: Sequence[Cell], regime: Regime) -> list[Cell]:
    """The cells whose epochs came to the training MACs of `regime`, the nearest first; none of another regime."""
    if regime.by != "train_macs":
        return []
    distances = [
        (abs(cell.train_macs - regime.target), index)
        for index, cell in enumerate(cells)
        if cell.recipe.get("stop.by") == "epochs" and cell.train_macs is not None
    ]
    return [cells[index] for distance, index in sorted(distances) if distance <= TOLERANCE * regime.target]


def _but_for_stop(cell: Cell) -> dict[str, Any]:
    """All that a cell is but for when its training ends; what its study is called says that too."""
    names = {name: value for name, value in cell.names.items() if name != "study"}
    return names | cell.network | _without_stop(cell.recipe)


def _without_stop(recipe: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in recipe.items() if name not in _STOP}
