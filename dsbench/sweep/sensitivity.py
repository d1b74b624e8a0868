"""Which slots to make separable: a designed experiment over them, and the hybrid that it proposes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dsbench.config.network import architecture
from dsbench.config.overrides import combinations, key, value
from dsbench.errors import InputError
from dsbench.numerals import counted, difference_points, listed, points
from dsbench.quantities import LIGHTER, QUANTITIES, Quantity
from dsbench.statistics.fractions import ROMAN, Fraction, smallest_fraction
from dsbench.statistics.means import FEWEST
from dsbench.sweep.design import Cell, Choice, Chosen, Compose, Explored
from dsbench.tables import Column, Entry, Kind, Table, answers, filled, names, written
from dsbench.verdict.groups import HYBRID
from dsbench.verdict.rule import DECIDED
from dsbench.verdict.sentences import saved
from dsbench.verdict.slots import COSTS, Change, Experiment, Interaction, Proposal, Sensitivity, entries, sensitivity

FEWEST_SEEDS = 2  # of a pattern: the error is that between them
PATTERNS_A_MINUTE = 10  # that are measured by turns
FEWEST_MINUTES = 3
_PATTERN = "model.pattern"
_CHOOSES = ("model", "model.family", _PATTERN)  # what the patterns set
_MOST_INTERACTIONS = 12  # rows of their table


class SlotPatterns:
    """`design=sensitivity`: patterns of plain and separable slots, and the cheapest hybrid within the margin."""

    measures = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options` are those of `sensitivity`. Raises InputError for those that make no sense."""
        self.most, self.seeds, self.cost = options["runs"], options["seeds"], options["cost"]
        if self.seeds < FEWEST_SEEDS:
            raise InputError(
                f"sensitivity.seeds={self.seeds}: the error is that between seeds, {FEWEST_SEEDS} at least"
            )

    def explore(self, axes: Sequence[str], seeds: int, compose: Compose) -> list[Cell]:
        """A cell a pattern, the first of plain slots alone. Raises InputError where no such experiment can be made."""
        network = _network(axes)
        if seeds < FEWEST:
            given = "a single seed" if seeds == 1 else f"{seeds} seeds"
            raise InputError(
                f"a sensitivity cannot judge its hybrid on {given}: seeds={FEWEST} at least, or seeds=auto"
            )
        composed = compose([*network, "model=cnn"])
        slots = architecture(composed).slots
        free = [number for number, slot in enumerate(slots, 1) if not slot.pinned]
        if len(free) < 2:
            raise InputError(
                f"arch {composed.choices['arch']} has {counted(len(free), 'slot')} that can be separable; "
                "a sensitivity tells two or more apart: compare model=cnn,dwsep"
            )
        budget = composed.config.budget
        same = budget.by or next((cost.name for cost in COSTS if getattr(budget, cost.name, None)), None)
        if self.cost is not None and self.cost == same:
            others = listed([cost.name for cost in COSTS if cost.name != same])
            raise InputError(f"sensitivity.cost={self.cost} is what the budget makes equal; choose by {others}")
        patterns = smallest_fraction(len(free), self.most).patterns
        return [Cell((*network, *_overrides(pattern, free, len(slots))), self.seeds) for pattern in patterns]

    def at_most(self, axes: Sequence[str], seeds: int, compose: Compose) -> str:
        """Both families and the hybrid between them."""
        return (
            f"then, on other seeds, cnn, dwsep and the hybrid that follows: at most {counted(3 * seeds, 'run')} "
            "in 3 cells"
        )

    def choose(self, explored: Explored) -> Choice:
        """The families, and the hybrid that keeps within the margin at the least cost, where there is one.

        Nothing where it was to be chosen by a time that was not measured.
        """
        found = self.found(explored)
        tables = (slots_table(found), *filter(None, [interactions_table(found)]))
        if found.left:
            missing = f"{counted(found.left, 'run')} {'has' if found.left == 1 else 'have'} no result yet."
            return Choice((missing,), tables, data=data(found))
        if found.untimed:
            return Choice((_untimed(found),), tables, data=data(found))
        network = tuple(override for override in next(iter(explored.cells.values())) if key(override) not in _CHOOSES)
        cells = [Chosen((*network, f"model={family}"), family) for family in ("cnn", "dwsep")]
        if found.proposal is not None:
            chosen = _overrides(found.proposal.pattern, found.free, found.total)
            cells.append(Chosen((*network, *chosen), HYBRID))
        return Choice(tuple(sentences(found)), tables, tuple(cells), data=data(found))

    def found(self, explored: Explored) -> Sensitivity:
        """What was explored says so far."""
        lists = [_listed(overrides) for overrides in explored.cells.values()]
        total = max(map(len, lists))
        free = [number for number in range(1, total + 1) if any(number in _separable(own) for own in lists)]
        patterns = {}
        for cell_id, overrides in explored.cells.items():
            separable = set(free) if "model=dwsep" in overrides else _separable(_listed(overrides))
            patterns[cell_id] = tuple(number in separable for number in free)
        design = smallest_fraction(len(free), self.most)
        experiment = Experiment(design, tuple(free), total, patterns, explored.runs, explored.records)
        kinds = set(explored.runs["requested_kind"].dropna())
        cost = self.cost or next(cost.name for cost in LIGHTER[1::-1] if cost.name not in kinds)
        return sensitivity(experiment, explored.margin, cost)


def _network(axes: Sequence[str]) -> list[str]:
    """The overrides of the one network whose slots are tried. Raises InputError where they list several."""
    for override in axes:
        if key(override) in _CHOOSES:
            raise InputError(f"{override}: a sensitivity tries every slot plain and separable; leave it out")
    networks = combinations(axes)
    if len(networks) != 1:
        raise InputError(f"a sensitivity is of one network: {' '.join(axes)} lists {len(networks)}")
    return networks[0]


def _overrides(pattern: Sequence[bool], free: Sequence[int], total: int) -> tuple[str, ...]:
    """The family where all slots are plain or all separable, whose runs other sweeps have too; else the hybrid.

    Its list is of 0 and 1, which is short enough to name a cell.
    """
    if all(pattern) or not any(pattern):
        return (f"model={'dwsep' if all(pattern) else 'cnn'}",)
    separable = {number for number, own in zip(free, pattern, strict=True) if own}
    listed = ",".join(str(int(number in separable)) for number in range(1, total + 1))
    return "model=hybrid", f"{_PATTERN}=[{listed}]"


def _listed(overrides: Sequence[str]) -> list[str]:
    """What model.pattern lists, nothing where it is not there."""
    return next((value(own).strip("[]").split(",") for own in overrides if key(own) == _PATTERN), [])


def _separable(listed: Sequence[str]) -> set[int]:
    return {number for number, entry in enumerate(listed, 1) if entry == "1"}


def sentences(found: Sensitivity) -> Iterator[str]:
    """The answer first, then what interacts, how many patterns were tried, and what failed."""
    yield _answer(found)
    if found.proposal is not None and found.proposal.failed[0]:
        yield _failed(found.proposal)
    if found.seeds_to_decide:
        undecided = [slot.number for slot in found.slots if slot.answer not in DECIDED]
        which = f"slot {undecided[0]}" if len(undecided) == 1 else f"slots {listed(undecided)}"
        yield (
            f"What {which} alone would lose is not decided; about {found.seeds_to_decide} seeds of each pattern "
            f"would decide: sensitivity.seeds={found.seeds_to_decide}."
        )
    yield from _interacting(found.interactions)
    yield _tried(found.design, found.trained)
    if found.budget:
        yield (
            f"All patterns were solved to the same {QUANTITIES[found.budget].wording}: the effect of a slot is that of "
            "its block and of the width that pays for it."
        )
    if found.failed:
        yield f"{found.failed} of {counted(found.trained, 'training')} failed and are in no mean."


def _untimed(found: Sensitivity) -> str:
    minutes = max(FEWEST_MINUTES, -(-found.design.runs // PATTERNS_A_MINUTE))
    return (
        f"No hybrid is chosen: the {QUANTITIES[found.cost].wording}, by which it was to be, was not measured of all "
        f"patterns by turns. The same line with bench_minutes={minutes} measures it and goes on."
    )


def _answer(found: Sensitivity) -> str:
    margin, cost, proposal = points(found.margin), QUANTITIES[found.cost], found.proposal
    if not any(slot.accuracy and slot.accuracy.interval for slot in found.slots):
        return "Too many trainings failed to tell the slots apart, so no hybrid is proposed."
    if proposal is None:
        nearest = found.nearest
        if nearest is None:
            return f"No hybrid is proposed: none{' that trains' if found.failed else ''} saves {cost.wording}."
        return (
            f"No hybrid is proposed: none that saves {cost.wording} is sure to lose at most the margin of {margin} "
            f"points on validation. The nearest, {_pasted(found, nearest)}, is predicted to {_changes(nearest)}."
        )
    separable = [number for number, own in zip(found.free, proposal.pattern, strict=True) if own]
    which = f"Slots {listed(separable)} are proposed to be separable: together they are"
    if len(separable) == 1:
        which = f"Slot {separable[0]} is proposed to be separable: it is"
    if len(separable) == len(found.free):
        which = "All slots are proposed to be separable: together they are"
    order = [cost.name, *(one.name for one in COSTS if one != cost)]
    less = saved("to save", {name: proposal.saved[name] for name in order if name in proposal.saved})
    return (
        f"{which} predicted to {_changes(proposal)} on validation, all of it within the margin of {margin}"
        f"{''.join(f', and {one}' for one in less)}: {_pasted(found, proposal)}"
    )


def _pasted(found: Sensitivity, proposal: Proposal) -> str:
    return f"model=hybrid {_PATTERN}=[{','.join(entries(proposal.pattern, found.free, found.total))}]"


def _changes(proposal: Proposal) -> str:
    """What a hybrid loses or gains in accuracy, with its interval: lose 0.20 points (0.10 to 0.30)."""
    change = proposal.accuracy
    loses = change.mean <= 0
    return f"{'lose' if loses else 'gain'} {points(abs(change.mean))} points {_ends(change, negative=loses)}"


def _failed(proposal: Proposal) -> str:
    failed, runs = proposal.failed
    if proposal.worst is None:
        return f"Of the {counted(runs, 'training')} of this pattern itself {failed} failed."
    slot = f"slot {proposal.worst} separable"
    return f"This pattern was not trained yet; of the {runs} trainings with {slot} {failed} failed."


def _interacting(interactions: Sequence[Interaction]) -> Iterator[str]:
    """What is seen of interactions; nothing where none was estimated."""
    seen = [one for one in interactions if one.seen]
    for one in seen[:_MOST_INTERACTIONS]:
        change = one.change
        sign = "lose" if change.mean < 0 else "gain"
        size = f"{points(change.mean)} points more {_ends(change, negative=change.mean < 0)}"
        if len(one.pairs) == 1:
            first, second = one.pairs[0]
            yield f"Slots {first} and {second} interact: both separable {sign} {size} than the sum of each alone."
        else:
            pairs = [f"{first} with {second}" for first, second in one.pairs]
            yield f"Of slots {', '.join(pairs)} some interact: together they {sign} {size} than the sum of each alone."
    if interactions and not seen:
        yield "No two slots are seen to interact."


def _tried(design: Fraction, trained: int) -> str:
    slots = len(design.columns)
    if design.whole:
        return f"All {design.runs} patterns of {slots} slots were tried, in {counted(trained, 'training')}."
    clear = (
        "interactions of two are told apart"
        if design.resolution >= 5
        else "interactions of two are told in chains, and the hybrid is predicted without them"
    )
    return (
        f"{design.runs} of the {2**slots:,} patterns of {slots} slots were tried, in {counted(trained, 'training')}: a "
        f"fraction of resolution {ROMAN[design.resolution]}, in which {clear}."
    )


_NOTE = (
    "Separable less plain, in the mean over the other slots. Accuracies are on validation, in percentage points; their "
    "intervals, of the mean over more seeds, hold for all slots together at 95 %. Beside what is saved stands its "
    "share of what the plain network costs, or of times an interval over repeats."
)


def slots_table(found: Sensitivity) -> Table:
    """A row a slot: what it loses and saves where it is separable, and how many trainings failed."""
    slots = found.slots
    failed = [slot.failed for slot in slots] if found.failed else []
    columns: list[Column] = [
        *names({"slot": [str(slot.number) for slot in slots]}),
        Column("accuracy lost", tuple(_lost(slot.accuracy) for slot in slots), Kind.NUMBER),
        answers("answer", [slot.answer for slot in slots]),
        *(_saved(found, cost) for cost in COSTS if any(cost.name in slot.costs for slot in slots)),
    ]
    for side, what in enumerate(("plain", "separable")) if failed else ():
        columns.append(written(f"failed {what}", [f"{own[side][0]} of {own[side][1]}" for own in failed]))
    return Table("Slots", tuple(filled(columns)), _NOTE)


def _lost(change: Change | None) -> Entry:
    if change is None:
        return Entry("")
    interval = change.interval
    half = interval.half if interval else change.mean
    return Entry(
        f"{difference_points(-change.mean, half, sign='')}{f' {_ends(change)}' if interval else ''}", -change.mean
    )


def _ends(change: Change, negative: bool = True) -> str:
    """The interval of what is lost, or where it is not `negative` of what is gained: (0.1 to 0.9)."""
    interval = change.interval
    if interval is None:
        return ""
    half, ends = interval.half, (interval.low, interval.high)
    low, high = sorted(-end if negative else end for end in ends)
    return f"({difference_points(low, half, sign='')} to {difference_points(high, half, sign='')})"


def _saved(found: Sensitivity, cost: Quantity) -> Column:
    """What each slot saves of a cost, with its interval, or the share that it is of what the plain network costs."""
    entries_of = []
    for slot in found.slots:
        change = slot.costs.get(cost.name)
        if change is None:
            entries_of.append(Entry(""))
            continue
        saved = -change.mean
        share = saved / found.predicted[cost.name]
        ends = change.interval
        beside = f"{-ends.high:.3g} to {-ends.low:.3g}" if ends else f"{100 * share:.0f} %"
        text = f"{cost.write(round(saved) if cost.whole else saved)} ({beside})"
        entries_of.append(Entry(text, saved, f"{100 * share:.0f} %"))
    return Column(f"{cost.heading} saved", tuple(entries_of), Kind.NUMBER, f"{cost.brief} saved")


def interactions_table(found: Sensitivity) -> Table | None:
    """The largest interactions; None where none was estimated."""
    largest = sorted(found.interactions, key=lambda one: -abs(one.change.mean))[:_MOST_INTERACTIONS]
    if not largest:
        return None
    pairs = [", ".join(f"{first} with {second}" for first, second in one.pairs) for one in largest]
    columns = (
        *names({"slots": pairs}),
        Column("further loss together", tuple(_lost(one.change) for one in largest), Kind.NUMBER),
        written("seen", ["yes" if one.seen else "no" for one in largest]),
    )
    more = len(found.interactions) - len(largest)
    note = "What two separable slots lose together beyond the sum of what each loses alone, percentage points."
    return Table("Interactions", columns, note + (f" {more} smaller ones are left out." if more else ""))


def data(found: Sensitivity) -> dict[str, list[dict[str, Any]]]:
    """A row a slot and a row an interaction, changes of accuracy as shares of 1."""
    slots: list[dict[str, Any]] = []
    for slot, proposed in zip(found.slots, _proposed(found), strict=True):
        row = {"slot": slot.number, **_row("accuracy", slot.accuracy), "answer": str(slot.answer), "proposed": proposed}
        for cost in COSTS:
            row |= _row(cost.name, slot.costs.get(cost.name))
        (failed_plain, n_plain), (failed_separable, n_separable) = slot.failed
        row |= {"failed_plain": failed_plain, "n_plain": n_plain}
        slots.append(row | {"failed_separable": failed_separable, "n_separable": n_separable})
    pairs = [
        {"slots": " ".join(f"{first}x{second}" for first, second in one.pairs), **_row("accuracy", one.change)}
        for one in found.interactions
    ]
    return {"slots": slots, "interactions": pairs}


def _proposed(found: Sensitivity) -> list[str | None]:
    """What each slot is in the hybrid that is proposed; None where there is none."""
    if found.proposal is None:
        return [None] * len(found.slots)
    return ["separable" if own else "plain" for own in found.proposal.pattern]


def _row(name: str, change: Change | None) -> dict[str, float | None]:
    interval = change.interval if change else None
    return {
        name: change.mean if change else None,
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
    }
