"""Does int8 cost one family more? The accuracy that trained networks lose, each against itself, between two cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dsbench.statistics.means import Contrast, Interval, Sample, contrast, t_interval
from dsbench.verdict.better import decide
from dsbench.verdict.cells import Cell
from dsbench.verdict.rule import Answer

INT8 = "int8"  # a question that is asked where accuracies in int8 are known
PER_CHANNEL, PER_TENSOR = "int8", "int8_per_tensor"  # precisions
_WORDS = {
    Answer.BETTER: Answer.LOSES_LESS,
    Answer.WORSE: Answer.LOSES_MORE,
    Answer.AS_GOOD: Answer.LOSES_AS_MUCH,
    Answer.NO_WORSE: Answer.LOSES_NO_MORE,
}


@dataclass(frozen=True)
class Change:
    """What int8 changes the test accuracy of a cell's `n` trained networks by: the mean, and its interval over seeds.

    Shares of 1, below 0 where it costs accuracy.
    """

    n: int
    mean: float
    interval: Interval | None


@dataclass(frozen=True)
class Int8:
    """Whether int8 costs the candidate's networks more test accuracy than the reference's, in one runtime.

    `what` says in which, and in which int8. `mean` is the candidate's change less the reference's, `interval` at 1 -
    `level` over new seeds on these images, `p` of this comparison alone; `beyond` says whether it lies beyond `margin`.
    """

    what: str
    answer: Answer
    reference: Change
    candidate: Change
    mean: float
    interval: Interval | None
    beyond: bool
    p: float | None
    level: float
    margin: float
    difference: Contrast


def int8(reference: Cell, candidate: Cell, level: float, margin: float, cautious: bool) -> tuple[Int8, ...]:
    """An answer a runtime and int8; the first is that of the question. Empty where no int8 accuracy is known.

    The change of a network is the accuracy of its int8 file less its own test accuracy: pairs of one training. Means of
    changes are compared between cells as accuracies are (see dsbench.verdict.better), seed by seed unpaired. Where a
    runtime has a scale a layer too (`int8_per_tensor`), what that changes beyond a scale a channel is compared as well.
    Of runtimes those that know the most runs count.
    """
    places = {place: _known(reference, place) + _known(candidate, place) for place in _places(reference, candidate)}
    most = max(places.values(), default=0)
    known = [place for place, number in places.items() if number == most]
    out = [_compared(place, (), reference, candidate, level, margin, cautious) for place in known]
    out += [
        _compared(place, (f"{place.partition('/')[0]}/{PER_CHANNEL}",), reference, candidate, level, margin, cautious)
        for place in known
        if place.endswith(f"/{PER_TENSOR}") and f"{place.partition('/')[0]}/{PER_CHANNEL}" in known
    ]
    return tuple(answer for answer in out if answer is not None)


def _places(*cells: Cell) -> list[str]:
    return list(dict.fromkeys(place for cell in cells for run in cell.done for place in run.int8))


def _known(cell: Cell, place: str) -> int:
    return sum(place in run.int8 for run in cell.done)


def _compared(
    place: str,
    beside: Sequence[str],
    reference: Cell,
    candidate: Cell,
    level: float,
    margin: float,
    cautious: bool,
) -> Int8 | None:
    """What `place` changes, from the runs' own accuracies or from those of the one place `beside` it."""
    before, after = (_changes(cell, place, *beside) for cell in (reference, candidate))
    difference = contrast([Sample(before, -1.0), Sample(after, 1.0)], cautious)
    if difference is None:
        return None
    decision = decide(difference, level, margin)
    runtime, precision = place.split("/")
    what = f"{runtime}, a scale a {'layer' if precision == PER_TENSOR else 'channel'}"
    return Int8(
        what=f"{what}, less a scale a channel" if beside else what,
        answer=_WORDS.get(decision.answer, decision.answer),
        reference=_change(before, level),
        candidate=_change(after, level),
        mean=difference.difference,
        interval=decision.interval,
        beyond=decision.beyond,
        p=difference.p,
        level=level,
        margin=margin,
        difference=difference,
    )


def _changes(cell: Cell, place: str, beside: str | None = None) -> np.ndarray:
    """What each network of a cell changes by, of those that both accuracies are known of."""
    pairs = [
        (run.int8[place], run.test_acc if beside is None else run.int8.get(beside))
        for run in cell.done
        if place in run.int8
    ]
    return np.array([after - before for after, before in pairs if before is not None], dtype=float)


def _change(changes: np.ndarray, level: float) -> Change:
    return Change(len(changes), float(changes.mean()), t_interval(changes, level))
