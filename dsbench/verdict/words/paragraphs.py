"""A verdict in sentences, each with its units and its number of seeds."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from dsbench.numerals import counted, interval_points, listed, p_equals, signed_points
from dsbench.run.status import FINAL
from dsbench.verdict.cells import Cell
from dsbench.verdict.factorial import Effect, Factorial
from dsbench.verdict.judge import Verdict
from dsbench.verdict.judged import Judged, Pair
from dsbench.verdict.matching.groups import ASKED, BUDGET, WIDTH
from dsbench.verdict.words.better import (
    better_sentence,
    failure_sentences,
    seeds_of,
    settled,
    settled_beside,
    would_change,
)
from dsbench.verdict.words.costs import faster_sentence, lighter_sentence, training_sentence
from dsbench.verdict.words.overall import overall_sentences

MOST = 12  # names or runs that a sentence lists
LONGER_SECONDS = 60  # of each measurement of each network, where those of a few seconds did not settle
BY = {BUDGET: "a matched budget", WIDTH: "matched in width alone, so that budgets differ", ASKED: "as asked"}


def paragraphs(verdict: Verdict, outputs: Path | str = "outputs", most: int | None = None) -> list[str]:
    """All that a verdict says: each group, a paragraph a pair, then what holds over all groups, then what is missing.

    At most `most` pairs are put into words, else all.
    """
    over = []
    if verdict.overall and len(verdict.overall.groups) > 1:
        three = " ".join(overall_sentences(verdict.overall))
        over.append(f"Over {len(verdict.overall.groups)} groups, {three[0].lower()}{three[1:]}")
    return [*group_paragraphs(verdict, most), *over, *unfinished(verdict), *missing(verdict, outputs)]


def group_paragraphs(verdict: Verdict, most: int | None = None) -> list[str]:
    """A paragraph a pair, group by group, of at most `most` pairs, and what so many seeds cannot settle."""
    said: list[str] = []
    left = sum(len(judged.pairs) for judged in verdict.groups)
    room = left if most is None else most
    for judged in verdict.groups:
        shown = judged.compared[:room]
        room, left = room - len(shown), left - len(shown)
        if shown:
            said += _group(judged, shown)
    if left:
        said.append(f"{counted(left, 'more pair')} in dsbench verdict.")
    return said


def pair_sentences(pair: Pair, reference: Cell, candidate: Cell) -> list[str]:
    """Lighter, faster and better in a sentence each, then what belongs beside them."""
    three = [
        lighter_sentence(pair.reference, pair.candidate, pair.lighter),
        faster_sentence(pair.by_turns),
        better_sentence(pair.better),
    ]
    besides = [
        *failure_sentences(reference, candidate, pair.better),
        training_sentence(pair.trained, pair.better.comparisons),
    ]
    return [*three, *filter(None, besides)]


def factorial_sentence(found: Factorial) -> str:
    """The effects of block and topology, and whether so many seeds can settle them."""
    if not found.seeds:
        return "block and topology apart: there is no seed in which all four are done."
    n = seeds_of(len(found.seeds), found.asked)
    said = f"block and topology apart ({n}): {'; '.join(map(_effect, found.effects))}."
    return " ".join(filter(None, [said, _counted_in(found), settled(len(found.seeds), len(found.effects))]))


def _counted_in(found: Factorial) -> str:
    """Whether runs that collapsed or diverged, counted in, would change an answer; empty where there are none."""
    if found.with_failures is None:
        return ""
    both = zip(found.effects, found.with_failures, strict=True)
    return would_change([(f"on the {one.name}", again.answer) for one, again in both if one.answer is not again.answer])


def _group(judged: Judged, shown: Sequence[tuple[Pair, tuple[Cell, Cell]]]) -> Iterator[str]:
    group = judged.group
    by = BY[group.by] + (" as built" if group.by == BUDGET and not group.requested else "")
    for pair, cells in shown:
        yield " ".join([f"{judged.name} ({by}):", *pair_sentences(pair, *cells)])
    too_few = settled(judged.seeds, len(judged.pairs))
    if too_few:
        yield f"{judged.name}: {too_few}"
    else:
        yield from _fewer(judged)
    if judged.factorial:
        yield f"{judged.name}: {factorial_sentence(judged.factorial)}"


def _fewer(judged: Judged) -> Iterator[str]:
    """The pairs that have too few seeds in common where others have enough."""
    for pair in judged.pairs:
        too_few = settled_beside(pair.better)
        if too_few:
            yield f"{judged.name}, {pair.candidate} against {pair.reference}: {too_few}"


def _effect(one: Effect) -> str:
    assert one.paired is not None
    said = f"{one.name} {signed_points(one.paired.mean)} pp"
    spread = [f"95 % interval {interval_points(one.paired.t)} pp"] if one.paired.t else []
    p = [f"adjusted {p_equals(one.adjusted_p)}"] if one.adjusted_p is not None else []
    return f"{said} ({', '.join([one.what, *spread, *p])})"


def unfinished(verdict: Verdict) -> list[str]:
    """One sentence on the runs without a result, where there are some."""
    if not verdict.unfinished:
        return []
    total = sum(verdict.statuses.values())
    kinds = listed([f"{number} {status}" for status, number in verdict.statuses.items() if status not in FINAL])
    if verdict.unfinished == total:
        return [f"None of {counted(total, 'run')} has a result ({kinds}): this is what their costs say."]
    has = "has" if verdict.unfinished == 1 else "have"
    return [
        f"{verdict.unfinished} of {counted(total, 'run')} {has} no result ({kinds}): this is the verdict on the others."
    ]


def missing(verdict: Verdict, outputs: Path | str = "outputs") -> Iterator[str]:
    """What a verdict lacks: groups, matched budgets, measurements; with the command that would add it."""
    if not verdict.groups:
        yield "No two cells share data, recipe and either a budget or a width: there is nothing to compare."
    if verdict.unmatched:
        yield f"In no group: {_some(verdict.unmatched)}."
    if verdict.to_measure:
        yield (
            "What is faster is measured by turns, best with nothing else running, by: "
            f"{_bench(verdict.to_measure, outputs)}"
        )
    if verdict.unsettled:
        yield (
            f"The times of {counted(len(verdict.unsettled), 'cell')} were measured, but not often enough to settle "
            "which is faster. More time would help: "
            f"{_bench(verdict.unsettled, outputs, LONGER_SECONDS)}"
        )


def _bench(run_ids: Sequence[str], outputs: Path | str, seconds: int | None = None) -> str:
    """The command that measures these runs; of many that of their sweep."""
    folders = [str(Path(outputs) / "runs" / run_id) for run_id in run_ids]
    if len(run_ids) > MOST:
        folders = [str(Path(outputs) / "sweeps" / "NAME")]
    longer = f"--seconds={seconds} " if seconds else ""
    return f"dsbench bench {longer}{shlex.join(folders)}"


def _some(names: Sequence[str]) -> str:
    """The names, of many the first."""
    return "; ".join([*names[:MOST], f"{len(names) - MOST} more"] if len(names) > MOST + 1 else names)
