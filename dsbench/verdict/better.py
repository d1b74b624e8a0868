"""Is it better? Differences of the mean accuracy of networks that train, of pairs and of a factorial's effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dsbench.numerals import points
from dsbench.statistics.means import (
    Contrast,
    Interval,
    Sample,
    contrast,
    equal_variances_p,
    mcnemar_p,
    permutation_p,
    probability_of_improvement,
    smallest_permutation_p,
)
from dsbench.verdict.cells import Cell, Run
from dsbench.verdict.rule import Answer, Family, Rule, Standing

Correct = Mapping[str, np.ndarray]  # by run_id, which test images a run got right
_SAME = 1e-9  # shares of 1 that differ by less differ by rounding
UNEQUAL = 0.01  # p of equal variances below which few runs make a fragile answer
FEW = 8  # runs a side from which unequal spreads do no harm


@dataclass(frozen=True)
class Decision:
    """An answer with the interval that gives it; `beyond` says whether it lies beyond the margin."""

    answer: Answer
    interval: Interval | None
    beyond: bool = False


def decide(difference: Contrast, level: float, margin: float) -> Decision:
    """The answer of a difference whose interval is at 1 - `level`, with a `margin` from 0, in the unit of both.

    The first that holds: better or worse (clear of 0), as good (within the margin: two one-sided tests at half the
    level each, Schuirmann 1987), no worse (its lower end above the margin's), cannot tell.
    """
    interval = difference.interval(level)
    if interval is None or not difference.decides:
        return Decision(Answer.TOO_FEW, interval)
    return answered(interval, margin)


def answered(interval: Interval, margin: float) -> Decision:
    """The answer that an interval of a difference gives by a `margin`; see decide."""
    low, high = interval.low, interval.high
    if low > 0 or high < 0:
        beyond = low > margin or high < -margin
        return Decision(Answer.BETTER if low > 0 else Answer.WORSE, interval, beyond)
    if -margin < low and high < margin:
        return Decision(Answer.AS_GOOD, interval)
    if margin and low > -margin:
        return Decision(Answer.NO_WORSE, interval)
    return Decision(Answer.CANNOT_TELL, interval)


def side(interval: Interval | None, margin: float) -> int | None:
    """What is worth acting on: 1 better, -1 worse, 0 within the margin, None where that is open."""
    if interval is None:
        return None
    if -margin < interval.low and interval.high < margin:
        return 0
    return (interval.low > 0) - (interval.high < 0) or None


@dataclass(frozen=True)
class Better:
    """The difference in mean test accuracy (shares of 1) of the runs that are done, and whether it decides.

    `interval` is at 1 - `level`, the family's own level over its `comparisons`. `difference` holds the parts of its
    variance, over new images too where `over_images`; `without_images` names the runs whose images are not known.
    `p` and `permutation_p` are of this comparison alone; the second is None where so few runs can reject nothing.
    `fragile` says why an answer may not hold. `seeds_to_decide`, a side, is known where seeds can decide what these
    cannot. `images_cannot_tell` is their number where no number of seeds would. `mcnemar_p` compares two trained
    networks where there is one run a side. `runs_later` were trained after the latest look; `changed` says that the
    runs of a decision are no longer what they were: it stands as it was made.
    """

    answer: Answer
    family: Family
    comparisons: int
    level: float
    margin: float
    difference: Contrast | None
    mean: float | None = None
    interval: Interval | None = None
    beyond: bool = False
    p: float | None = None
    permutation_p: float | None = None
    fragile: str = ""
    probability_of_improvement: float | None = None
    seeds_to_decide: int | None = None
    images_cannot_tell: int | None = None
    mcnemar_p: float | None = None
    without_images: tuple[str, ...] = ()
    look: int | None = None
    runs_later: int = 0
    changed: bool = False
    values: tuple[tuple[float, ...], ...] = field(default=(), metadata={"plain": False})

    @property
    def over_images(self) -> bool:
        """Whether the interval is of new images too."""
        return self.difference is not None and self.difference.images is not None

    @property
    def runs(self) -> tuple[int, ...]:
        """How many runs each mean is of."""
        return tuple(len(values) for values in self.values)


def better(
    cells: Sequence[Cell],
    weights: Sequence[float],
    family: Family,
    comparisons: int,
    rule: Rule,
    standing: Standing,
    correct: Correct,
) -> Better:
    """The answer for the weighted sum of the mean accuracies of `cells`, one of `comparisons` of its `family`.

    A pair is its reference with weight -1 and its candidate with 1.
    """
    level, margin = standing.level(comparisons), rule.margin_of(str(cells[0].names["data"]))
    runs = [_runs(cell, None if standing.seeds is None else standing.seeds[i]) for i, cell in enumerate(cells)]
    samples = [_sample(own, weight, correct) for own, weight in zip(runs, weights, strict=True)]
    values = tuple(tuple(map(float, sample.values)) for sample in samples)
    out = Better(Answer.TOO_FEW, family, comparisons, level, margin, difference=None, values=values)
    difference = contrast(samples, cautious=standing.looks_again)
    if difference is None:
        return _as_kept(out, standing)
    decision = decide(difference, level, margin)
    undecided = decision.answer is Answer.CANNOT_TELL
    no_seeds = undecided and difference.images_cannot_tell(level, margin)
    imaged = any(sample.correct is not None for sample in samples)
    unknown = [run.run_id for own in runs for run in own if run.run_id not in correct] if imaged else []
    out = replace(
        out,
        answer=decision.answer,
        difference=difference,
        mean=difference.difference,
        interval=decision.interval,
        beyond=decision.beyond,
        p=difference.p,
        seeds_to_decide=difference.seeds_to_decide(level, margin) if undecided and not no_seeds else None,
        images_cannot_tell=difference.n_images if no_seeds else None,
        without_images=tuple(unknown),
        look=standing.look,
        runs_later=sum(len(cell.done) for cell in cells) - sum(map(len, runs)),
    )
    return _as_kept(_checked(out, difference, *samples) if len(samples) == 2 else out, standing)


def _as_kept(better: Better, standing: Standing) -> Better:
    """As it was decided, where it was: by the mean and the interval of then."""
    kept = standing.kept
    if kept is None:
        return better
    decision = answered(kept.interval, better.margin)
    return replace(
        better,
        answer=decision.answer,
        comparisons=kept.comparisons,
        level=kept.level,
        mean=kept.mean,
        interval=kept.interval,
        beyond=decision.beyond,
        seeds_to_decide=None,
        images_cannot_tell=None,
        changed=better.mean is None or abs(better.mean - kept.mean) > _SAME,
    )


def _runs(cell: Cell, seeds: frozenset[int] | None) -> list[Run]:
    """The runs of a cell that are done, of `seeds` alone where they are given."""
    done = [run for run in cell.done if run.test_acc is not None]
    return done if seeds is None else [run for run in done if run.seed in seeds]


def sample(cell: Cell, weight: float, correct: Correct) -> Sample:
    """The accuracies of all its runs that are done, and of those that say it which images they got right."""
    return _sample(_runs(cell, None), weight, correct)


def _sample(runs: Sequence[Run], weight: float, correct: Correct) -> Sample:
    images = [correct[run.run_id] for run in runs if run.run_id in correct]
    accuracies = np.array([run.test_acc for run in runs], dtype=float)
    return Sample(accuracies, weight, np.stack(images) if images else None)


def _checked(better: Better, difference: Contrast, reference: Sample, candidate: Sample) -> Better:
    """With the checks that a pair allows, and what makes its answer fragile."""
    better = replace(
        better,
        probability_of_improvement=probability_of_improvement(list(candidate.values), list(reference.values)),
    )
    before, after = reference.correct, candidate.correct
    if difference.runs == (1, 1) and before is not None and after is not None and before.shape == after.shape:
        return replace(better, mcnemar_p=mcnemar_p(before[0], after[0]))
    if not difference.decides:
        return better
    reasons, p = [], None
    if smallest_permutation_p(difference.runs) < better.level:
        p = permutation_p(reference.values, candidate.values)
        clear = (difference.seeds_alone.p or 0.0) < better.level
        if (p < better.level) is not clear:
            reasons.append("a permutation test does not see it" if clear else "a permutation test sees a difference")
    if min(difference.runs) < FEW and equal_variances_p(reference.values, candidate.values) < UNEQUAL:
        spreads = (points(float(np.std(sample.values, ddof=1))) for sample in (reference, candidate))
        reasons.append(f"few runs of unequal spread (sd {' and '.join(spreads)} points)")
    return replace(better, permutation_p=p, fragile="; ".join(reasons))


@dataclass(frozen=True)
class Effect:
    """One effect on test accuracy of `cells`; `what` says which difference it is."""

    name: str
    what: str
    better: Better
    cells: tuple[Cell, ...] = field(metadata={"plain": False})


@dataclass(frozen=True)
class Factorial:
    """The effects of the block, of the topology, and their interaction; `cells` are family by family."""

    families: tuple[str, str]
    topologies: tuple[str, str]
    effects: tuple[Effect, ...]


_BLOCK, _TOPOLOGY, _INTERACTION = (-0.5, -0.5, 0.5, 0.5), (-0.5, 0.5, -0.5, 0.5), (1.0, -1.0, -1.0, 1.0)


def factorial(cells: Sequence[Cell], rule: Rule, correct: Correct) -> Factorial | None:
    """The factorial that the `cells` of a group are, the first family as reference; None where they are none.

    A main effect is the mean over the levels of the other factor of (second level - first level), the interaction how
    much the block's effect changes from the first topology to the second (Montgomery, Design and Analysis of
    Experiments, chapter 6, who halves the interaction). A topology is an architecture with its depth and kernel. The
    first is that with the fewer activations in the first family's network: of two networks with equal parameters the
    deeper one writes more.
    """
    by_levels = {(str(cell.names["model"]), topology(cell)): cell for cell in cells}
    families = list(dict.fromkeys(family for family, _ in by_levels))
    topologies = list(dict.fromkeys(kind for _, kind in by_levels))
    if (len(cells), len(by_levels), len(families), len(topologies)) != (4, 4, 2, 2):
        return None
    topologies.sort(key=lambda kind: by_levels[families[0], kind].costs["acts"] or 0)
    table = [by_levels[family, kind] for family in families for kind in topologies]
    first, second = (
        " ".join(part for part, *both in zip(kind, *topologies, strict=True) if len(set(both)) > 1)
        for kind in topologies
    )
    named = (
        ("block", f"{families[1]} - {families[0]}, mean over {first} and {second}", _BLOCK),
        ("topology", f"{second} - {first}, mean over {families[0]} and {families[1]}", _TOPOLOGY),
        ("interaction", f"{families[1]} - {families[0]} in {second}, less that in {first}", _INTERACTION),
    )
    effects = tuple(
        Effect(
            name,
            what,
            better(table, weights, Family.EFFECT, len(named), rule, rule.standing(key(table, name)), correct),
            tuple(table),
        )
        for name, what, weights in named
    )
    return Factorial((families[0], families[1]), (first, second), effects)


def standing_of(pair: tuple[Cell, Cell], rule: Rule) -> Standing:
    """How a pair stands, whichever of the two is the reference."""
    standings = rule.standings or {}
    turned = key(pair[::-1])
    return standings[turned].reversed if turned in standings else rule.standing(key(pair))


def key(cells: Sequence[Cell], effect: str = "") -> str:
    """The key of a comparison: the ids of its cells in order, and of an effect its name."""
    return " ".join([*(cell.cell_id for cell in cells), *([effect] if effect else [])])


def topology(cell: Cell) -> tuple[str, ...]:
    """What of a network is neither its block nor its width."""
    return str(cell.names["arch"]), f"depth {cell.network.get('arch.depth')}", f"kernel {cell.names['kernel']}"
