"""Is it faster? Measurements by turns decide; the seconds of training, taken beside other runs, are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dsbench.bench.timing import SETTLED_IQR
from dsbench.statistics.multiple import holm
from dsbench.statistics.paired import Paired, paired
from dsbench.statistics.power import LEVEL
from dsbench.verdict.answers import Answer, Measure
from dsbench.verdict.cells import Cell, Run
from dsbench.verdict.timings import Key, Records, Time, Timings, timings

DECIDING = "torch"  # the backend that trains; the others are shown
_CONDITIONS = ("device", "precision", "threads", "n_jobs")  # of trainings side by side


def measured(reference: Cell, candidate: Cell, records: Records) -> tuple[Measure, ...]:
    """The training step and the latencies of both, as `dsbench bench` measured them in one place.

    A difference counts where the middle halves of the rounds do not overlap and the medians differ by more than 5 %.
    Rounds drift together on a busy machine, so that the spread of their mean would claim too much: the middle half is
    what a round can be without anything having changed; and what two measurements of one network differ by is within
    the 5 % at which a measurement counts as settled. What has not settled decides nothing.
    """
    both = [timings(cell, records) for cell in (reference, candidate)]
    if not all(both):
        lacking = [cell.label for cell, found in zip((reference, candidate), both, strict=True) if not found]
        return tuple(
            Measure(name, "ms", None, None, Answer.NOT_MEASURED, reason=f"no measurement of {' and '.join(lacking)}")
            for name in ("training step", "latency, batch 1", "latency, large batch")
        )
    common = [(one, other) for one in both[0] for other in both[1] if one.place == other.place]
    before, after = common[0] if common else (both[0][0], both[1][0])
    refused = "" if common else _elsewhere(before, after)
    keys = [key for key in before.times if key in after.times]
    rows = [_measure(key, before, after, refused) for key in sorted(keys, key=_order)]
    return tuple(rows) or (Measure("training step", "ms", None, None, Answer.REFUSED, reason="nothing in common"),)


def trained(pairs: Sequence[tuple[Cell, Cell]]) -> list[tuple[Measure, ...]]:
    """For each pair of a group the seconds of an epoch and of the whole training, which decide nothing.

    They are paired by seed and tested as accuracies are, each question adjusted by Holm over the pairs, where all runs
    of both had the same device, precision, threads and number of runs beside them.
    """
    questions: dict[str, Callable[[Run], float | None]] = {
        "epoch": lambda run: run.train_seconds / run.epochs if run.train_seconds and run.epochs else None,
        "training": lambda run: run.train_seconds,
    }
    columns = [_compared(pairs, name, seconds) for name, seconds in questions.items()]
    return [tuple(rows) for rows in zip(*columns, strict=True)]


def _measure(key: Key, before: Timings, after: Timings, refused: str) -> Measure:
    times = before.times[key], after.times[key]
    one, other = times
    reason = refused or _unsettled(times)
    if not reason and key[0] == "train_step_ms" and before.batch_size != after.batch_size:
        reason = f"steps of {before.batch_size} and of {after.batch_size} images"
    if reason:
        answer = Answer.REFUSED
    else:
        apart = one.high < other.low or other.high < one.low
        apart &= abs(other.median - one.median) > SETTLED_IQR * one.median
        answer = (Answer.YES if other.median < one.median else Answer.NO) if apart else Answer.CANNOT_TELL
    return Measure(
        name=_name(key),
        unit="ms",
        reference=one.median,
        candidate=other.median,
        answer=answer,
        reference_spread=one.iqr,
        candidate_spread=other.iqr,
        reason=reason,
        note=_where(before, after),
        decides=len(key) == 1 or key[-1] == DECIDING,
    )


def _name(key: Key) -> str:
    if len(key) == 1:
        return "training step"
    backend = "" if key[-1] == DECIDING else f", {key[-1]}"
    return f"latency, {key[1].replace('_', ' ')}{backend}"


def _order(key: Key) -> tuple[Any, ...]:
    """The step, then torch's latencies, then those of others, each by batch."""
    if len(key) == 1:
        return (0,)
    return 1 + (key[-1] != DECIDING), key[-1], int(key[1].rpartition("_")[2])


def _where(before: Timings, after: Timings) -> str:
    place = before.place
    said = f"{place['device']}, precision {place['precision']}, {_threads(place['threads'])}"
    loads = [load for load in (before.load_average, after.load_average) if load is not None]
    return f"{said}, load average {max(loads):.1f} before" if loads else said


def _threads(number: Any) -> str:
    return f"{number} thread{'' if number == 1 else 's'}"


def _elsewhere(before: Timings, after: Timings) -> str:
    one, other = _flat(before.place), _flat(after.place)
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return f"measured with different {', '.join(f'{name} ({one.get(name)} and {other.get(name)})' for name in names)}"


def _flat(place: dict[str, Any]) -> dict[str, Any]:
    versions = place.get("versions") or {}
    return {name: value for name, value in place.items() if name != "versions"} | versions


def _unsettled(times: Sequence[Time]) -> str:
    shares = [f"{100 * time.iqr / time.median:.0f} %" for time in times if not time.settled]
    return f"not settled, its interquartile range is {' and '.join(shares)} of the median" if shares else ""


def _compared(pairs: Sequence[tuple[Cell, Cell]], name: str, seconds: Callable[[Run], float | None]) -> list[Measure]:
    refused = [_refused(*pair, cut=name == "epoch") for pair in pairs]
    tests, means = [], []
    for pair in pairs:
        one, other = ({run.seed: value for run in cell.done if (value := seconds(run)) is not None} for cell in pair)
        seeds = sorted(one.keys() & other.keys(), key=str)
        tests.append(paired([other[seed] - one[seed] for seed in seeds]))
        means.append([sum(of[seed] for seed in seeds) / len(seeds) if seeds else None for of in (one, other)])
    adjusted = holm([one.p if one and not why else None for one, why in zip(tests, refused, strict=True)])
    rows = zip(pairs, tests, means, adjusted, refused, strict=True)
    return [_row(name, pair, test, mean, p, why) for pair, test, mean, p, why in rows]


def _row(
    name: str, pair: tuple[Cell, Cell], test: Paired | None, means: Sequence[float | None], p: float | None, why: str
) -> Measure:
    if test is None:
        answer, why = Answer.NOT_MEASURED, "no seed in which both are done"
    elif why:
        answer = Answer.REFUSED
    elif p is not None and p < LEVEL:
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
        reason=why,
        note=_beside(pair),
        decides=False,
    )


def _refused(reference: Cell, candidate: Cell, cut: bool) -> str:
    """Why trainings of the two cannot be compared; empty where they can."""
    runs = reference.done + candidate.done
    if cut and reference.recipe.get("stop.by", "epochs") != "epochs":
        return f"the last epoch may be cut short under stop.by={reference.recipe['stop.by']}"
    for name in _CONDITIONS:
        values = dict.fromkeys(getattr(run, name) for run in runs)
        if None in values:
            return f"{name} is not recorded of all runs"
        if len(values) > 1:
            return f"trained with different {name}: {' and '.join(map(str, values))}"
    return ""


def _beside(pair: tuple[Cell, Cell]) -> str:
    """Under what conditions the runs of both were trained."""
    runs = [run for cell in pair for run in cell.done]
    values = {name: list(dict.fromkeys(getattr(run, name) for run in runs)) for name in _CONDITIONS}
    return ", ".join(
        f"{name} {' and '.join('unknown' if value is None else str(value) for value in found)}"
        for name, found in values.items()
    )
