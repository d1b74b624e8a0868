"""What to do: which network to take for what, in the sentences that a verdict begins with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dsbench.numerals import counted, listed
from dsbench.quantities import QUANTITIES, Group
from dsbench.verdict.better import side, topology
from dsbench.verdict.cells import Cell
from dsbench.verdict.curves import Curves
from dsbench.verdict.rule import Answer
from dsbench.verdict.verdict import Comparison, Verdict, is_of_proposal
from dsbench.verdict.words import FEW, brief_labels, brief_time, name, noun, place, places

FEWER = 1.1  # times as much of a cost as the other's, from which on it is worth a word
_COUNTED = {"params": "few parameters", "macs": "few MACs", "acts": "few activations"}
_SPEED, _OPEN = "speed", "which is more accurate is open"
_TIMED = {"train_step_ms": "as long a training step", "latency_ms": "as long a latency"}
_SIDES = {Answer.FASTER: 1, Answer.LIGHTER: 1, Answer.MORE_RELIABLE: 1}
_SIDES |= {Answer.SLOWER: -1, Answer.HEAVIER: -1, Answer.LESS_RELIABLE: -1}
_UNKNOWN = (Answer.NOT_MEASURED, Answer.NOT_COMPARABLE)


def advice(verdict: Verdict) -> str:
    """Which network to take for what; along each cost where all of the headline stands on curves of one kind.

    A sentence a group of a few, else one that counts them. Empty where there is nothing to compare.
    """
    on_curves = {cell.cell_id for one in verdict.curves for family in one.networks for cell in family}
    headline = verdict.headline
    if len({one.of for one in verdict.curves}) == 1 and all(
        cell.cell_id in on_curves for pair in headline for cell in pair.cells
    ):
        return _by_cost(verdict.curves)
    choices = [_choice(field) for field in _fields(verdict)]
    if len(choices) > FEW:
        return _counts(choices)
    return " ".join(_capital(f"{choice.field.place}{choice.text}.") for choice in choices)


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


@dataclass(frozen=True)
class _Field:
    """Networks of one group among which one is to be taken, with what they are called by id, and all their pairs."""

    place: str
    networks: tuple[Cell, ...]
    names: Mapping[str, str]
    pairs: tuple[Comparison, ...]
    by_label: bool


def _fields(verdict: Verdict) -> Iterator[_Field]:
    """A field for each pair of the headline: its networks, and those of the other families in its group."""
    headline = verdict.headline
    several = len({pair.group for pair in headline}) < len(headline)
    for first in headline:
        cells = {cell.cell_id: cell for cell in first.cells}
        of_group = [pair for pair in verdict.comparisons if pair.group == first.group]
        if not is_of_proposal(first.cells):
            models = {str(cell.names["model"]) for cell in first.cells}
            for cell in (cell for pair in of_group for cell in pair.cells):
                if topology(cell) == topology(first.cells[0]) and str(cell.names["model"]) not in models:
                    models.add(str(cell.names["model"]))
                    cells[cell.cell_id] = cell
        pairs = tuple(pair for pair in of_group if all(cell.cell_id in cells for cell in pair.cells))
        labels = {cell.cell_id: label for pair in pairs for cell, label in _labels(pair)}
        by_label = several or len({name(first, 0), name(first, 1)} & set(labels.values())) > 0
        names = labels if by_label else {id_: noun(str(cell.names["model"])) for id_, cell in cells.items()}
        yield _Field(place(first), tuple(cells.values()), names, pairs, by_label)


def _labels(pair: Comparison) -> Iterable[tuple[Cell, str]]:
    return zip(reversed(pair.cells), brief_labels(pair), strict=True)


@dataclass(frozen=True)
class _Choice:
    """What to do among the networks of a field; `to_take` are those that may be taken for something, by id, or none."""

    field: _Field
    to_take: tuple[str, ...]
    text: str


def _choice(field: _Field) -> _Choice:
    trained = [cell.cell_id for cell in field.networks if cell.done]
    without = [field.names[cell.cell_id] for cell in field.networks if cell.cell_id not in trained]
    if without:
        return _Choice(field, (), f"nothing is decided: no run of {listed(without)} is done")
    notes: list[str] = []
    winners: dict[tuple[str, ...], list[str]] = {}
    for what, of_pairs in _purposes(field).items():
        behind = {loser for loser in (_loser(*pair) for pair in of_pairs.items()) if loser}
        first = tuple(id_ for id_ in trained if id_ not in behind)
        if len(first) < len(trained):
            winners.setdefault(first, []).append(what)
        elif what == "accuracy" and None in of_pairs.values():
            notes.append(_OPEN)
    notes += _untimed(field)
    even = () if winners or _OPEN in notes else tuple(trained)
    to_take = tuple(dict.fromkeys(id_ for first in winners for id_ in first)) or even
    text = _said(field, winners, notes)
    failed = [_failures(field.names[cell.cell_id], [cell]) for cell in field.networks if cell.cell_id in to_take]
    warnings = list(filter(None, failed))
    return _Choice(field, to_take, text + (f"; mind that {listed(warnings)}" if warnings else ""))


def _said(field: _Field, winners: Mapping[tuple[str, ...], list[str]], notes: Sequence[str]) -> str:
    note = f" ({', '.join(notes)})" if notes else ""
    if not winners:
        either = " or ".join(field.names.values())
        return f"nothing is decided yet{note}" if _OPEN in notes else f"take {either}: they are even{note}"
    (first, purposes), *others = winners.items()
    if not others and len(first) == 1:
        keeps = first[0] == field.networks[0].cell_id
        over = (
            [field.names[cell.cell_id] for cell in field.networks if cell.cell_id not in first]
            if field.by_label
            else []
        )
        against = f" over {listed(over)}" if over else ""
        what = f" for {_listed(purposes)}" if notes else ""
        return f"{'keep' if keeps else 'take'} {field.names[first[0]]}{against}{what}{note}"
    taken = [f"{' or '.join(field.names[id_] for id_ in own)} for {_listed(own_)}" for own, own_ in winners.items()]
    return f"take {', '.join(taken)}{note}"


def _listed(purposes: Sequence[str]) -> str:
    """Purposes, with several times in one pair of brackets."""
    times = [what.removeprefix(f"{_SPEED} (").removesuffix(")") for what in purposes if what.startswith(f"{_SPEED} (")]
    merged = [f"{_SPEED} ({', '.join(times)})" if what.startswith(f"{_SPEED} (") else what for what in purposes]
    return listed(list(dict.fromkeys(merged)))


_Pair = tuple[str, str]  # ids: the reference and the candidate


def _loser(pair: _Pair, ahead: int | None) -> str:
    return "" if not ahead else pair[0] if ahead > 0 else pair[1]


def _purposes(field: _Field) -> dict[str, dict[_Pair, int | None]]:
    """What networks may be taken for, with who is ahead in each pair: 1 the candidate, 0 neither, None where open."""
    out: dict[str, dict[_Pair, int | None]] = {}
    mixed = any(pair.answers["faster"] is Answer.MIXED for pair in field.pairs)
    for pair in field.pairs:
        ids = pair.cells[0].cell_id, pair.cells[1].cell_id
        better = pair.better
        out.setdefault("accuracy", {})[ids] = side(better.interval if better.difference else None, better.margin)
        if better.answer is Answer.TOO_FEW:
            out["accuracy"][ids] = None
        out.setdefault("reliable training", {})[ids] = _SIDES.get(pair.reliable.answer, 0)
        times = [(brief_time(time), time.answer) for time in pair.times if time.decides and time.ratio]
        for what, answer in (
            [(f"{_SPEED} ({what})", answer) for what, answer in times] if mixed else [(_SPEED, pair.answers["faster"])]
        ):
            out.setdefault(what, {})[ids] = _SIDES.get(answer, 0)
        for what, answer, ratio in _costs(pair):
            out.setdefault(what, {})[ids] = _SIDES.get(answer, 0) if abs(math.log(ratio)) > math.log(FEWER) else 0
    return out


def _costs(pair: Comparison) -> Iterator[tuple[str, Answer, float]]:
    """What is counted of both: of whole networks, and on chips what these are judged by."""
    for cost in pair.lighter:
        if cost.name in _COUNTED and cost.ratio:
            yield _COUNTED[cost.name], cost.answer, cost.ratio
    for one in pair.chips:
        if one.judged and not one.timed and one.ratio and not one.matched:
            yield f"little {one.chip} {QUANTITIES[one.figure].heading}", one.answer, one.ratio


def _untimed(field: _Field) -> list[str]:
    """What is not known of times."""
    answers = {pair.answers["faster"] for pair in field.pairs}
    if answers <= set(_UNKNOWN):
        return ["speed is not measured"]
    return ["which is faster is open"] if answers == {Answer.CANNOT_TELL} else []


def _failures(network: str, cells: Sequence[Cell]) -> str:
    """How many trainings of a network failed; empty where none did."""
    failed, ended = sum(len(cell.untrained) for cell in cells), sum(cell.ended for cell in cells)
    return f"{failed} of {counted(ended, 'training')} of {network} failed" if failed else ""


def _counts(choices: Sequence[_Choice]) -> str:
    """In how many comparisons to take which, whatever for."""
    families = {cell.cell_id: noun(str(cell.names["model"])) for choice in choices for cell in choice.field.networks}
    counts: Counter[str] = Counter()
    for choice in choices:
        taken = list(dict.fromkeys(families[id_] for id_ in choice.to_take))
        depends = f"it depends on what for: {' or '.join(taken)}" if taken else "nothing is decided"
        counts[f"take {taken[0]}" if len(taken) == 1 else depends] += 1
    texts = [f"{what} in {number}" for what, number in counts.most_common()]
    if len(texts) == 1:
        texts = [f"{next(iter(counts))} in all"]
    cells = {
        cell.cell_id: cell for choice in choices for cell in choice.field.networks if cell.cell_id in choice.to_take
    }
    by_family: dict[str, list[Cell]] = {}
    for id_, cell in cells.items():
        by_family.setdefault(families[id_], []).append(cell)
    warnings = list(filter(None, (_failures(family, own) for family, own in by_family.items())))
    return f"Of {len(choices)} comparisons {'; '.join(texts)}{f'; mind that {listed(warnings)}' if warnings else ''}."


def _by_cost(curves: Sequence[Curves]) -> str:
    """For as many of what to take which, with how often its trainings failed."""
    outcomes: dict[str, list[str]] = {}
    taken: dict[str, tuple[Cell, ...]] = {}
    for cost in dict.fromkeys(one.cost for one in curves):
        outcome, families = _best([one for one in curves if one.cost == cost])
        outcomes.setdefault(outcome, []).append(cost)
        taken |= families
    clauses = [f"for {_as_much(costs)} {outcome}" for outcome, costs in outcomes.items()]
    warnings = list(filter(None, (_failures(noun(family), cells) for family, cells in taken.items())))
    return _capital(f"{'; '.join(clauses)}{f'; mind that {listed(warnings)}' if warnings else ''}.")


def _as_much(costs: Sequence[str]) -> str:
    """As many parameters and MACs, as long a training step."""
    many = [QUANTITIES[cost].wording for cost in costs if QUANTITIES[cost].group is Group.COUNTED]
    return listed([*([f"as many {listed(many)}"] if many else []), *(_TIMED[cost] for cost in costs if cost in _TIMED)])


def _best(along_cost: Sequence[Curves]) -> tuple[str, dict[str, tuple[Cell, ...]]]:
    """What to take along one cost, and the networks of the families that are to be taken.

    A family that is behind another all along is left out. Where one is left, it is to be taken in the range in which it
    was compared with every other; of two families it is told from where to where; else the page's table tells.
    """
    networks: dict[str, tuple[Cell, ...]] = {}
    for one in along_cost:
        networks |= dict(zip((one.reference, one.candidate), one.networks, strict=True))
    behind = {one.candidate if one.ahead == -1 else one.reference for one in along_cost if one.ahead}
    left = {family: own for family, own in networks.items() if family not in behind}
    names = " or ".join(map(noun, left))
    own = [one for one in along_cost if {one.reference, one.candidate} & left.keys() and one.ahead]
    low, high = max((min(one.along) for one in own), default=0.0), min((max(one.along) for one in own), default=0.0)
    if behind and left and low < high and len(own) >= len(left) * len(behind):
        write = QUANTITIES[along_cost[0].cost].write_brief
        return f"take {names} from {write(low)} to {write(high)}", left
    (one, *others) = along_cost
    if others:
        decided = any(span.side is not None for one in along_cost for span in one.spans)
        return "it depends on the size (see the table)" if decided else "which to take is open", {}
    if one.ahead == 0:
        return f"take {names}: they are even", left
    words = {1: noun(one.candidate), -1: noun(one.reference), 0: "either"}
    told = [f"{words[side]} {where}" for side, where in places(one) if side is not None]
    is_open = [f"open {where}" for side, where in places(one) if side is None]
    if not told:
        return "which to take is open", {}
    return f"take {', '.join(told)}{f' ({listed(is_open)})' if is_open else ''}", left
