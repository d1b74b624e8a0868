"""Is it faster? Times measured by turns in repeats, which decide, and the seconds of training, shown beside them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from dsbench.numerals import listed
from dsbench.statistics.means import ALPHA
from dsbench.verdict.cells import CONDITIONS, DATA, Cell, Run
from dsbench.verdict.lighter import Measure
from dsbench.verdict.rule import SPEED_MARGIN, Answer
from dsbench.verdict.timings import DECIDING, NAMES, STEP, Comparison, Key, Records, Timings, timings

WANTED = (NAMES[STEP], "latency at batch 1", "latency at a large batch")  # without each of which none is faster
LATENCY: Key = ("latency_ms", "batch_1", DECIDING)
EPOCH, TRAINING = "epoch, as trained", "training, as trained"


def measured_times(
    pairs: Sequence[tuple[Cell, Cell]],
    records: Records,
    levels: Sequence[float] = (),
    speed_margin: float = SPEED_MARGIN,
) -> list[tuple[Measure, ...]]:
    """For each pair (reference, candidate) its training step, epoch and latencies, as `dsbench bench` measured them.

    Times compare where they were measured in one place and by turns, the last of such. The interval is over repeats
    (see dsbench.verdict.timings.over_days), at the level that `levels` has for the pair. What was not measured of both
    alike is listed as lacking.
    """
    out = []
    for pair, level in zip(pairs, levels or [ALPHA] * len(pairs), strict=True):
        compared = comparisons(*(timings(cell, records) for cell in pair))
        times = tuple(compared[key].measure(level, speed_margin) for key in sorted(compared, key=_order))
        out.append(times + _lacking(pair, compared, records))
    return out


def comparisons(reference: Sequence[Timings], candidate: Sequence[Timings]) -> dict[Key, Comparison]:
    """By what is timed, the last two times that compare, else the last two."""
    both = product(reference, candidate)
    compared = [
        Comparison(key, before, after) for before, after in both for key in before.times.keys() & after.times.keys()
    ]
    out: dict[Key, Comparison] = {}
    for one in sorted(compared, key=lambda one: bool(one.not_comparable)):
        out.setdefault(one.key, one)
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


def short(name: str) -> str:
    """What a time that decides is called where room is short: step, one image, 128 images."""
    if name in NAMES.values():
        return "step"
    batch = name.removeprefix("latency at batch ")
    return "one image" if batch == "1" else f"{batch} images" if batch.isdecimal() else "many images"


def _wanted(key: Key) -> str:
    """Which of WANTED a time is; empty for those of other backends, which are shown alone."""
    if key in NAMES:
        return NAMES[key]
    return "" if key[-1] != DECIDING else WANTED[1] if key[1] == "batch_1" else WANTED[2]


def trained(pairs: Sequence[tuple[Cell, Cell]]) -> list[tuple[Measure, ...]]:
    """For each pair the mean seconds of an epoch and of the whole training, which decide nothing.

    They compare where all runs of both had the same device, precision, threads and number of runs beside them, and each
    was a program of its own.
    """
    return [(_seconds(EPOCH, pair), _seconds(TRAINING, pair)) for pair in pairs]


def _seconds(name: str, pair: tuple[Cell, Cell]) -> Measure:
    values = [[seconds for run in cell.done if (seconds := _seconds_of(run, name)) is not None] for cell in pair]
    before, after = (sum(of) / len(of) if of else None for of in values)
    reason = _seconds_not_comparable(pair, by_epoch=name == EPOCH)
    answer = Answer.CANNOT_TELL
    if before is None or after is None:
        answer, reason = Answer.NOT_MEASURED, "no run of both is done"
    elif reason:
        answer = Answer.NOT_COMPARABLE
    n, note = min(map(len, values)), _trained_under(pair)
    return Measure(name, "s", before, after, answer, n=n, reason=reason, note=note, decides=False)


def _seconds_of(run: Run, name: str) -> float | None:
    if name == TRAINING:
        return run.train_seconds
    return run.train_seconds / run.epochs if run.train_seconds and run.epochs else None


def _trained_under(pair: tuple[Cell, Cell]) -> str:
    """Under what conditions the runs of both were trained."""
    values = {name: dict.fromkeys(value for cell in pair for value in cell.trained_under[name]) for name in CONDITIONS}
    return ", ".join(
        f"{name} {' and '.join('unknown' if value is None else str(value) for value in known)}"
        for name, known in values.items()
    )


def _seconds_not_comparable(cells: Sequence[Cell], by_epoch: bool = False) -> str:
    """Why seconds of training of these cells, or of its epochs, do not compare; empty where they do."""
    stops = [by for cell in cells if (by := cell.recipe.get("stop.by", "epochs")) != "epochs"]
    if by_epoch and stops:
        return f"the last epoch may be cut short under stop.by={stops[0]}"
    for name in CONDITIONS:
        values = dict.fromkeys(value for cell in cells for value in cell.trained_under[name])
        if None in values:
            return f"{name} is not recorded of all runs"
        if len(values) > 1:
            return f"trained with different {name}: {' and '.join(map(str, values))}"
    fused = sorted(set().union(*(cell.fused for cell in cells)))
    if fused and fused[-1] > 1:
        return f"trained in groups of {listed([str(count) for count in fused])}, whose seconds these are"
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
    reasons = (Comparison(LATENCY, measured[0], times).not_comparable for times in measured)
    return next(filter(None, reasons), "")
