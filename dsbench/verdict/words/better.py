"""Better, in a sentence, and what belongs beside it: failures of training, seeds left out, too few seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dsbench.numerals import counted, interval_points, listed, p_equals, p_value, points
from dsbench.statistics.paired import Paired
from dsbench.statistics.power import ALPHA, seeds_to_settle, smallest_adjusted_p
from dsbench.verdict.answers import Answer
from dsbench.verdict.better import Better, Tested
from dsbench.verdict.cells import Cell, Run

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
    spread = [f"95 % interval {interval_points(found.t)} pp"] if found.t else []
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
