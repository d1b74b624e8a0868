"""What to do: which network to take, in the one sentence that a verdict begins with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from dsbench.numerals import counted, listed
from dsbench.quantities import QUANTITIES
from dsbench.verdict.better import topology
from dsbench.verdict.curves import Curves
from dsbench.verdict.rule import Answer
from dsbench.verdict.verdict import Comparison, Verdict, is_of_proposal
from dsbench.verdict.words import FEW, NOUNS, brief_time, name, place, sizes, told_apart

FEWER = 1.1  # times as much of a cost as the other's, from which on it is worth a word
_COUNTED = {"params": "few parameters", "macs": "few MACs", "acts": "few activations"}
_SIDES = {Answer.BETTER: 1, Answer.FASTER: 1, Answer.LIGHTER: 1, Answer.MORE_RELIABLE: 1}
_SIDES |= {Answer.WORSE: -1, Answer.SLOWER: -1, Answer.HEAVIER: -1, Answer.LESS_RELIABLE: -1}


def advice(verdict: Verdict) -> str:
    """Which network to take for what, of the headline's pairs, or along each cost where families have several sizes."""
    pairs = _told(verdict)
    families = {tuple(str(cell.names["model"]) for cell in pair.cells) for pair in verdict.headline}
    if len(families) == 1 and families <= {(one.reference, one.candidate) for one in verdict.curves}:
        clauses = _by_cost(verdict.curves, *families)
    elif len(pairs) <= FEW:
        clauses, before = [], ""
        one_each = len({pair.cells[1].names["model"] for pair in pairs}) == len(pairs)
        all_named = [(name(pair, 1), name(pair, 0)) for pair in pairs] if one_each else told_apart(pairs)
        for pair, named in zip(pairs, all_named, strict=True):
            clauses.append(f"{place(pair) * (pair.group != before)}{_choice(pair, *named)}{_failing(pair, *named)}")
            before = pair.group
    else:
        choices = Counter(_choice(pair, name(pair, 1), name(pair, 0)) for pair in pairs)
        clauses = [f"in {number} of {len(pairs)} comparisons {choice}" for choice, number in choices.most_common(FEW)]
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _told(verdict: Verdict) -> list[Comparison]:
    """The pairs of the headline, and those of their references with the other families of their groups."""
    headline = verdict.headline
    if not headline or is_of_proposal(headline[0].cells):
        return headline
    told = [
        pair
        for first in headline
        for pair in verdict.comparisons
        if pair.group == first.group
        and pair.reference == first.reference
        and topology(pair.cells[1]) == topology(first.cells[1])
        and pair.cells[1].names["model"] != pair.cells[0].names["model"]
    ]
    return list({(pair.group, pair.reference, pair.candidate): pair for pair in (*headline, *told)}.values())


def _by_cost(curves: Sequence[Curves], headline: tuple[str, ...]) -> list[str]:
    """A clause an outcome: at equal what to take which; of the headline's two where no family is ahead of all."""
    outcomes: dict[str, list[str]] = {}
    for cost in dict.fromkeys(one.cost for one in curves):
        along = [one for one in curves if one.cost == cost]
        of_headline = [one for one in along if (one.reference, one.candidate) == headline]
        outcome = _first(along) or next(map(_overtaking, of_headline), "")
        if outcome:
            outcomes.setdefault(outcome, []).append(QUANTITIES[cost].wording)
    return [f"at equal {listed(nouns)} {outcome}" for outcome, nouns in outcomes.items()]


def _first(along: Sequence[Curves]) -> str:
    """To take the one family that is ahead wherever it is compared; empty where there is none, or several are."""
    ahead: dict[str, list[bool]] = {}
    for one in along:
        ahead.setdefault(one.reference, []).append(one.ahead < 0)
        ahead.setdefault(one.candidate, []).append(one.ahead > 0)
    first = [family for family, always in ahead.items() if all(always)]
    return f"take {NOUNS.get(first[0], first[0])}" if len(first) == 1 else ""


def _overtaking(curves: Curves) -> str:
    """Which of two to take below and beyond where one overtakes the other."""
    if not curves.crossings:
        return "one cannot tell which is more accurate"
    sides = [NOUNS.get(side, side) for side in (curves.reference, curves.candidate)]
    first, *others = curves.crossings
    parts = [f"take {sides[first.falls]} below {sizes(curves, first)}, {sides[not first.falls]} beyond"]
    parts += [f"{sides[not other.falls]} again beyond {sizes(curves, other)}" for other in others]
    return ", ".join(parts)


def _choice(pair: Comparison, candidate: str, reference: str) -> str:
    """Which of two to take for what: "take the separable network for accuracy, the conventional network for speed"."""
    ahead: dict[int, list[str]] = {1: [], -1: []}
    for what, answer in _answers(pair):
        if answer in _SIDES:
            ahead[_SIDES[answer]].append(what)
    is_open = pair.better.answer in (Answer.CANNOT_TELL, Answer.TOO_FEW)
    if ahead[1] and ahead[-1]:
        text = f"take {candidate} for {listed(ahead[1])}, {reference} for {listed(ahead[-1])}"
    elif ahead[1] or ahead[-1]:
        text = f"take {candidate}" if ahead[1] else f"keep {reference}"
        text += f" for {listed(ahead[1] or ahead[-1])}" * is_open
    elif is_open:
        return "nothing is decided yet"
    else:
        text = f"take {reference} or {candidate}: neither is ahead"
    return text + " (which is more accurate is open)" * is_open


def _failing(pair: Comparison, candidate: str, reference: str) -> str:
    """A warning of a network that one may take for something and that failed to train, decided or not."""
    warnings = [
        f"{trainings.failed} of {counted(trainings.n, 'training')} of {network} failed"
        for trainings, network, side in (
            (pair.reliable.candidate, candidate, 1),
            (pair.reliable.reference, reference, -1),
        )
        if trainings.failed and any(_SIDES.get(answer) == side for _, answer in _answers(pair))
    ]
    return f", mindful that {listed(warnings)}" if warnings else ""


def _answers(pair: Comparison) -> list[tuple[str, Answer]]:
    """What networks may be taken for, with its answer; of costs those that differ by more than FEWER."""
    faster = pair.answers["faster"]
    times: dict[Answer, list[str]] = {}
    for time in pair.times:
        if time.decides and time.answer in _SIDES:
            times.setdefault(time.answer, []).append(brief_time(time))
    if faster is not Answer.MIXED:
        times = {faster: []}
    return [
        ("accuracy", pair.better.answer),
        ("reliable training", pair.reliable.answer),
        *((f"speed{f' ({listed(own)})' if own else ''}", answer) for answer, own in times.items()),
        *(
            (_COUNTED[cost.name], cost.answer)
            for cost in pair.lighter
            if cost.name in _COUNTED and cost.ratio and abs(math.log(cost.ratio)) > math.log(FEWER)
        ),
    ]
