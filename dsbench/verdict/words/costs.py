"""Lighter and faster, in a sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dsbench.numerals import counted, listed, p_equals, quantity, times
from dsbench.statistics.power import ALPHA
from dsbench.verdict.answers import TOLD, Answer, Measure, summed_up
from dsbench.verdict.times.trained import EPOCH, TRAINING

_NAMES = {EPOCH: "an epoch", TRAINING: "all of training"}
_FASTER = {
    Answer.YES: "It is faster",
    Answer.NO: "It is slower",
    Answer.CANNOT_TELL: "Whether it is faster cannot be told",
    Answer.REFUSED: "Whether it is faster cannot be said",
    Answer.UNSETTLED: "Whether it is faster cannot be told",
    Answer.NOT_MEASURED: "Whether it is faster has not been measured",
}


def lighter_sentence(reference: str, candidate: str, measures: Sequence[Measure]) -> str:
    """One sentence on what both cost for one image."""
    known = [one for one in measures if one.answer is not Answer.NOT_MEASURED]
    if not known:
        return f"What {candidate} and {reference} cost is not recorded."
    answer = summed_up(measures)
    if answer is Answer.EQUAL:
        head = f"{candidate} is as heavy as {reference}"
    elif said := _said(answer, {one.unit: one.answer for one in measures}, "lighter", "heavier", f" than {reference}"):
        head = f"{candidate} is {said}"
    else:
        head = f"Whether {candidate} is lighter than {reference} cannot be told"
    unknown = [f"{one.unit} {one.reason}" for one in measures if one not in known]
    return "; ".join([f"{head}: {listed([_cost(one) for one in known])}", *unknown]) + "."


def faster_sentence(measures: Sequence[Measure]) -> str:
    """One sentence on measured times, with where and under what they were taken, or why there are none."""
    deciding = [one for one in measures if one.decides]
    answer = summed_up(deciding)
    told = [one for one in deciding if one.answer in TOLD]
    if not told:
        reasons = list(dict.fromkeys(one.reason for one in deciding))
        several = [f"{one.name} {one.reason}" for one in deciding]
        return f"{_FASTER[answer]}: {'; '.join(reasons if len(reasons) == 1 else several)}."
    said = _said(answer, {f"the {one.name}": one.answer for one in deciding}, "faster", "slower")
    rest = ", for the rest this cannot be told" if said and any(map(_open, deciding)) else ""
    head = f"It is {said}{rest}" if said else _FASTER[answer]
    left_out = [f"{one.name} left out, {one.reason}" for one in deciding if one not in told]
    rounds = " to ".join(str(n) for n in dict.fromkeys(pick(one.n or 0 for one in told) for pick in (min, max)))
    where = f"medians ± interquartile ranges and adjusted p of {rounds} rounds by turns on {told[0].note}"
    return "; ".join([f"{head}: {listed([_time(one) for one in told])} ({where})", *left_out]) + "."


def _said(answer: Answer, named: Mapping[str, Answer], yes: str, no: str, than: str = "") -> str:
    """What it is: in a word where all measures agree, else by name; empty where none of them says."""
    words = {Answer.YES: yes, Answer.NO: no}
    if answer in words:
        return words[answer] + than
    of = {word: [name for name, one in named.items() if one is said] for said, word in words.items()}
    parts = [(word, f" in {listed(names)}") for word, names in of.items() if names]
    return listed([word + (than if part == 0 else "") + where for part, (word, where) in enumerate(parts)] or [""])


def _open(one: Measure) -> bool:
    return one.answer not in (Answer.YES, Answer.NO, Answer.EQUAL)


def _cost(one: Measure) -> str:
    figures = f"{quantity(one.candidate)} against {quantity(one.reference)}"
    if one.ratio is None:
        return f"{figures} {one.unit}"
    if one.answer is Answer.EQUAL:
        return f"as many {one.unit} ({figures})"
    return f"{times(one.ratio)} times the {one.unit} ({figures})"


def _time(one: Measure) -> str:
    """A time against another, and why the two do not rank where they do not."""
    assert one.ratio is not None
    assert one.p is not None
    after, before = (
        f"{quantity(value)} ± {quantity(spread)}"
        for value, spread in ((one.candidate, one.candidate_spread), (one.reference, one.reference_spread))
    )
    close = ", too close to tell" if one.answer is Answer.CANNOT_TELL and one.p < ALPHA else ""
    figures = f"{after} against {before} {one.unit}, {p_equals(one.p)}{close}"
    return f"{one.name} {times(one.ratio)} times as long ({figures})"


def training_sentence(measures: Sequence[Measure], comparisons: int) -> str:
    """One sentence on the seconds of training, which decide nothing; empty where no seed has both.

    p is adjusted for `comparisons`.
    """
    shown = [one for one in measures if one.ratio is not None]
    if not shown:
        return ""
    reasons = dict.fromkeys(one.reason for one in shown if one.reason)
    why = f"; not compared: {'; '.join(reasons)}" if reasons else ""
    seeds = counted(shown[0].n or 0, "seed")
    return (
        f"Seconds as trained, which decide nothing: {listed([_seconds(one, comparisons) for one in shown])} "
        f"(n = {seeds}; {shown[0].note}{why})."
    )


def _seconds(one: Measure, comparisons: int) -> str:
    p = "" if one.p is None else f" ({'adjusted ' if comparisons > 1 else ''}{p_equals(one.p)})"
    return f"{_NAMES[one.name]} {quantity(one.candidate)} against {quantity(one.reference)} s{p}"
