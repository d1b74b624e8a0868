"""Is it better? Test accuracy, paired by seed, adjusted for all pairs of a group; and block and topology apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dsbench.run.record import FINAL
from dsbench.statistics.paired import Paired, effects, paired, probability_of_improvement
from dsbench.statistics.power import ALPHA, holm, seeds_needed, seeds_to_settle, smallest_adjusted_ps
from dsbench.verdict.answers import Answer
from dsbench.verdict.cells import Cell, Run, seeds_in_common

Scores = Mapping[int, float]


@dataclass(frozen=True)
class Tested:
    """Paired differences (candidate - reference, shares of 1), one for each of `seeds`, and what they come to."""

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    paired: Paired | None
    adjusted_p: float | None
    answer: Answer


@dataclass(frozen=True)
class Unpaired:
    """The seeds that one of a pair has a result in and the other has not."""

    reference: tuple[int, ...]
    candidate: tuple[int, ...]


@dataclass(frozen=True)
class Better:
    """Whether the candidate's test accuracy is higher, over the seeds in which both are done.

    `comparisons` is what p is adjusted for, `smallest_adjusted_p` the least that so many seeds can reach beside those
    of the others. `seeds_needed` is known where the answer is that one cannot tell: the number of seeds done in both
    that would probably give an answer if the differences are as observed; None where there is no effect or no spread to
    go by, and where no number of seeds can settle so many comparisons. The `probability_of_improvement` alone pairs
    nothing: it is over all runs of both that are done.

    Runs that collapsed or diverged are failures of training and in no mean. `with_failures` and
    `probability_with_failures`, where there are any, are the same with them counted at the accuracy that they have, at
    that of guessing where they have none.
    """

    tested: Tested
    comparisons: int
    smallest_adjusted_p: float
    probability_of_improvement: float | None
    seeds_needed: int | None
    unpaired: Unpaired
    failed_reference: tuple[Run, ...]
    failed_candidate: tuple[Run, ...]
    with_failures: Tested | None
    probability_with_failures: float | None

    @property
    def answer(self) -> Answer:
        """Yes, no, or cannot tell."""
        return self.tested.answer

    @property
    def seeds_to_settle(self) -> int | None:
        """How many seeds can reach less than .05, if all comparisons have as many."""
        return seeds_to_settle(self.comparisons)


def better(pairs: Sequence[tuple[Cell, Cell]]) -> list[Better]:
    """The answer for each pair (reference, candidate) of one group; p is adjusted for all of them by Holm."""
    tested = tested_together([(reference.scores, candidate.scores) for reference, candidate in pairs])
    counted = tested_together([(with_failures(reference), with_failures(candidate)) for reference, candidate in pairs])
    least = smallest_adjusted_ps([len(test.seeds) for test in tested])
    return [_better(*row, len(pairs)) for row in zip(pairs, tested, counted, least, strict=True)]


def answer(mean: float | None, adjusted_p: float | None) -> Answer:
    """Yes or no by the sign of `mean` where `adjusted_p` is below .05."""
    if mean is None or adjusted_p is None or adjusted_p >= ALPHA:
        return Answer.CANNOT_TELL
    return Answer.YES if mean > 0 else Answer.NO


def with_failures(cell: Cell) -> Scores:
    """Test accuracy by seed, with runs that collapsed or diverged: theirs, or one over the number of classes."""
    chance = 1 / cell.names["classes"] if cell.names["classes"] else 0.0  # of records that do not say how many
    scores = cell.scores
    for run in cell.untrained:
        if run.seed is not None:
            scores[run.seed] = chance if run.test_acc is None else run.test_acc
    return scores


def tested_together(pairs: Sequence[tuple[Scores, Scores]]) -> list[Tested]:
    """The test of each pair (reference, candidate) over the seeds of both; p is adjusted for all by Holm."""
    seeds = [tuple(sorted(before.keys() & after.keys())) for before, after in pairs]
    differences = [
        tuple(after[seed] - before[seed] for seed in common)
        for common, (before, after) in zip(seeds, pairs, strict=True)
    ]
    tests = [paired(values) for values in differences]
    adjusted = holm([test.p if test else None for test in tests])
    return [
        Tested(*row, answer(row[2].mean if row[2] else None, row[3]))
        for row in zip(seeds, differences, tests, adjusted, strict=True)
    ]


def _better(pair: tuple[Cell, Cell], tested: Tested, counted: Tested, least: float, comparisons: int) -> Better:
    reference, candidate = pair
    after, before = with_failures(candidate), with_failures(reference)
    failures = reference.untrained + candidate.untrained
    return Better(
        tested=tested,
        comparisons=comparisons,
        smallest_adjusted_p=least,
        probability_of_improvement=_probability(candidate.scores, reference.scores),
        seeds_needed=_seeds_needed(tested, comparisons),
        unpaired=Unpaired(_only(reference, candidate), _only(candidate, reference)),
        failed_reference=reference.untrained,
        failed_candidate=candidate.untrained,
        with_failures=counted if failures else None,
        probability_with_failures=_probability(after, before) if failures else None,
    )


def _probability(candidate: Scores, reference: Scores) -> float | None:
    return probability_of_improvement(list(candidate.values()), list(reference.values()))


def _seeds_needed(tested: Tested, comparisons: int) -> int | None:
    """More seeds than there are, since these could not tell; None where they could."""
    if tested.answer is not Answer.CANNOT_TELL or tested.paired is None or tested.paired.sd is None:
        return None
    needed = seeds_needed(tested.paired.mean, tested.paired.sd, comparisons)
    return None if needed is None else max(needed, tested.paired.n + 1)


def _only(cell: Cell, other: Cell) -> tuple[int, ...]:
    """The seeds that `cell` has a result in and `other` has not."""

    def ended(of: Cell) -> set[int]:
        return {run.seed for run in of.runs if run.status in FINAL and run.seed is not None}

    return tuple(sorted(ended(cell) - ended(other)))


@dataclass(frozen=True)
class Effect:
    """One effect on test accuracy over the seeds that all four have; p is adjusted for the three effects.

    `what` says which difference it is, `by_seed` has it for each seed (shares of 1); `answer` is yes where its mean
    is above 0.
    """

    name: str
    what: str
    by_seed: tuple[float, ...]
    paired: Paired | None
    adjusted_p: float | None
    answer: Answer


@dataclass(frozen=True)
class Factorial:
    """The effects of the block, of the topology and their interaction.

    `seeds` are those in which all four are done, of `asked`. `with_failures`, where runs collapsed or diverged, has the
    effects with these counted in (see dsbench.verdict.better).
    """

    families: tuple[str, str]
    topologies: tuple[str, str]
    seeds: tuple[int, ...]
    asked: int
    effects: tuple[Effect, ...]
    with_failures: tuple[Effect, ...] | None


def factorial(cells: Sequence[Cell]) -> Factorial | None:
    """The factorial that the `cells` of a group are, the first family as reference; None where they are none.

    A topology is an architecture with its depth and kernel. The first is that with the fewer activations in the first
    family's network: of two networks with equal parameters the deeper one writes more.
    """
    by_levels = {(str(cell.names["model"]), topology(cell)): cell for cell in cells}
    families = list(dict.fromkeys(family for family, _ in by_levels))
    topologies = list(dict.fromkeys(kind for _, kind in by_levels))
    if (len(cells), len(by_levels), len(families), len(topologies)) != (4, 4, 2, 2):
        return None
    topologies.sort(key=lambda kind: by_levels[families[0], kind].costs["acts"] or 0)
    table = [[by_levels[family, kind] for kind in topologies] for family in families]
    first, second = (
        " ".join(part for part, *both in zip(kind, *topologies, strict=True) if len(set(both)) > 1)
        for kind in topologies
    )
    levels = (families[0], families[1]), (first, second)
    done = [[cell.scores for cell in row] for row in table]
    counted = [[with_failures(cell) for cell in row] for row in table]
    return Factorial(
        *levels,
        seeds=tuple(_common(done)),
        asked=len(seeds_in_common(cells)),
        effects=_effects(*levels, done),
        with_failures=_effects(*levels, counted) if any(cell.untrained for cell in cells) else None,
    )


def _common(table: Sequence[Sequence[Scores]]) -> list[int]:
    """The seeds that all of a table have."""
    return sorted(set.intersection(*(set(scores) for row in table for scores in row)))


def _effects(
    families: tuple[str, str], topologies: tuple[str, str], table: Sequence[Sequence[Scores]]
) -> tuple[Effect, ...]:
    """The effects in a row of scores a family and a column a topology."""
    first, second = topologies
    scores = np.array([[[cell[seed] for cell in row] for row in table] for seed in _common(table)]).reshape(-1, 2, 2)
    by_seed = effects(scores)
    named = (
        ("block", f"{families[1]} - {families[0]}, mean over {first} and {second}", by_seed.rows),
        ("topology", f"{second} - {first}, mean over {families[0]} and {families[1]}", by_seed.columns),
        ("interaction", f"{families[1]} - {families[0]} in {second}, less that in {first}", by_seed.interaction),
    )
    tests = [paired(values) for *_, values in named]
    adjusted = holm([test.p if test else None for test in tests])
    return tuple(
        Effect(name, what, tuple(map(float, values)), test, p, answer(test.mean if test else None, p))
        for (name, what, values), test, p in zip(named, tests, adjusted, strict=True)
    )


def topology(cell: Cell) -> tuple[str, ...]:
    """What of a network is neither its block nor its width."""
    return str(cell.names["arch"]), f"depth {cell.network.get('arch.depth')}", f"kernel {cell.names['kernel']}"
