"""Is it faster? Times measured by turns, which decide, and the seconds of training, which are shown beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from dsbench.numerals import listed
from dsbench.statistics.paired import Paired, paired
from dsbench.statistics.power import ALPHA, holm
from dsbench.verdict.answers import Answer, Measure
from dsbench.verdict.cells import DATA, Cell, Run
from dsbench.verdict.timings import DECIDING, NAMES, STEP, Comparison, Key, Records, not_comparable, timings

WANTED = (NAMES[STEP], "latency at batch 1", "latency at a large batch")  # without each of which none is faster
LATENCY: Key = ("latency_ms", "batch_1", DECIDING)
EPOCH, TRAINING = "epoch, as trained", "training, as trained"
_CONDITIONS = ("device", "precision", "threads", "n_jobs")  # of trainings side by side


def measured_times(pairs: Sequence[tuple[Cell, Cell]], records: Records) -> list[tuple[Measure, ...]]:
    """For each pair (reference, candidate) its training step, epoch and latencies, as `dsbench bench` measured them.

    Times compare where they were measured in one place and by turns, the last of such. What disturbs a round disturbs
    both of a pair, so that their ratio, round by round, is what the test looks at: the sign-flip test of its logarithm,
    whose p is adjusted by Holm over the `pairs`, for each thing that is timed. Neighbouring rounds are alike, so that
    of more than 16 the test takes 16 blocks, in the order of time, each by its median. A candidate is faster or slower
    where the adjusted p is below .05 and both the medians and the ratios by turns differ by more than 5 %, which is
    what two measurements of one network differ by. What was not measured of both alike is listed as lacking.
    """
    ids = [(reference.cell_id, candidate.cell_id) for reference, candidate in pairs]
    compared = {key: _comparisons(*pair, records) for key, pair in zip(ids, pairs, strict=True)}  # some in two groups
    adjusted: dict[Key, dict[tuple[str, str], float | None]] = {}
    for key in dict.fromkeys(key for comparisons in compared.values() for key in comparisons):
        ps = [comparisons[key].p if key in comparisons else None for comparisons in compared.values()]
        adjusted[key] = dict(zip(compared, holm(ps), strict=True))
    return [
        tuple(
            compared[both][key].measure(adjusted[key][both], len(compared))
            for key in sorted(compared[both], key=_order)
        )
        + _lacking(pair, compared[both], records)
        for both, pair in zip(ids, pairs, strict=True)
    ]


def _comparisons(reference: Cell, candidate: Cell, records: Records) -> dict[Key, Comparison]:
    """By what is timed, the last two times that compare, else the last two."""
    both = product(timings(reference, records), timings(candidate, records))
    out: dict[Key, Comparison] = {}
    for before, after in sorted(both, key=lambda pair: bool(not_comparable(*pair))):
        for key in before.times.keys() & after.times.keys():
            out.setdefault(key, Comparison(key, before, after))
    return out


def _order(key: Key) -> tuple[Any, ...]:
    """The step and its epoch, then torch's latencies, then those of others, each by batch."""
    if key in NAMES:
        return 0, list(NAMES).index(key)
    return 1 + (key[-1] != DECIDING), key[-1], int(key[1].rpartition("_")[2])


def _lacking(pair: tuple[Cell, Cell], compared: dict[Key, Comparison], records: Records) -> tuple[Measure, ...]:
    """What is missing of what is wanted."""
    names = {_wanted(key) for key in compared}
    unmeasured = [cell.label for cell in pair if not timings(cell, records)]
    reason = f"no measurement of {' and '.join(unmeasured)}" if unmeasured else "not measured of both alike"
    return tuple(
        Measure(name, "ms", None, None, Answer.NOT_MEASURED, reason=reason) for name in WANTED if name not in names
    )


def _wanted(key: Key) -> str:
    """Which of WANTED a time is; empty for those of other backends, which are shown alone."""
    if key in NAMES:
        return NAMES[key]
    return "" if key[-1] != DECIDING else WANTED[1] if key[1] == "batch_1" else WANTED[2]


def trained(pairs: Sequence[tuple[Cell, Cell]]) -> list[tuple[Measure, ...]]:
    """For each pair of a group the seconds of an epoch and of the whole training, which decide nothing.

    They are paired by seed and tested as accuracies are, each question adjusted by Holm over the pairs, where all runs
    of both had the same device, precision, threads and number of runs beside them.
    """
    questions: dict[str, Callable[[Run], float | None]] = {
        EPOCH: lambda run: run.train_seconds / run.epochs if run.train_seconds and run.epochs else None,
        TRAINING: lambda run: run.train_seconds,
    }
    columns = [_compared(pairs, name, seconds) for name, seconds in questions.items()]
    return list(zip(*columns, strict=True))


def _compared(pairs: Sequence[tuple[Cell, Cell]], name: str, seconds: Callable[[Run], float | None]) -> list[Measure]:
    reasons = [_seconds_not_comparable(pair, by_epoch=name == EPOCH) for pair in pairs]
    tests, means = [], []
    for pair in pairs:
        before, after = ({run.seed: value for run in cell.done if (value := seconds(run)) is not None} for cell in pair)
        seeds = sorted(before.keys() & after.keys(), key=str)
        tests.append(paired([after[seed] - before[seed] for seed in seeds]))
        means.append([sum(of[seed] for seed in seeds) / len(seeds) if seeds else None for of in (before, after)])
    adjusted = holm([test.p if test and not reason else None for test, reason in zip(tests, reasons, strict=True)])
    return [_row(name, *row) for row in zip(pairs, tests, means, adjusted, reasons, strict=True)]


def _row(
    name: str, pair: tuple[Cell, Cell], test: Paired | None, means: Sequence[float | None], p: float | None, reason: str
) -> Measure:
    if test is None:
        answer, reason = Answer.NOT_MEASURED, "no seed in which both are done"
    elif reason:
        answer = Answer.REFUSED
    elif p is not None and p < ALPHA:
        answer = Answer.YES if test.mean < 0 else Answer.NO
    else:
        answer = Answer.CANNOT_TELL
    return Measure(
        name=name,
        unit="s",
        reference=means[0],
        candidate=means[1],
        answer=answer,
        p=p,
        n=test.n if test else 0,
        reason=reason,
        note=_trained_under(pair),
        decides=False,
    )


def _trained_under(pair: tuple[Cell, Cell]) -> str:
    """Under what conditions the runs of both were trained."""
    runs = [run for cell in pair for run in cell.done]
    values = {name: list(dict.fromkeys(getattr(run, name) for run in runs)) for name in _CONDITIONS}
    return ", ".join(
        f"{name} {' and '.join('unknown' if value is None else str(value) for value in known)}"
        for name, known in values.items()
    )


def _seconds_not_comparable(cells: Sequence[Cell], by_epoch: bool = False) -> str:
    """Why seconds of training of these cells, or of its epochs, do not compare; empty where they do."""
    stops = [by for cell in cells if (by := cell.recipe.get("stop.by", "epochs")) != "epochs"]
    if by_epoch and stops:
        return f"the last epoch may be cut short under stop.by={stops[0]}"
    for name in _CONDITIONS:
        values = dict.fromkeys(getattr(run, name) for cell in cells for run in cell.done)
        if None in values:
            return f"{name} is not recorded of all runs"
        if len(values) > 1:
            return f"trained with different {name}: {' and '.join(map(str, values))}"
    return ""


def unranked(cells: Sequence[Cell], records: Records) -> dict[str, str]:
    """Why cells cannot be ranked by accuracy, train_seconds or latency (of one image), for those by which they cannot.

    Seconds of training rank where nothing was trained beside anything else, which is more than pairs of them ask for.
    """
    done = [cell for cell in cells if cell.done]
    reasons = {
        "accuracy": _data(done),
        "train_seconds": _seconds_not_comparable(done) or _side_by_side(done),
        "latency": _latency(done, records),
    }
    return {name: reason for name, reason in reasons.items() if reason}


def _data(cells: Sequence[Cell]) -> str:
    """Whether accuracies are of other images."""
    for name in DATA:
        values = dict.fromkeys(str(cell.recipe.get(name)) for cell in cells)
        if len(values) > 1:
            return f"accuracies of different {name}: {listed(list(values))}"
    return ""


def _side_by_side(cells: Sequence[Cell]) -> str:
    """Whether runs stood beside others; that all had equally many is settled before."""
    at_once = max((run.n_jobs or 1 for cell in cells for run in cell.done), default=1)
    return f"trained {at_once} at a time, which slows them unequally" if at_once > 1 else ""


def _latency(cells: Sequence[Cell], records: Records) -> str:
    measured = [times for cell in cells for times in timings(cell, records) if LATENCY in times.times]
    return next(filter(None, (not_comparable(measured[0], times) for times in measured)), "")
