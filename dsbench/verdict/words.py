"""A comparison in words: the names of its networks, and each answer with its figures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from dsbench.numerals import difference_points, listed, points, times
from dsbench.quantities import QUANTITIES
from dsbench.statistics.means import FEWEST, Interval
from dsbench.tables import Line
from dsbench.verdict.better import Better
from dsbench.verdict.chips import ChipMeasure
from dsbench.verdict.faster import short
from dsbench.verdict.groups import AS_ASKED
from dsbench.verdict.int8 import INT8, Change, Int8
from dsbench.verdict.lighter import Measure, agreed
from dsbench.verdict.reliable import Reliable, Trainings
from dsbench.verdict.rule import Answer

if TYPE_CHECKING:
    from dsbench.verdict.curves import Curves
    from dsbench.verdict.verdict import Comparison

FEW = 3  # comparisons that are told one by one
VERBS = {
    Answer.BETTER: "is more accurate",
    Answer.WORSE: "is less accurate",
    Answer.AS_GOOD: "is as accurate",
    Answer.NO_WORSE: "is no less accurate",
}
_NOUNS = {"cnn": "the conventional network", "dwsep": "the separable network", "hybrid": "the hybrid"}
_OPEN = (Answer.CANNOT_TELL, Answer.NOT_MEASURED, Answer.NOT_COMPARABLE)  # of times


def noun(family: str) -> str:
    """A family in words; the name itself of one that is not dsbench's own."""
    return _NOUNS.get(family, family)


def name(pair: Comparison, side: int) -> str:
    """The reference, 0, or the candidate, 1: its family in words where both differ in that, else its label."""
    models = [str(cell.names["model"]) for cell in pair.cells]
    labels = (pair.reference, pair.candidate)
    return _NOUNS.get(models[side], labels[side]) if models[0] != models[1] else labels[side]


def brief_labels(pair: Comparison) -> tuple[str, str]:
    """The labels of the candidate and of the reference, without what both have changed in the recipe of their study.

    Nor have they what the name of their group says already.
    """

    def brief(label: str) -> str:
        parts = label.split(", ")
        return ", ".join([parts[0], *(part for part in parts[1:] if f" {part}," not in f" {pair.group},")])

    candidate, reference = (label.partition(" (modified: ") for label in (brief(pair.candidate), brief(pair.reference)))
    if candidate[2] == reference[2] and candidate[0] != reference[0]:
        return candidate[0], reference[0]
    return "".join(candidate), "".join(reference)


def told_apart(pairs: Sequence[Comparison]) -> list[tuple[str, str]]:
    """What the candidate and the reference of each are called: families, labels where one group has several pairs."""
    several = len({pair.group for pair in pairs}) < len(pairs)
    return [brief_labels(pair) if several else (name(pair, 1), name(pair, 0)) for pair in pairs]


def described(pair: Comparison) -> str:
    """A comparison by its names and its group."""
    candidate, reference = brief_labels(pair)
    return f"{candidate} against {reference}, {place(pair)}".rstrip(" ,").replace(", at ", " at ")


def place(pair: Comparison) -> str:
    """Where two networks were compared, before what is said of them: "at 7,800 parameters "."""
    return f"{pair.group}, " if pair.group.startswith(AS_ASKED) else f"at {pair.group} "


def summary(pair: Comparison, question: str) -> list[Line]:
    """The answer to a question, then its figures, a line each; where it is mixed in times, a line for each answer."""
    if question == "lighter":
        costs = [*pair.lighter, *(one for one in pair.chips if one.judged and not one.timed)]
        return _lines(
            pair.answers[question], [cost(measure) for measure in costs if measure.answer is not Answer.EQUAL]
        )
    if question == "faster":
        return _faster(pair)
    if question == "better":
        return _lines(pair.better.answer, _better(pair.better))
    if question == INT8:
        return _lines(pair.int8[0].answer, _int8(pair.int8[0])) if pair.int8 else _lines(Answer.NOT_MEASURED, [])
    return _lines(pair.reliable.answer, _reliable(pair.reliable))


def _lines(answer: Answer, figures: Sequence[str]) -> list[Line]:
    return [Line.of(answer), *(Line.of(None, text) for text in figures)]


def cost(measure: Measure) -> str:
    """A cost against the reference's: acts x 4.4, tflm arena x 1.2, ethos_u55_128 cycles (estimate) x 1.4."""
    if isinstance(measure, ChipMeasure):
        what = f"{measure.chip} {QUANTITIES[measure.figure].heading}"
    else:
        what = QUANTITIES[measure.name].brief
    return f"{what} {ratio(measure) or measure.reason}"


def ratio(measure: Measure) -> str:
    """A ratio with its interval: x 2.57 (2.3 to 2.9)."""
    if measure.ratio is None:
        return ""
    ends = measure.interval
    return f"x {times(measure.ratio)}" + (f" ({times(ends.low)} to {times(ends.high)})" if ends else "")


def _faster(pair: Comparison) -> list[Line]:
    """Training step, latency of one image and of many, here and on chips that are timed.

    One answer where all agree, else mixed, what is open last.
    """
    deciding = [measure for measure in pair.times if measure.decides]
    told = [measure for measure in deciding if measure.ratio is not None]
    if not told:
        return _lines(Answer.NOT_MEASURED, [])
    answer = agreed(deciding)
    if answer is not Answer.MIXED:
        reasons = dict.fromkeys(measure.reason for measure in told if measure.reason)
        return _lines(answer, [*(f"{brief_time(measure)} {ratio(measure)}" for measure in told), *reasons])
    by_answer: dict[Answer, list[str]] = {}
    for measure in sorted(deciding, key=lambda measure: measure.answer in _OPEN):
        by_answer.setdefault(measure.answer, []).append(f"{brief_time(measure)} {ratio(measure) or measure.reason}")
    return [Line.of(answer), *(Line.of(each, ", ".join(figures)) for each, figures in by_answer.items())]


def brief_time(measure: Measure) -> str:
    """What is timed, where room is short: step, one image, litert int8."""
    return measure.where if isinstance(measure, ChipMeasure) else short(measure.name)


def _better(better: Better) -> list[str]:
    if better.mean is None:
        return ["no run is done on a side"]
    half = better.interval and better.interval.half
    out = [f"{difference_points(better.mean, half or better.mean)} points"]
    out += [within(better.interval)] if better.interval else []
    if better.answer is Answer.TOO_FEW:
        return [*out, f"{FEWEST} runs a side decide"]
    if better.answer in (Answer.BETTER, Answer.WORSE) and better.margin:
        assert better.interval is not None
        inside = max(abs(better.interval.low), abs(better.interval.high)) < better.margin
        out += [f"by {'more' if better.beyond else 'less'} than {points(better.margin)}"] * (better.beyond or inside)
    if better.images_cannot_tell:
        out.append(f"{better.images_cannot_tell:,} images cannot tell")
    elif better.seeds_to_decide:
        out.append(f"about {better.seeds_to_decide:,} seeds would")
    return out + ["fragile"] * bool(better.fragile)


def sized(better: Better) -> str:
    """A difference without its sign, and its interval: 3.7 points (3.3 to 4.2)."""
    assert better.mean is not None
    if better.interval is None:
        return f"{points(better.mean)} points"
    ends = sorted((abs(better.interval.low), abs(better.interval.high)))
    half = better.interval.half
    size, low, high = (difference_points(value, half, sign="") for value in (abs(better.mean), *ends))
    return f"{size} points ({low} to {high})"


def signed(better: Better) -> str:
    """A difference with its sign, and its interval: -0.9 points (-1.5 to -0.2)."""
    assert better.mean is not None
    if better.interval is None:
        return f"{difference_points(better.mean, better.mean)} points"
    return f"{difference_points(better.mean, better.interval.half)} points {within(better.interval)}"


def within(interval: Interval) -> str:
    """An interval of a difference: (-1.5 to -0.2)."""
    low, high = (difference_points(end, interval.half) for end in (interval.low, interval.high))
    return f"({low} to {high})"


def would_decide(better: Better) -> str:
    """What would decide: a number of seeds, or none on these images; empty where no number is known."""
    if better.images_cannot_tell:
        return f"; {better.images_cannot_tell:,} test images cannot tell, whatever the seeds"
    if better.seeds_to_decide is None:
        return ""
    return f"; about {better.seeds_to_decide:,} seeds a side would decide"


def along(curves: Curves) -> str:
    """Who is more accurate from where to where along a cost: "cnn up to 4.85k, dwsep from 18.5k on"."""
    names = {1: curves.candidate, -1: curves.reference, 0: "even", None: "open"}
    write, spans = QUANTITIES[curves.cost].write_brief, curves.spans
    whole = f"all from {write(spans[0].low)} to {write(spans[-1].high)}"
    if {span.side for span in spans} == {None}:
        return f"{Answer.CANNOT_TELL}, {whole}"
    if curves.ahead is not None:
        inner = [write(cost) for cost, side in curves.sides.items() if side is None]
        return f"{names[curves.ahead]}, {whole}{f' but {listed(inner)}, where it is open' if inner else ''}"
    return ", ".join(f"{names[side]} {where}" for side, where in places(curves))


def places(curves: Curves) -> list[tuple[int | None, str]]:
    """Each side (see Curves.sides) with where it holds, "up to 4.85k"; what is open between others is left out."""
    write, spans = QUANTITIES[curves.cost].write_brief, curves.spans
    parts: list[tuple[int | None, str]] = []
    for number, span in enumerate(spans):
        low, high = write(span.low), write(span.high)
        between = f"at {low}" if span.low == span.high else f"from {low} to {high}"
        where = f"up to {high}" if not number else f"from {low} on" if number == len(spans) - 1 else between
        if span.side is not None or where != between:
            parts.append((span.side, where))
    told = groupby(parts, key=lambda part: part[0])
    return [(side, listed([where for _, where in own])) for side, own in told]


def _reliable(reliable: Reliable) -> list[str]:
    after, before = reliable.candidate, reliable.reference
    if not (after.n and before.n):
        return []
    out = [f"{after.failed} of {after.n} and {before.failed} of {before.n} failed"]
    highest = dict.fromkeys(f"{100 * side.interval.high:.0f} %" for side in (after, before) if side.interval)
    if reliable.answer is Answer.NO_DIFFERENCE:
        out.append(f"{'each ' * (len(highest) == 1)}below {' and '.join(highest)}")
    return out


def trainings(side: Trainings) -> str:
    """k of n with the interval of the share: 3 of 8 (9 to 76 %)."""
    if side.interval is None:
        return f"{side.failed} of {side.n}"
    low, high = (f"{100 * end:.0f}" for end in (side.interval.low, side.interval.high))
    return f"{side.failed} of {side.n} ({low} to {high} %)"


def _int8(int8: Int8) -> list[str]:
    """The difference of the changes with its interval, then the change of each side."""
    half = int8.interval.half if int8.interval else int8.mean
    out = [f"{difference_points(int8.mean, half)} points"]
    out += [within(int8.interval)] if int8.interval else []
    return [*out, f"{changed(int8.candidate)} and {changed(int8.reference)}"]


def changed(change: Change) -> str:
    """What int8 changes the accuracy of a cell by, in points, to as many digits as its interval bears."""
    return difference_points(change.mean, change.interval.half if change.interval else change.mean)
