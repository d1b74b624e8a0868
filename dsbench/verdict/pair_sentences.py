"""Better, in a sentence, and what belongs beside it: failures of training, seeds left out, too few seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dsbench.numerals import counted, interval_points, listed, p_equals, p_value, points, quantity, times
from dsbench.statistics.paired import Paired
from dsbench.statistics.power import ALPHA, seeds_to_settle, smallest_adjusted_p
from dsbench.verdict.answers import TOLD, Answer, Measure, summed_up
from dsbench.verdict.better import Better, Tested
from dsbench.verdict.cells import Cell, Run
from dsbench.verdict.faster import EPOCH, TRAINING

IT_IS = {Answer.YES: "it is better", Answer.NO: "it is worse", Answer.CANNOT_TELL: "this cannot tell"}


def better_sentence(found: Better) -> str:
    """One sentence on test accuracy."""
    tested = found.tested
    if tested.paired is None:
        return "Whether it is better cannot be told: there is no seed in which both are done."
    if tested.answer is not Answer.CANNOT_TELL:
        return f"Its test accuracy is {_difference(tested, found.comparisons)}: {IT_IS[tested.answer]}."
    said = f"its test accuracy is {_difference(tested, found.comparisons)}"
    return f"Whether it is better cannot be told: {said}{_more(found)}."


def settled(seeds: int, comparisons: int) -> str:
    """Whether so many seeds can settle so many comparisons at all; empty where they can, and where there are none."""
    needed = seeds_to_settle(comparisons)
    if not seeds or (needed is not None and seeds >= needed):
        return ""
    enough = "no number of seeds can" if needed is None else f"{needed} seeds can"
    least = smallest_adjusted_p(seeds, comparisons)
    return f"{_cannot_settle(seeds, counted(comparisons, 'comparison'), least)}; {enough}."


def settled_beside(found: Better) -> str:
    """Whether a pair's seeds can settle it beside the others, which may have more; empty as above."""
    seeds, least = len(found.tested.seeds), found.smallest_adjusted_p
    return f"{_cannot_settle(seeds, 'it beside the others', least)}." if seeds and least >= ALPHA else ""


def _cannot_settle(seeds: int, what: str, least: float) -> str:
    they = "it" if seeds == 1 else "they"
    return (
        f"{counted(seeds, 'seed')} cannot settle {what}: the smallest adjusted p that {they} can reach is "
        f"{p_value(least)}"
    )


def failure_sentences(reference: Cell, candidate: Cell, found: Better) -> list[str]:
    """What training failed in, whether that changes the answer, what broke off, and the seeds that stand alone."""
    both = (candidate, reference)
    out = [_failed(cell, cell.fallen, "failed to train") for cell in both if cell.fallen]
    if found.with_failures is not None:
        out.append(_sensitivity(found, found.with_failures))
    out += [_failed(cell, cell.broken, "ended without a result") for cell in both if cell.broken]
    for cell, other, alone in (
        (reference, candidate, found.unpaired.reference),
        (candidate, reference, found.unpaired.candidate),
    ):
        if alone:
            noun = (
                f"Seed {alone[0]} of {cell.label} is"
                if len(alone) == 1
                else f"Seeds {listed(alone)} of {cell.label} are"
            )
            out.append(f"{noun} left out: {other.label} has no result there ({_why(other, alone)}).")
    return out


def _failed(cell: Cell, runs: Sequence[Run], what: str) -> str:
    statuses = dict.fromkeys(run.status for run in runs)
    which = "; ".join(f"{status}: {listed([run.seed for run in runs if run.status == status])}" for status in statuses)
    return f"{cell.label} {what} in {len(runs)} of {counted(cell.ended + len(cell.broken), 'seed')} ({which})."


def _why(cell: Cell, seeds: Sequence[int]) -> str:
    """What became of the runs of these seeds."""
    statuses = {run.seed: run.status for run in cell.runs}
    return listed(list(dict.fromkeys(statuses.get(seed, "not asked for") for seed in seeds)))


def _difference(tested: Tested, comparisons: int) -> str:
    assert tested.paired is not None
    return f"{_level(tested.paired)} ({evidence(tested.paired, tested.adjusted_p, comparisons)})"


def _level(found: Paired) -> str:
    if found.mean == 0:
        return "the same in the mean"
    return f"{'higher' if found.mean > 0 else 'lower'} by {points(found.mean)} pp"


def evidence(found: Paired, p: float | None, comparisons: int = 1, asked: int | None = None) -> str:
    """What a mean difference rests on; `asked` is the number of seeds that there were to be."""
    spread = [f"95 % interval {interval_points(found.t.low, found.t.high)} pp"] if found.t else []
    adjusted, over = ("adjusted ", f" over {comparisons} comparisons") if comparisons > 1 else ("", "")
    tested = [f"{adjusted}{p_equals(p)}{over}"] if p is not None else []
    return ", ".join([*spread, *tested, seeds_of(found.n, asked)])


def seeds_of(n: int, asked: int | None = None) -> str:
    """On how many seeds something rests, of those that there were to be."""
    return f"n = {n} of {asked} seeds" if asked and asked > n else f"n = {counted(n, 'seed')}"


def would_change(changed: Sequence[tuple[str, str]]) -> str:
    """What counting trainings that failed would change: the answers to which questions, and to what."""
    what = [f"the answer {question} to {answer}" for question, answer in changed]
    count = "Counting runs that collapsed or diverged, at what they ended with or at guessing,"
    return f"{count} would change {listed(what or ['no answer'])}."


def _more(found: Better) -> str:
    if found.tested.paired is not None and found.tested.paired.mean == 0:
        return "; if the differences are as they seem, there is no effect to find"
    if found.seeds_needed is None:
        return ""
    told = f"; about {found.seeds_needed:,} seeds would probably tell, if the differences are as they seem"
    if found.with_failures is None or len(found.with_failures.seeds) == len(found.tested.seeds):
        return told
    done, ended = len(found.tested.seeds), len(found.with_failures.seeds)
    runs = math.ceil(found.seeds_needed * ended / done)
    return f"{told} and both train in them, as in {done} of {ended} here: about {runs:,} have to be begun"


def _sensitivity(found: Better, counted_in: Tested) -> str:
    if counted_in.paired is None:
        return "These runs are in no mean."
    said = _difference(counted_in, found.comparisons)
    same = counted_in.answer is found.answer
    end = "the answer stays" if same else f"the answer would change: {IT_IS[counted_in.answer]}"
    return (
        "These runs are in no mean; counted at the accuracy that they ended with, or that of guessing, its accuracy "
        f"is {said}: {end}."
    )


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
