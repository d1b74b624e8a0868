"""What runs say about the figures that claims speak of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean

from dsbench.claims import apart
from dsbench.claims.published import Bound, Figure, Quantity
from dsbench.claims.runs import NotTestedError, Run, of_model
from dsbench.network.cost import TOTALS
from dsbench.numerals import p_equals
from dsbench.run.status import BROKEN, FINAL
from dsbench.statistics.paired import t_interval
from dsbench.statistics.signflip import sign_flip_p


@dataclass(frozen=True)
class Measured:
    """A quantity: its value, the range from `low` to `high` in which it lies, and what it was measured on.

    `seeds` is how many it is the mean of, 0 where it does not depend on a seed. `p`, of a difference of two models over
    several seeds, is the largest with which the sign-flip test tells it from an end of the claim's bound.
    """

    value: float
    low: float
    high: float
    source: str
    seeds: int = 0
    p: float | None = None


def measured(bound: Bound, runs: Sequence[Run]) -> Measured:
    """The bound's quantity less what it is compared to. Raises NotTestedError.

    What is counted is known of runs that have not ended too. What is measured apart depends on the network alone; its
    range is that of its rounds. The rest is taken seed by seed, its range the 95 % interval of the mean; what compares
    two models has a p as well, as in the verdict.
    """
    if all(figure.metric in TOTALS for figure in bound.figures):
        count = _whole(bound, lambda figure: _counted(figure, runs))
        return Measured(count, count, count, "counted")
    if all(figure.metric in apart.KEYS for figure in bound.figures):
        return Measured(*apart.ratio(bound.quantity, runs))
    return _by_seed(bound, runs)


def _counted(figure: Figure, runs: Sequence[Run]) -> float:
    counts = {count for run in runs if run.model == figure.model and (count := run.row[figure.metric]) is not None}
    if not counts:
        raise NotTestedError(f"no run of {figure.model}")
    if len(counts) > 1:
        raise NotTestedError(f"variants of {figure.model} differ in {figure.metric}; name a sweep with one of them")
    return float(counts.pop())


def _by_seed(bound: Bound, runs: Sequence[Run]) -> Measured:
    """Over the seeds in which all runs that it speaks of are done; the others that have ended are counted."""
    models = dict.fromkeys(figure.model for figure in bound.figures)
    ended = {model: {int(run.row["seed"]): run for run in of_model(model, runs, (*FINAL, *BROKEN))} for model in models}
    seeds = sorted(set.intersection(*(set(of_seed) for of_seed in ended.values())))
    lost = {seed: {of_seed[seed].row["status"] for of_seed in ended.values()} - {"done"} for seed in seeds}
    done = [seed for seed in seeds if not lost[seed]]
    causes = ", ".join(sorted(set().union(*lost.values())))
    left_out = f", {len(seeds) - len(done)} left out: {causes}" if causes else ""
    if not done:
        raise NotTestedError(f"no seed is done in all of the runs that it speaks of{left_out}")
    values = [_whole(bound, partial(_at_epoch, {model: ended[model][seed] for model in models})) for seed in done]
    low, high = interval(values)
    p = _p(values, bound) if len(models) > 1 and len(done) > 1 else None
    n = f"n = {len(done)}" if p is None else f"n = {len(done)}, {p_equals(p)}"
    return Measured(mean(values), low, high, f"{n}{left_out}", len(done), p)


def _p(values: Sequence[float], bound: Bound) -> float | None:
    ends = [end for end in (bound.low, bound.high) if math.isfinite(end)]
    found = (sign_flip_p([value - end for value in values]) for end in ends)
    return max((p for p in found if p is not None), default=None)


def _at_epoch(runs: Mapping[str, Run], figure: Figure) -> float:
    return runs[figure.model].at_epoch(figure)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean by Student's t; of one value that value alone."""
    found = t_interval(values)
    return (found.low, found.high) if found else (values[0], values[0])


def _whole(bound: Bound, of: Callable[[Figure], float]) -> float:
    value = _value(bound.quantity, of)
    return value - _value(bound.compared_to, of) if bound.compared_to else value


def _value(quantity: Quantity, of: Callable[[Figure], float]) -> float:
    value = of(quantity.figure)
    if quantity.over is not None:
        value /= of(quantity.over)
    if quantity.minus is not None:
        value -= of(quantity.minus)
    return value
