"""A pair in sentences: lighter, faster, better, and beside these what failed, what is left out, and too few seeds."""

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
from dsbench.verdict.verdict import Pair

_BETTER = {Answer.YES: "it is better", Answer.NO: "it is worse", Answer.CANNOT_TELL: "this cannot tell"}
_TRAINED = {EPOCH: "an epoch", TRAINING: "all of training"}
_FASTER = {
    Answer.YES: "It is faster",
    Answer.NO: "It is slower",
    Answer.CANNOT_TELL: "Whether it is faster cannot be told",
    Answer.REFUSED: "Whether it is faster cannot be said",
    Answer.UNSETTLED: "Whether it is faster cannot be told",
    Answer.NOT_MEASURED: "Whether it is faster has not been measured",
}


def pair_sentences(pair: Pair, reference: Cell, candidate: Cell) -> list[str]:
    """Lighter, faster and better in a sentence each, then what belongs beside them."""
    sentences = [
        lighter_sentence(pair.reference, pair.candidate, pair.lighter),
        faster_sentence(pair.by_turns),
        better_sentence(pair.better),
        *failure_sentences(reference, candidate, pair.better),
        training_sentence(pair.trained, pair.better.comparisons),
    ]
    return list(filter(None, sentences))


def lighter_sentence(reference: str, candidate: str, measures: Sequence[Measure]) -> str:
    """One sentence on what both cost for one image."""
    known = [measure for measure in measures if measure.answer is not Answer.NOT_MEASURED]
    if not known:
        return f"What {candidate} and {reference} cost is not recorded."
    answer = summed_up(measures)
    if answer is Answer.EQUAL:
        head = f"{candidate} is as heavy as {reference}"
    else:
        answers = {measure.unit: measure.answer for measure in measures}
        words = _in_words(answer, answers, "lighter", "heavier", f" than {reference}")
        head = f"{candidate} is {words}" if words else f"Whether {candidate} is lighter than {reference} cannot be told"
    unknown = [f"{measure.unit} {measure.reason}" for measure in measures if measure not in known]
    return "; ".join([f"{head}: {listed([_cost(measure) for measure in known])}", *unknown]) + "."


def faster_sentence(measures: Sequence[Measure]) -> str:
    """One sentence on measured times, with where and under what they were taken, or why there are none."""
    deciding = [measure for measure in measures if measure.decides]
    answer = summed_up(deciding)
    told = [measure for measure in deciding if measure.answer in TOLD]
    if not told:
        reasons = list(dict.fromkeys(measure.reason for measure in deciding))
        several = [f"{measure.name} {measure.reason}" for measure in deciding]
        return f"{_FASTER[answer]}: {'; '.join(reasons if len(reasons) == 1 else several)}."
    words = _in_words(answer, {f"the {measure.name}": measure.answer for measure in deciding}, "faster", "slower")
    undecided = any(measure.answer not in (Answer.YES, Answer.NO, Answer.EQUAL) for measure in deciding)
    rest = ", for the rest this cannot be told" if words and undecided else ""
    head = f"It is {words}{rest}" if words else _FASTER[answer]
    left_out = [f"{measure.name} left out, {measure.reason}" for measure in deciding if measure not in told]
    numbers = [measure.n or 0 for measure in told]
    rounds = " to ".join(map(str, dict.fromkeys((min(numbers), max(numbers)))))
    where = f"medians ± interquartile ranges and adjusted p of {rounds} rounds by turns on {told[0].note}"
    return "; ".join([f"{head}: {listed([_time(measure) for measure in told])} ({where})", *left_out]) + "."


def _in_words(answer: Answer, named: Mapping[str, Answer], yes: str, no: str, than: str = "") -> str:
    """What it is: in a word where all measures agree, else by name; empty where none of them says."""
    words = {Answer.YES: yes, Answer.NO: no}
    if answer in words:
        return words[answer] + than
    names = {word: [name for name in named if named[name] is meaning] for meaning, word in words.items()}
    parts = [(word, f" in {listed(where)}") for word, where in names.items() if where]
    return listed([word + (than if part == 0 else "") + where for part, (word, where) in enumerate(parts)] or [""])


def _cost(measure: Measure) -> str:
    figures = f"{quantity(measure.candidate)} against {quantity(measure.reference)}"
    if measure.ratio is None:
        return f"{figures} {measure.unit}"
    if measure.answer is Answer.EQUAL:
        return f"as many {measure.unit} ({figures})"
    return f"{times(measure.ratio)} times the {measure.unit} ({figures})"


def _time(measure: Measure) -> str:
    """A time against another, and why the two do not rank where they do not."""
    assert measure.ratio is not None
    assert measure.p is not None
    after, before = (
        f"{quantity(value)} ± {quantity(spread)}"
        for value, spread in (
            (measure.candidate, measure.candidate_spread),
            (measure.reference, measure.reference_spread),
        )
    )
    close = ", too close to tell" if measure.answer is Answer.CANNOT_TELL and measure.p < ALPHA else ""
    figures = f"{after} against {before} {measure.unit}, {p_equals(measure.p)}{close}"
    return f"{measure.name} {times(measure.ratio)} times as long ({figures})"


def training_sentence(measures: Sequence[Measure], comparisons: int) -> str:
    """One sentence on the seconds of training, which decide nothing; empty where no seed has both.

    p is adjusted for `comparisons`.
    """
    shown = [measure for measure in measures if measure.ratio is not None]
    if not shown:
        return ""
    reasons = dict.fromkeys(measure.reason for measure in shown if measure.reason)
    why = f"; not compared: {'; '.join(reasons)}" if reasons else ""
    seeds = counted(shown[0].n or 0, "seed")
    return (
        f"Seconds as trained, which decide nothing: {listed([_seconds(measure, comparisons) for measure in shown])} "
        f"(n = {seeds}; {shown[0].note}{why})."
    )


def _seconds(measure: Measure, comparisons: int) -> str:
    p = "" if measure.p is None else f" ({'adjusted ' if comparisons > 1 else ''}{p_equals(measure.p)})"
    return f"{_TRAINED[measure.name]} {quantity(measure.candidate)} against {quantity(measure.reference)} s{p}"


def better_sentence(better: Better) -> str:
    """One sentence on test accuracy."""
    tested = better.tested
    if tested.paired is None:
        return "Whether it is better cannot be told: there is no seed in which both are done."
    difference = _difference(tested, better.comparisons)
    if tested.answer is not Answer.CANNOT_TELL:
        return f"Its test accuracy is {difference}: {_BETTER[tested.answer]}."
    return f"Whether it is better cannot be told: its test accuracy is {difference}{_seeds_that_would_tell(better)}."


def too_few_seeds(seeds: int, comparisons: int) -> str:
    """That so many seeds cannot settle so many comparisons at all; empty where they can, and where there are none."""
    needed = seeds_to_settle(comparisons)
    if not seeds or (needed is not None and seeds >= needed):
        return ""
    enough = "no number of seeds can" if needed is None else f"{needed} seeds can"
    least = smallest_adjusted_p(seeds, comparisons)
    return f"{_cannot_settle(seeds, counted(comparisons, 'comparison'), least)}; {enough}."


def too_few_beside_others(better: Better) -> str:
    """That a pair's seeds cannot settle it beside the others, which may have more; empty as in too_few_seeds."""
    seeds, least = len(better.tested.seeds), better.smallest_adjusted_p
    return f"{_cannot_settle(seeds, 'it beside the others', least)}." if seeds and least >= ALPHA else ""


def _cannot_settle(seeds: int, what: str, least: float) -> str:
    they = "it" if seeds == 1 else "they"
    return (
        f"{counted(seeds, 'seed')} cannot settle {what}: the smallest adjusted p that {they} can reach is "
        f"{p_value(least)}"
    )


def failure_sentences(reference: Cell, candidate: Cell, better: Better) -> list[str]:
    """What failed to train, whether that changes the answer, what has no result, and the seeds that only one has."""
    both = (candidate, reference)
    out = [_failed(cell, cell.untrained, "failed to train") for cell in both if cell.untrained]
    if better.with_failures is not None:
        out.append(_sensitivity(better, better.with_failures))
    out += [_failed(cell, cell.without_result, "ended without a result") for cell in both if cell.without_result]
    for cell, other, alone in (
        (reference, candidate, better.unpaired.reference),
        (candidate, reference, better.unpaired.candidate),
    ):
        if alone:
            statuses = {run.seed: run.status for run in other.runs}
            reasons = listed(list(dict.fromkeys(statuses.get(seed, "not asked for") for seed in alone)))
            seeds, are = (f"Seed {alone[0]}", "is") if len(alone) == 1 else (f"Seeds {listed(alone)}", "are")
            out.append(f"{seeds} of {cell.label} {are} left out: {other.label} has no result there ({reasons}).")
    return out


def _failed(cell: Cell, runs: Sequence[Run], what: str) -> str:
    statuses = dict.fromkeys(run.status for run in runs)
    which = "; ".join(f"{status}: {listed([run.seed for run in runs if run.status == status])}" for status in statuses)
    return f"{cell.label} {what} in {len(runs)} of {counted(cell.ended + len(cell.without_result), 'seed')} ({which})."


def _difference(tested: Tested, comparisons: int) -> str:
    assert tested.paired is not None
    mean = tested.paired.mean
    level = f"{'higher' if mean > 0 else 'lower'} by {points(mean)} pp" if mean else "the same in the mean"
    return f"{level} ({evidence(tested.paired, tested.adjusted_p, comparisons)})"


def evidence(test: Paired, p: float | None, comparisons: int = 1, asked: int | None = None) -> str:
    """What a mean difference rests on; `asked` is the number of seeds that there were to be."""
    spread = [f"95 % interval {interval_points(test.t.low, test.t.high)} pp"] if test.t else []
    adjusted, over = ("adjusted ", f" over {comparisons} comparisons") if comparisons > 1 else ("", "")
    tested = [f"{adjusted}{p_equals(p)}{over}"] if p is not None else []
    return ", ".join([*spread, *tested, seeds_of(test.n, asked)])


def seeds_of(n: int, asked: int | None = None) -> str:
    """On how many seeds something rests, of those that there were to be."""
    return f"n = {n} of {asked} seeds" if asked and asked > n else f"n = {counted(n, 'seed')}"


def would_change(changed: Sequence[tuple[str, str]]) -> str:
    """What counting trainings that failed would change: the answers to which questions, and to what."""
    answers = [f"the answer {question} to {answer}" for question, answer in changed] or ["no answer"]
    return (
        "Counting runs that collapsed or diverged, at what they ended with or at guessing, would change "
        f"{listed(answers)}."
    )


def _seeds_that_would_tell(better: Better) -> str:
    """How many seeds would tell, and how many have to be begun where some fail to train; empty where none would."""
    if better.tested.paired is not None and better.tested.paired.mean == 0:
        return "; if the differences are as they seem, there is no effect to find"
    if better.seeds_needed is None:
        return ""
    needed = f"; about {better.seeds_needed:,} seeds would probably tell, if the differences are as they seem"
    if better.with_failures is None or len(better.with_failures.seeds) == len(better.tested.seeds):
        return needed
    done, ended = len(better.tested.seeds), len(better.with_failures.seeds)
    runs = math.ceil(better.seeds_needed * ended / done)
    return f"{needed} and both train in them, as in {done} of {ended} here: about {runs:,} have to be begun"


def _sensitivity(better: Better, counted_in: Tested) -> str:
    """What counting the failures comes to, and whether it would change the answer."""
    if counted_in.paired is None:
        return "These runs are in no mean."
    difference = _difference(counted_in, better.comparisons)
    same = counted_in.answer is better.answer
    end = "the answer stays" if same else f"the answer would change: {_BETTER[counted_in.answer]}"
    return (
        "These runs are in no mean; counted at the accuracy that they ended with, or that of guessing, its accuracy "
        f"is {difference}: {end}."
    )
