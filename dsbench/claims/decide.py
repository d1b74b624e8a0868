"""Published claims decided by runs: by counts, by figures over seeds, and by ratios of times and memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import le, lt
from statistics import mean

from dsbench.claims.published import Bound, Claim, Figure, NotTestedError, Published, Quantity, Run, of_model
from dsbench.measure.record import PLACE
from dsbench.network.cost import TOTALS
from dsbench.numerals import listed, p_equals
from dsbench.quantities import QUANTITIES
from dsbench.results.cells import cells_table
from dsbench.results.records import runs_table
from dsbench.run.record import BROKEN, FINAL
from dsbench.statistics.means import ALPHA, t_interval
from dsbench.statistics.paired import sign_flip_p
from dsbench.verdict.cells import cells
from dsbench.verdict.faster import measured_times
from dsbench.verdict.lighter import Measure
from dsbench.verdict.rule import SPEED_MARGIN, Answer

MEMORY = "peak_memory_bytes"
TIMES = {QUANTITIES[name].path: QUANTITIES[name].wording for name in ("train_step_ms", "latency_ms")}  # by the verdict
KEYS = (*TIMES, MEMORY)
Ratio = tuple[float, float, float, str]  # its value, the low and high end of its range, where it was measured


def ratio(quantity: Quantity, runs: Sequence[Run]) -> Ratio:
    """The figure's ratio to that of `over`. Raises NotTestedError."""
    assert quantity.over is not None
    ratio_of = _memory if quantity.figure.metric == MEMORY else _time
    return ratio_of(quantity.over, quantity.figure, runs)


def _time(reference: Figure, candidate: Figure, runs: Sequence[Run]) -> Ratio:
    """The ratio of the times; its range the verdict's interval on this pair alone, at least its speed margin.

    Where that does not say which is faster, 1 is within.
    """
    measure = _measure_of_pair(reference, candidate, runs)
    if measure.ratio is None or measure.interval is None:
        raise NotTestedError(measure.reason or str(measure.answer))
    margin = 1 + SPEED_MARGIN / 100
    possible = [measure.interval.low, measure.interval.high, measure.ratio / margin, measure.ratio * margin]
    possible += [] if measure.answer in (Answer.FASTER, Answer.SLOWER) else [1.0]
    return measure.ratio, min(possible), max(possible), measure.note


def _measure_of_pair(reference: Figure, candidate: Figure, runs: Sequence[Run]) -> Measure:
    """The verdict's measure of the two models' times, as of the only pair."""
    done = [run for figure in (reference, candidate) for run in of_model(figure.model, runs, ["done"])]
    table = runs_table([run.record for run in done])
    by_id = {cell.cell_id: cell for cell in cells(table, cells_table(table))}
    first, second = (by_id[of_model(figure.model, done, ["done"])[0].cell_id] for figure in (reference, candidate))
    (measures,) = measured_times([(first, second)], {run.record.run_id: run.record for run in done})
    for measure in measures:
        if measure.name == TIMES[candidate.metric]:
            return measure
    raise NotTestedError(f"no {candidate.metric} was measured")


def _memory(reference: Figure, candidate: Figure, runs: Sequence[Run]) -> Ratio:
    """The ratio of the peaks of a training step, which are the same each time."""
    first, second = (_measured(figure, runs) for figure in (reference, candidate))
    places = [{name: run.record.measured["measured_on"].get(name) for name in PLACE} for run in (first, second)]
    different = [name for name in PLACE if places[0][name] != places[1][name]]
    if different:
        raise NotTestedError(f"measured with different {', '.join(different)}")
    value = second.record.measured[MEMORY] / first.record.measured[MEMORY]
    return value, value, value, str(places[0]["device"])


def _measured(figure: Figure, runs: Sequence[Run]) -> Run:
    """A run of the figure's model whose memory was measured."""
    for run in of_model(figure.model, runs, ["done"]):
        if run.record.measured.get(MEMORY) is not None:
            return run
    raise NotTestedError(f"no {figure.metric} of {figure.model} was measured")


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


def measure_bound(bound: Bound, runs: Sequence[Run]) -> Measured:
    """The bound's quantity less what it is compared to. Raises NotTestedError.

    Counts are those of runs that have not ended too. What is measured apart depends on the network alone; its range is
    that of its rounds. The rest is taken seed by seed, its range the 95 % interval of the mean; a comparison of two
    models has a p as well, as in the verdict.
    """
    if all(figure.metric in TOTALS for figure in bound.figures):
        count = _difference(bound, lambda figure: _counted(figure, runs))
        return Measured(count, count, count, "counted")
    if all(figure.metric in KEYS for figure in bound.figures):
        return Measured(*ratio(bound.quantity, runs))
    return _by_seed(bound, runs)


def _counted(figure: Figure, runs: Sequence[Run]) -> float:
    own = (run for run in runs if run.model == figure.model)
    counts = {run.costs[figure.metric] for run in own if figure.metric in run.costs}
    if not counts:
        raise NotTestedError(f"no run of {figure.model}")
    if len(counts) > 1:
        raise NotTestedError(f"variants of {figure.model} differ in {figure.metric}; name a sweep with one of them")
    return float(counts.pop())


def _by_seed(bound: Bound, runs: Sequence[Run]) -> Measured:
    """The mean over the seeds that are done in all models of the bound; ended seeds that are left out are counted."""
    models = dict.fromkeys(figure.model for figure in bound.figures)
    ended = {model: {run.seed: run for run in of_model(model, runs, (*FINAL, *BROKEN))} for model in models}
    seeds = sorted(set.intersection(*map(set, ended.values())))
    failures = {seed: {by_seed[seed].status for by_seed in ended.values()} - {"done"} for seed in seeds}
    done = [seed for seed in seeds if not failures[seed]]
    causes = ", ".join(sorted(set().union(*failures.values())))
    left_out = f", {len(seeds) - len(done)} left out: {causes}" if causes else ""
    if not done:
        raise NotTestedError(f"no seed is done in all of the runs that it speaks of{left_out}")

    def measured(seed: int) -> float:
        return _difference(bound, lambda figure: ended[figure.model][seed].at_epoch(figure))

    values = list(map(measured, done))
    low, high = interval(values)
    p = _largest_p(values, bound) if len(models) > 1 and len(done) > 1 else None
    n = f"n = {len(done)}" if p is None else f"n = {len(done)}, {p_equals(p)}"
    return Measured(mean(values), low, high, f"{n}{left_out}", len(done), p)


def _largest_p(values: Sequence[float], bound: Bound) -> float | None:
    """The largest p of the sign-flip tests against the ends of the bound."""
    ends = [end for end in (bound.low, bound.high) if math.isfinite(end)]
    p_of_ends = (sign_flip_p([value - end for value in values]) for end in ends)
    return max((p for p in p_of_ends if p is not None), default=None)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean by Student's t; of one value that value alone."""
    ends = t_interval(values)
    return (ends.low, ends.high) if ends else (values[0], values[0])


def _difference(bound: Bound, value_of: Callable[[Figure], float]) -> float:
    """The bound's quantity less that of `compared_to`, of the values of its figures."""
    value = _value(bound.quantity, value_of)
    return value - _value(bound.compared_to, value_of) if bound.compared_to else value


def _value(quantity: Quantity, value_of: Callable[[Figure], float]) -> float:
    value = value_of(quantity.figure)
    if quantity.over is not None:
        value /= value_of(quantity.over)
    if quantity.minus is not None:
        value -= value_of(quantity.minus)
    return value


HOLDS, FAILS, OPEN, UNTESTED = "holds", "does not hold", "cannot tell", "not tested"
ONCE = " in one seed"  # added where another seed might decide otherwise


@dataclass(frozen=True)
class Outcome:
    """A claim and its verdict; `measured` is the figure with its interval and n in words, or why there is none."""

    claim: Claim
    verdict: str
    measured: str

    def plain(self) -> dict[str, str]:
        """As JSON has it."""
        return {"claim": self.claim.text, "study": self.claim.study, "measured": self.measured, "verdict": self.verdict}


def decide(published: Published, runs: Sequence[Run]) -> list[Outcome]:
    """The outcome of each of the study's claims by `runs`.

    The range of the measured value decides: inside the claim's bounds it holds, outside it does not, across one of them
    it cannot be told. A comparison of two models over several seeds has to pass the verdict's sign-flip test too. A
    single seed has no range, which the verdict mentions. Runs on another data set than the study's test nothing.
    """
    own = [run for run in runs if run.data == published.data]
    elsewhere = sorted({str(run.data) for run in runs}) if not own else []
    reason = f"trained on {listed(elsewhere)}, not on {published.data}" if elsewhere else ""
    return [_outcome(claim, own, reason) for claim in published.claims]


def _outcome(claim: Claim, runs: Sequence[Run], untested: str) -> Outcome:
    if claim.bound is None or untested:
        return Outcome(claim, UNTESTED, claim.untested or untested)
    try:
        measured = measure_bound(claim.bound, runs)
    except NotTestedError as reason:
        return Outcome(claim, UNTESTED, str(reason))
    return Outcome(claim, _verdict(claim.bound, measured), _in_words(claim.bound, measured))


def _verdict(bound: Bound, measured: Measured) -> str:
    within = lt if bound.strict else le
    if measured.p is not None and measured.p >= ALPHA:
        return OPEN
    if within(bound.low, measured.low) and within(measured.high, bound.high):
        verdict = HOLDS
    elif not within(bound.low, measured.high) or not within(measured.low, bound.high):
        verdict = FAILS
    else:
        return OPEN
    return verdict + (ONCE if measured.seeds == 1 else "")


def _in_words(bound: Bound, measured: Measured) -> str:
    """`96.40 ± 0.30 % (n = 8)`, `0.812 times, 0.78 to 0.86 (a CPU, ...)`, `7,800 (counted)`."""
    quantity, scale, digits, unit = bound.quantity, 1, ".4g", ""
    if quantity.over is not None:
        digits, unit = ".3g", " times"
    elif quantity.figure.metric.endswith("_acc"):
        scale, digits, unit = 100, ".2f", " points" if quantity.minus or bound.compared_to else " %"
    elif not measured.seeds:
        digits = ",.0f"
    low, value, high = (f"{scale * end:{digits}}" for end in (measured.low, measured.value, measured.high))
    if measured.seeds > 1:
        text = f"{value} ± {scale * (measured.high - measured.value):{digits}}{unit}"
    elif measured.low < measured.high:
        text = f"{value}{unit}, {low} to {high}"
    else:
        text = f"{value}{unit}"
    return f"{text} ({measured.source})"
