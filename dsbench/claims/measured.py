"""What runs say about the figures that claims speak of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean

from dsbench.claims import apart
from dsbench.claims.published import Bound, Figure, Quantity
from dsbench.claims.runs import NotTestedError, Run, of_model
from dsbench.network.cost import TOTALS
from dsbench.run.status import BROKEN, FINAL
from dsbench.statistics.paired import t_interval


@dataclass(frozen=True)
class Measured:
    """A quantity: its value, the range from `low` to `high` in which it lies, and what it was measured on.

    `seeds` is how many it is the mean of, 0 where it does not depend on a seed.
    """

    value: float
    low: float
    high: float
    source: str
    seeds: int = 0


def measured(bound: Bound, runs: Sequence[Run]) -> Measured:
    """The bound's quantity less what it is compared to. Raises NotTestedError.

    What is counted is known of runs that have not ended too. What is measured apart depends on the network alone; its
    range is that of its rounds. The rest is taken seed by seed, its range the 95 % interval of the mean.
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
    return Measured(mean(values), low, high, f"n = {len(done)}{left_out}", len(done))


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
