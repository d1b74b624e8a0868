"""Published claims decided by runs: by counts, by figures over seeds, and by ratios of times and memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import le, lt

import numpy as np

from dsbench.claims.published import Bound, Claim, Figure, NotTestedError, Published, Quantity, Run, of_model
from dsbench.measure.record import PLACE
from dsbench.network.cost import TOTALS
from dsbench.numerals import counted, listed
from dsbench.quantities import QUANTITIES
from dsbench.results.cells import cells_table
from dsbench.results.records import runs_table
from dsbench.run.record import BROKEN, FINAL
from dsbench.statistics.means import FEWEST, Sample, contrast
from dsbench.tables import Tone
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
    measured = {run.model for run in done if run.record.measured.get("measured_on")}
    for figure in (reference, candidate):
        if figure.model not in measured:
            raise NotTestedError(f"no {TIMES[figure.metric]} of {figure.model} was measured")
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
    different = [name for name in PLACE if name != "memory_format" and places[0][name] != places[1][name]]
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

    `seeds` is how many runs a model it is the mean of, at least; 0 where it does not depend on a seed.
    """

    value: float
    low: float
    high: float
    source: str
    seeds: int = 0


def measure_bound(bound: Bound, runs: Sequence[Run]) -> Measured:
    """The bound's quantity less what it is compared to. Raises NotTestedError.

    Counts are those of runs that have not ended too. What is measured apart depends on the network alone; its range is
    the verdict's. The rest is a mean over runs, or a difference of two models' means; its range is the 95 % interval.
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
    """The mean over the runs that are done, or the sum of the means of several models, unpaired, as in the verdict.

    A model's part is the same sum of its figures in each of its runs. Its interval is Student's t, Welch's of several
    models. Runs that ended otherwise are counted.
    """
    models = dict.fromkeys(figure.model for figure in bound.figures)
    ended = [run for model in models for run in of_model(model, runs, (*FINAL, *BROKEN))]
    statuses = [run.status for run in ended if run.status != "done"]
    left_out = f", {len(statuses)} left out: {listed(sorted(set(statuses)))}" if statuses else ""
    samples = []
    for model in models:
        own = [(weight, figure) for weight, figure in bound.weights if figure.model == model]
        done = [run for run in ended if run.model == model and run.status == "done"]
        samples.append(Sample(np.array([sum(weight * run.at_epoch(figure) for weight, figure in own) for run in done])))
    difference = contrast(samples)
    if difference is None:
        raise NotTestedError(f"no run is done of each network that it speaks of{left_out}")
    interval = difference.interval()
    value = difference.difference
    low, high = (interval.low, interval.high) if interval else (value, value)
    n = listed(list(map(str, difference.runs)))
    return Measured(value, low, high, f"n = {n}{left_out}", min(difference.runs))


def _difference(bound: Bound, value_of: Callable[[Figure], float]) -> float:
    """The bound's quantity less that of `compared_to`, of the values of its figures."""
    over = bound.quantity.over
    return sum(weight * value_of(figure) for weight, figure in bound.weights) / (value_of(over) if over else 1)


class Decision(StrEnum):
    """What a claim comes to."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "cannot tell"
    UNTESTED = "not tested"

    @property
    def tone(self) -> Tone:
        """How it sounds."""
        return _TONES[self]


HOLDS, FAILS, OPEN, UNTESTED = Decision
_TONES = {HOLDS: Tone.GOOD, FAILS: Tone.BAD, OPEN: Tone.OPEN, UNTESTED: Tone.NONE}
_VERBS = {  # of one claim, of several
    HOLDS: ("holds", "hold"),
    FAILS: ("does not hold", "do not hold"),
    OPEN: ("cannot be told", "cannot be told"),
    UNTESTED: ("is not tested", "are not tested"),
}
_MOST_REASONS = 2  # that a sentence gives


@dataclass(frozen=True)
class Outcome:
    """A claim and its verdict; `measured` is the figure with its interval and n in words, or why there is none."""

    claim: Claim
    verdict: Decision
    measured: str

    def plain(self) -> dict[str, str]:
        """As JSON has it."""
        return {"claim": self.claim.text, "study": self.claim.study, "measured": self.measured, "verdict": self.verdict}


def decide(published: Published, runs: Sequence[Run]) -> list[Outcome]:
    """The outcome of each of the study's claims by `runs`.

    The range of the measured value decides: inside the claim's bounds it holds, outside it does not, across one of them
    it cannot be told. Nor can it by fewer than FEWEST runs a model, but for a digit of the study's own log, which is of
    one run as well. Runs on another data set than the claim's test nothing.
    """
    return [_outcome(claim, runs, claim.data or published.data) for claim in published.claims]


def _outcome(claim: Claim, runs: Sequence[Run], data: str) -> Outcome:
    own = [run for run in runs if run.data == data]
    if claim.bound is None:
        return Outcome(claim, UNTESTED, claim.untested)
    if runs and not own:
        elsewhere = listed(sorted({str(run.data) for run in runs}))
        return Outcome(claim, UNTESTED, f"trained on {elsewhere}, not on {data}")
    try:
        measured = measure_bound(claim.bound, own)
    except NotTestedError as reason:
        return Outcome(claim, UNTESTED, str(reason))
    return Outcome(claim, _verdict(claim.bound, measured), _in_words(claim.bound, measured))


def _verdict(bound: Bound, measured: Measured) -> Decision:
    if 0 < measured.seeds < FEWEST and not bound.logged:
        return OPEN
    within = lt if bound.strict else le
    if within(bound.low, measured.low) and within(measured.high, bound.high):
        return HOLDS
    if not within(bound.low, measured.high) or not within(measured.low, bound.high):
        return FAILS
    return OPEN


def summed_up(outcomes: Sequence[Outcome]) -> str:
    """How many claims came to what, with what is missing to test the others; empty without claims."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    if not counts:
        return ""
    parts = [f"{counts[verdict]} {verbs[counts[verdict] > 1]}" for verdict, verbs in _VERBS.items() if counts[verdict]]
    reasons = Counter(outcome.measured for outcome in outcomes if outcome.verdict == UNTESTED)
    most = [reason for reason, number in reasons.most_common(_MOST_REASONS) if number > 1]
    why = f", most since {listed(most)}" if most else ""
    return f"Of the study's {counted(len(outcomes), 'claim')} {listed(parts)}{why}."


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
