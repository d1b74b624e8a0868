"""How often the verdict's rule errs, and what it sees: python benchmarks/verdict.py [--repeats N] [--only PART].

Experiments of which the truth is known are drawn and judged as dsbench.verdict does, 10,000 of each unless told
otherwise, always the same ones. Differences are in sd, the root of the mean variance of both sides over seeds. Tables
are Markdown. Parts:

errors    false claims of each family, where accuracies are normal
crossed   the same over new images too
skewed    the same where accuracies are not normal
power     how often a difference is seen, and how often there is none
saved     seeds that looks save
reach     what 3 seeds can decide
replaced  the rule that was replaced beside this one

The arithmetic of dsbench.statistics.means and dsbench.verdict.better stands here again for many experiments at once;
tests/statistics/test_simulation.py holds the one to the other.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri, stdtrit

from dsbench.statistics.looks import nominal_levels
from dsbench.statistics.means import ALPHA, FEWEST
from dsbench.verdict.rule import Answer

LOOKS = (3, 5, 8, 12, 16)  # seeds
FIXED = (3, 5, 6, 8, 16)  # seeds of a sweep that looks once
MOST = 16
MARGIN = 2.0  # sd
ALLOWED = 0.055  # of false claims a family, where accuracies are normal
FRAGILE = 0.06  # above which a number of runs is called so where they are not
SEED = 12
IMAGES = 500
_CHUNK = 200  # experiments drawn at a time where each run has its images


# The rule, for many experiments at once


@dataclass(frozen=True)
class Differences:
    """The contrasts of many experiments (see dsbench.statistics.means.Contrast).

    `difference` (experiments), `runs` and `seeds` (experiments, cells); over images `images` (experiments) and
    `residuals` (experiments, cells).
    """

    difference: np.ndarray
    runs: np.ndarray
    seeds: np.ndarray
    images: np.ndarray | None = None
    residuals: np.ndarray | None = None
    n_images: int = 0
    cautious: bool = False

    @property
    def variance(self) -> np.ndarray:
        seeds = self.seeds.sum(axis=1)
        if self.images is None or self.residuals is None:
            return seeds
        return np.maximum(seeds + self.images - self.residuals.sum(axis=1), np.maximum(seeds, self.images))

    @property
    def df(self) -> np.ndarray:
        terms = [(self.seeds, np.maximum(self.runs - 1, 1))]
        if self.images is not None and self.residuals is not None:
            images = self.n_images - 1
            terms += [(self.images[:, None], images), (self.residuals, (self.runs - 1) * images)]
        below = sum((part**2 / df).sum(axis=1) for part, df in terms)
        df = np.where(below > 0, self.variance**2 / np.where(below > 0, below, 1), self.runs.min(axis=1) - 1)
        if not self.cautious:
            return df
        largest = np.max([(part / df).max(axis=1) for part, df in terms], axis=0)
        return np.where(below > 0, np.minimum(df, self.variance / np.where(largest > 0, largest, 1)), df)

    def half(self, level: float) -> np.ndarray:
        """Half the interval at 1 - `level`."""
        return stdtrit(np.maximum(self.df, 1), 1 - level / 2) * np.sqrt(self.variance)


def differences(
    values: np.ndarray,
    weights: Sequence[float] | np.ndarray,
    done: np.ndarray | None = None,
    correct: np.ndarray | None = None,
) -> Differences:
    """Of `values` (experiments, cells, runs) that are `done`, or of `correct` (experiments, cells, runs, images)."""
    w = np.asarray(weights, dtype=float)
    if correct is not None:
        return _over_images(correct, w)
    counted = np.ones(values.shape, dtype=bool) if done is None else done
    runs = counted.sum(axis=2)
    means = (values * counted).sum(axis=2) / np.maximum(runs, 1)
    squares = ((values - means[:, :, None]) ** 2 * counted).sum(axis=2)
    return Differences(means @ w, runs, w**2 * squares / np.maximum(runs - 1, 1) / np.maximum(runs, 1))


def _over_images(correct: np.ndarray, w: np.ndarray) -> Differences:
    experiments, cells, n, images = correct.shape
    of_runs, of_images = correct.sum(axis=3, dtype=float), correct.sum(axis=2, dtype=float)
    total = of_runs.sum(axis=2)
    centre = total**2 / (n * images)
    runs_part, images_part = (of_runs**2).sum(axis=2) / images - centre, (of_images**2).sum(axis=2) / n - centre
    residual = np.maximum(total - centre - runs_part - images_part, 0) / ((n - 1) * (images - 1))
    by_image = np.einsum("c,eci->ei", w, of_images) / n
    return Differences(
        total @ w / (n * images),
        np.full((experiments, cells), n),
        w**2 * of_runs.var(axis=2, ddof=1) / images**2 / n,
        by_image.var(axis=1, ddof=1) / images,
        w**2 * residual / (n * images),
        images,
    )


ANSWERS = (Answer.TOO_FEW, Answer.BETTER, Answer.WORSE, Answer.AS_GOOD, Answer.NO_WORSE, Answer.CANNOT_TELL)
TOO_FEW, BETTER, WORSE, AS_GOOD, NO_WORSE, CANNOT_TELL = range(len(ANSWERS))


def answers(found: Differences, level: float, margin: float) -> np.ndarray:
    """The place in ANSWERS of each experiment's (see dsbench.verdict.better.decide)."""
    half = found.half(level)
    low, high = found.difference - half, found.difference + half
    few = found.runs.min(axis=1) < FEWEST
    within, above = (-margin < low) & (high < margin), (low > -margin) & (margin > 0)
    return np.select([few, low > 0, high < 0, within, above], range(5), CANNOT_TELL)


# Experiments of which the truth is known


@dataclass(frozen=True)
class Design:
    """A family of comparisons: `contrasts` (comparisons, cells); `steps` are the cells' means where each comes to 1."""

    name: str
    contrasts: tuple[tuple[float, ...], ...]
    steps: tuple[float, ...]


PAIR = Design("one pair", ((-1, 1),), (0, 1))
GROUPS = Design(
    "three pairs of six cells", ((-1, 1, 0, 0, 0, 0), (0, 0, -1, 1, 0, 0), (0, 0, 0, 0, -1, 1)), (0, 1, 0, 1, 0, 1)
)
SHARED = Design("two pairs that share a cell", ((-1, 1, 0), (0, -1, 1)), (0, 1, 2))
FACTORIAL = Design(
    "three effects of a factorial",
    ((-0.5, -0.5, 0.5, 0.5), (-0.5, 0.5, -0.5, 0.5), (1, -1, -1, 1)),
    (0, 0.5, 0.5, 2),
)
DESIGNS = (PAIR, SHARED, GROUPS, FACTORIAL)
EQUAL, TWICE, THRICE = (
    (math.sqrt(2 / (1 + r * r)), r * math.sqrt(2 / (1 + r * r))) for r in (1, 2, 3)
)  # cells in turn
SPREADS = {"equal spreads": EQUAL, "spreads 1 to 2": TWICE, "spreads 1 to 3": THRICE}


@dataclass(frozen=True)
class Drawn:
    """Accuracies (experiments, cells, runs) in sd, which are done, and the images that each run got right."""

    values: np.ndarray
    done: np.ndarray | None = None
    correct: np.ndarray | None = None

    def first(self, n: int, contrast: Sequence[float]) -> Differences:
        """The contrast over the first `n` seeds of the cells that are in it."""
        cells = np.flatnonzero(contrast)
        weights = np.asarray(contrast, dtype=float)[cells]
        parts = (self.values, self.done, self.correct)
        values, done, correct = (None if part is None else part[:, cells, :n] for part in parts)
        assert values is not None
        return differences(values, weights, done, correct)


Draw = Callable[[np.random.Generator, int, np.ndarray], Drawn]  # experiments, and the true means of the cells


def spread_over(cells: int, spreads: tuple[float, float]) -> np.ndarray:
    """The sd of each cell, as a column for (experiments, cells, runs)."""
    return np.resize(spreads, cells)[:, None]


def normal(spreads: tuple[float, float] = EQUAL) -> Draw:
    """Normal accuracies."""
    return lambda rng, experiments, means: Drawn(
        means[:, None] + spread_over(len(means), spreads) * rng.standard_normal((experiments, len(means), MOST))
    )


def skewed(spreads: tuple[float, float] = EQUAL) -> Draw:
    """Exponential, with the long tail below."""
    return lambda rng, experiments, means: Drawn(
        means[:, None] + spread_over(len(means), spreads) * (1 - rng.exponential(size=(experiments, len(means), MOST)))
    )


def falls(spreads: tuple[float, float] = EQUAL) -> Draw:
    """Normal, but that one run in ten ends 10 sd below and counts; the true mean is that of all."""

    def draw(rng: np.random.Generator, experiments: int, means: np.ndarray) -> Drawn:
        shape = (experiments, len(means), MOST)
        fallen = 10 * ((rng.random(shape) < 0.1) - 0.1)
        return Drawn(means[:, None] + spread_over(len(means), spreads) * (rng.standard_normal(shape) - fallen))

    return draw


def collapses(spreads: tuple[float, float] = EQUAL) -> Draw:
    """Normal, but that one training in five collapses and is in no mean."""

    def draw(rng: np.random.Generator, experiments: int, means: np.ndarray) -> Drawn:
        drawn = normal(spreads)(rng, experiments, means)
        return replace(drawn, done=rng.random(drawn.values.shape) >= 0.2)

    return draw


@dataclass(frozen=True)
class Crossed:
    """Runs on the same IMAGES, each image right or wrong, by a normal variable below 0 or above.

    Its sd are those of the run (of cells in turn), of the image, of the image for each cell, and 1 for what is left.
    """

    run: tuple[float, float]
    image: float
    image_by_cell: float

    def mean(self, accuracy: float, cell: int) -> float:
        """Of the variable, where the true accuracy over runs and images is `accuracy`."""
        total = 1 + self.run[cell % 2] ** 2 + self.image**2 + self.image_by_cell**2
        return float(ndtri(accuracy)) * math.sqrt(total)

    def draw(self, rng: np.random.Generator, experiments: int, means: np.ndarray) -> Drawn:
        """`means` are accuracies above 80 %."""
        cells = len(means)
        at = np.array([self.mean(0.8 + mean, cell) for cell, mean in enumerate(means)], dtype=np.float32)
        of_run = spread_over(cells, self.run) * rng.standard_normal((experiments, cells, MOST))
        of_image = self.image * rng.standard_normal((experiments, 1, IMAGES))
        of_image = of_image + self.image_by_cell * rng.standard_normal((experiments, cells, IMAGES))
        rest = rng.standard_normal((experiments, cells, MOST, IMAGES), dtype=np.float32)
        sides = (at[:, None] + of_run).astype(np.float32)[..., None] + of_image.astype(np.float32)[:, :, None]
        correct = rest > -sides
        return Drawn(correct.mean(axis=3), correct=correct)


CROSSED = {  # with a margin of each
    "500 images, next to none of the variance": (Crossed((0.10, 0.10), 1.5, 0.05), 0.03),
    "500 images, a third of the variance": (Crossed((0.05, 0.05), 1.5, 0.5), 0.03),
    "500 images, most of the variance": (Crossed((0.03, 0.03), 1.5, 1.0), 0.06),
    "500 images, a third of the variance, spreads 1 to 3": (Crossed((0.05, 0.15), 1.5, 0.6), 0.04),
}


@dataclass(frozen=True)
class Judged:
    """The answers (experiments, comparisons), whether each look at them claimed to be above -margin, and seeds a cell.

    `seeds` (experiments, comparisons) is how many a side each was decided with, or the most.
    """

    answers: np.ndarray
    above: np.ndarray
    seeds: np.ndarray


def fixed(drawn: Drawn, design: Design, n: int, margin: float) -> Judged:
    """A sweep of `n` seeds, looked at once."""
    return _judged(drawn, design, (n,), (ALPHA / len(design.contrasts),), margin)


def looked(drawn: Drawn, design: Design, margin: float) -> Judged:
    """A sweep that trains seeds until it is decided; a decision stands as of its look."""
    return _judged(drawn, design, LOOKS, look_levels(len(design.contrasts)), margin)


def look_levels(comparisons: int) -> list[float]:
    """The level of each of so many comparisons at each look."""
    return list(nominal_levels(tuple(n / MOST for n in LOOKS), ALPHA / comparisons))


def _judged(drawn: Drawn, design: Design, seeds: Sequence[int], levels: Sequence[float], margin: float) -> Judged:
    shape = len(drawn.values), len(design.contrasts)
    standing, decided = np.full(shape, CANNOT_TELL), np.zeros(shape, dtype=bool)
    above, stopped = np.zeros(shape, dtype=bool), np.full(shape, seeds[-1])
    for n, level in zip(seeds, levels, strict=True):
        for at, weights in enumerate(design.contrasts):
            now = answers(replace(drawn.first(n, weights), cautious=len(seeds) > 1), level, margin)
            going = ~decided[:, at]
            standing[going, at] = now[going]
            above[:, at] |= going & np.isin(now, (BETTER, AS_GOOD, NO_WORSE))
            deciding = going & np.isin(now, (BETTER, WORSE, AS_GOOD))
            stopped[deciding, at] = n
            decided[:, at] |= deciding
    return Judged(standing, above, stopped)


def experiments(draw: Draw, design: Design, d: float, repeats: int, chunk: int) -> Iterator[Drawn]:
    """As many as `repeats` in which each comparison is truly `d`, some at a time."""
    rng = np.random.default_rng(SEED)
    means = d * np.asarray(design.steps, dtype=float)
    for start in range(0, repeats, chunk):
        yield draw(rng, min(chunk, repeats - start), means)


def judged(
    draw: Draw, design: Design, d: float, margin: float, repeats: int, numbers: Sequence[int] = FIXED
) -> dict[str, Judged]:
    """The same experiments judged after each of `numbers` of seeds, and by looks."""
    chunk = _CHUNK if isinstance(getattr(draw, "__self__", None), Crossed) else repeats
    out: dict[str, list[Judged]] = {}
    for drawn in experiments(draw, design, d, repeats, chunk):
        for n in numbers:
            out.setdefault(str(n), []).append(fixed(drawn, design, n, margin))
        out.setdefault("looks", []).append(looked(drawn, design, margin))
    return {
        name: Judged(
            *(np.concatenate([getattr(part, field) for part in parts]) for field in ("answers", "above", "seeds"))
        )
        for name, parts in out.items()
    }


# The tables


def false_claims(draw: Draw, design: Design, margin: float, repeats: int) -> dict[str, dict[str, float]]:
    """The share of experiments with a false claim in the family, by what is claimed and the number of seeds."""
    level = judged(draw, design, 0.0, 0.0, repeats)  # with a margin some would be decided as good before they err
    above, below = (judged(draw, design, d, margin, repeats) for d in (margin, -margin))

    def shares(found: dict[str, Judged], false: Callable[[Judged], np.ndarray]) -> dict[str, float]:
        return {name: float(false(own).any(axis=1).mean()) for name, own in found.items()}

    as_good = [shares(found, lambda own: own.answers == AS_GOOD) for found in (above, below)]
    return {
        "better or worse at d = 0": shares(level, lambda own: np.isin(own.answers, (BETTER, WORSE))),
        "as good at d = +-m": {name: max(side[name] for side in as_good) for name in as_good[0]},
        "no worse at d = -m": shares(below, lambda own: own.above),
    }


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """In Markdown."""
    lines = [list(map(str, head)), ["---", *["---:"] * (len(head) - 1)], *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(share: float, limit: float = 1.0) -> str:
    """In percent, in bold above `limit`."""
    shown = f"{100 * share:.1f}"
    return f"**{shown}**" if share > limit else shown


def _error_tables(cases: dict[str, tuple[Draw, Design, float]], repeats: int, limit: float) -> str:
    rows: dict[str, list[list[str]]] = {}
    for name, (draw, design, margin) in cases.items():
        for claim, shares in false_claims(draw, design, margin, repeats).items():
            rows.setdefault(claim, []).append([name, *(percent(share, limit) for share in shares.values())])
    head = ["", *(f"{n} seeds" for n in FIXED), "looks"]
    return "\n\n".join(f"False *{claim}*, % of families:\n\n{table(head, own)}" for claim, own in rows.items())


def errors(repeats: int) -> str:
    """False claims where accuracies are normal, and over new images too."""
    cases: dict[str, tuple[Draw, Design, float]] = {}
    for design in DESIGNS:
        for name, spreads in SPREADS.items():
            cases[f"{design.name}, {name}"] = normal(spreads), design, MARGIN
    return _error_tables(cases, repeats, ALLOWED)


def crossed(repeats: int) -> str:
    """False claims over new seeds and new images, accuracies near 80 %."""
    cases: dict[str, tuple[Draw, Design, float]] = {
        name: (model.draw, PAIR, margin) for name, (model, margin) in CROSSED.items()
    }
    name, (model, margin) = list(CROSSED.items())[1]
    cases[f"two pairs that share a cell, {name}"] = model.draw, SHARED, margin
    name, (model, margin) = list(CROSSED.items())[3]
    cases[f"three pairs of six cells, {name}"] = model.draw, GROUPS, margin
    shares = [
        [
            name,
            *(f"{100 * _images_share(model, n, min(repeats, 1_000)):.0f}" for n in FIXED),
            f"{100 * margin:g} points",
        ]
        for name, (model, margin) in CROSSED.items()
    ]
    head = ["", *(f"{n} seeds" for n in FIXED), "margin"]
    errors = _error_tables(cases, repeats, ALLOWED)
    return f"{errors}\n\nShare of the variance that no seeds make smaller, %, and m:\n\n{table(head, shares)}"


def _images_share(model: Crossed, n: int, repeats: int) -> float:
    """The part of the variance of a pair's difference that no number of seeds makes smaller."""
    alone, whole = [], []
    for drawn in experiments(model.draw, PAIR, 0.0, repeats, _CHUNK):
        found = drawn.first(n, PAIR.contrasts[0])
        assert found.images is not None
        assert found.residuals is not None
        alone.append(found.images - found.residuals.sum(axis=1))
        whole.append(found.seeds.sum(axis=1) + alone[-1])
    return float(np.mean(alone) / np.mean(whole))


def not_normal(repeats: int) -> str:
    """False claims where accuracies are skewed, fall or collapse."""
    cases: dict[str, tuple[Draw, Design, float]] = {}
    for design in (PAIR, GROUPS):
        for name, kind in (("skewed", skewed), ("one in ten falls", falls), ("one in five collapses", collapses)):
            cases[f"{name}, {design.name}, equal spreads"] = kind(EQUAL), design, MARGIN
            cases[f"{name}, {design.name}, spreads 1 to 2"] = kind(TWICE), design, MARGIN
    return _error_tables(cases, repeats, FRAGILE)


def power(repeats: int) -> str:
    """How often a difference is seen, by its size, and how often two that are equal are as good."""
    rows = []
    for design in (PAIR, GROUPS):
        for name, spreads in (("equal spreads", EQUAL), ("spreads 1 to 2", TWICE)):
            for d in (1.0, 2.0, 4.0):
                found = judged(normal(spreads), design, d, 0.0, repeats)
                seen = [float(np.mean(own.answers[:, 0] == BETTER)) for own in found.values()]
                rows.append([f"{design.name}, {name}: better at {d:g} sd", *map(percent, seen)])
            for margin in (1.0, 2.0, 3.0):
                found = judged(normal(spreads), design, 0.0, margin, repeats)
                seen = [float(np.mean(own.answers[:, 0] == AS_GOOD)) for own in found.values()]
                rows.append([f"{design.name}, {name}: as good at 0, m = {margin:g} sd", *map(percent, seen)])
    return "Answers that are right, %:\n\n" + table(["", *(f"{n} seeds" for n in FIXED), "looks"], rows)


def saved(repeats: int) -> str:
    """Seeds a cell that looks take, what they save against a fixed number, and how many comparisons each decides."""
    rows = []
    for design in (PAIR, SHARED, GROUPS):
        for margin in (0.0, 1.0, 2.0):
            for d in (0.0, 1.0, 2.0, 4.0):
                found = judged(normal(), design, d, margin, repeats, (8, 16))
                seeds = _trained(found["looks"], design)
                decided = [
                    percent(float(np.isin(found[name].answers, (BETTER, WORSE, AS_GOOD)).mean()))
                    for name in ("looks", "8", "16")
                ]
                less = [f"{100 * (1 - seeds / n):+.0f}" for n in (8, 16)]
                rows.append([f"{design.name}, m = {margin:g} sd, d = {d:g} sd", f"{seeds:.1f}", *less, *decided])
    head = ["", "seeds by looks", "saved of 8, %", "of 16, %", "decided by looks, %", "by 8, %", "by 16, %"]
    return "Seeds a cell, spreads equal:\n\n" + table(head, rows)


def _trained(found: Judged, design: Design) -> float:
    """Seeds a cell, each cell as many as the last of its comparisons to be decided."""
    of_cells = np.asarray(design.contrasts) != 0
    return float(np.where(of_cells.T, found.seeds[:, None, :], 0).max(axis=2).mean())


def reach(_repeats: int) -> str:
    """From how many sd an observed difference of 3 seeds is clear of 0: t(4) sqrt(2/3); equal spreads."""
    rows = []
    for comparisons in (1, 2, 3, 6, 9):
        levels = ALPHA / comparisons, look_levels(comparisons)[0]
        rows.append([comparisons, *(f"{stdtrit(4, 1 - level / 2) * math.sqrt(2 / 3):.1f}" for level in levels)])
    return "Observed differences that 3 seeds a side decide, in sd:\n\n" + table(
        ["comparisons", "one look at full level", f"first of the looks {', '.join(map(str, LOOKS))}"], rows
    )


# The rule that was replaced: differences paired by seed, the sign-flip test with Holm, BCa intervals


def sign_flip_ps(pairs: np.ndarray) -> np.ndarray:
    """The exact two-sided p of each row of differences over all choices of signs (Fisher 1935)."""
    n = pairs.shape[1]
    signs = 1 - 2 * ((np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1)  # the last one's sign stands for both
    out = np.empty(len(pairs))
    for start in range(0, len(pairs), 200):
        rows = pairs[start : start + 200]
        least = np.abs(rows.sum(axis=1)) - 1e-9 * np.abs(rows).sum(axis=1)
        out[start : start + 200] = (np.abs(signs @ rows.T) >= least).mean(axis=0)
    return out


def holm(ps: np.ndarray) -> np.ndarray:
    """Adjusted p of each row's (Holm 1979)."""
    order, m = np.argsort(ps, axis=1), ps.shape[1]
    stepped = np.maximum.accumulate(np.take_along_axis(ps, order, 1) * np.arange(m, 0, -1), axis=1).clip(max=1)
    out = np.empty_like(ps)
    np.put_along_axis(out, order, stepped, 1)
    return out


def bca_covers(pairs: np.ndarray, truth: float) -> float:
    """How often the bias-corrected and accelerated bootstrap interval labelled 95 % (Efron 1987) holds the truth."""
    from scipy.stats import bootstrap

    rng, covered = np.random.default_rng(SEED), []
    for start in range(0, len(pairs), 20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of samples that are degenerate
            found = bootstrap((pairs[start : start + 20],), np.mean, axis=1, n_resamples=9_999, method="BCa", rng=rng)
        low, high = found.confidence_interval
        covered.append((low <= truth) & (truth <= high))
    return float(np.concatenate(covered).mean())


def replaced(repeats: int) -> str:
    """This rule and the one that it replaced on the same normal accuracies of equal spread, by numbers of seeds."""
    rows = []
    for n in FIXED:
        row: list[object] = [n]
        for design, d in ((PAIR, 0.0), (GROUPS, 0.0), (PAIR, 2.0), (GROUPS, 2.0)):
            (drawn,) = experiments(normal(), design, d, repeats, repeats)
            pairs = np.stack(
                [drawn.values[:, :, :n].transpose(0, 2, 1) @ np.array(w) for w in design.contrasts], axis=1
            )
            ps = holm(np.stack([sign_flip_ps(pairs[:, at]) for at in range(pairs.shape[1])], axis=1))
            claimed = ps < ALPHA
            now = np.isin(fixed(drawn, design, n, 0.0).answers, (BETTER, WORSE))
            row += [percent(float(own.any(axis=1).mean() if not d else own[:, 0].mean())) for own in (claimed, now)]
        (drawn,) = experiments(normal(), PAIR, 0.0, repeats, repeats)
        found = drawn.first(n, PAIR.contrasts[0])
        old = bca_covers(drawn.values[: repeats // 5, 1, :n] - drawn.values[: repeats // 5, 0, :n], 0.0)
        row += [percent(old), percent(float(np.mean(np.abs(found.difference) <= found.half(ALPHA))))]
        rows.append(row)
    head = ["seeds"]
    for what in ("false claims, 1 pair", "3 pairs", "power at 2 sd, 1 pair", "3 pairs", "95 % interval covers"):
        head += [f"{what}: replaced", "now"]
    return f"In %; coverage of the replaced interval from {repeats // 5:,} experiments:\n\n" + table(head, rows)


PARTS: dict[str, Callable[[int], str]] = {
    "errors": errors,
    "crossed": crossed,
    "skewed": not_normal,
    "power": power,
    "saved": saved,
    "reach": reach,
    "replaced": replaced,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10_000, help="experiments of each kind (default 10000)")
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    arguments = parser.parse_args()
    for part in [arguments.only] if arguments.only else PARTS:
        print(f"{PARTS[part](arguments.repeats)}\n\n`python benchmarks/verdict.py --only {part}", end="")
        print(f" --repeats {arguments.repeats}`: {arguments.repeats:,} experiments a figure.\n", flush=True)


if __name__ == "__main__":
    main()
