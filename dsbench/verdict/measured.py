"""Is it faster? Measurements by turns decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dsbench.bench.timing import SETTLED_IQR
from dsbench.verdict.answers import Answer, Measure
from dsbench.verdict.cells import Cell
from dsbench.verdict.timings import STEP, Key, Records, Time, Timings, timings

DECIDING = "torch"  # the backend that trains; the others are shown
WANTED = ("training step", "latency at batch 1", "latency at a large batch")  # without each of which none is faster


def measured(reference: Cell, candidate: Cell, records: Records) -> tuple[Measure, ...]:
    """The training step and the latencies of both, as `dsbench bench` measured them in one place.

    A difference counts where the middle halves of the rounds do not overlap and the medians differ by more than 5 %.
    Rounds drift together on a busy machine, so that the spread of their mean would claim too much: the middle half is
    what a round can be without anything having changed; and what two measurements of one network differ by is within
    the 5 % at which a measurement counts as settled. What has not settled is no answer, and what was not measured of
    both alike stands among the rest as lacking.
    """
    both = [timings(cell, records) for cell in (reference, candidate)]
    if not all(both):
        lacking = [cell.label for cell, found in zip((reference, candidate), both, strict=True) if not found]
        return tuple(_lacking(name, f"no measurement of {' and '.join(lacking)}") for name in WANTED)
    common = [(one, other) for one in both[0] for other in both[1] if one.place == other.place]
    before, after = common[0] if common else (both[0][0], both[1][0])
    refused = "" if common else elsewhere(before, after)
    keys = sorted((key for key in before.times if key in after.times), key=_order)
    found = {_wanted(key) for key in keys}
    missing = [_lacking(name, "not measured of both alike") for name in WANTED if name not in found]
    return (*(_measure(key, before, after, refused) for key in keys), *missing)


def elsewhere(before: Timings, after: Timings) -> str:
    """In what two places differ."""
    one, other = _flat(before.place), _flat(after.place)
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return f"measured with different {', '.join(f'{name} ({one.get(name)} and {other.get(name)})' for name in names)}"


def _lacking(name: str, reason: str) -> Measure:
    return Measure(name, "ms", None, None, Answer.NOT_MEASURED, reason=reason)


def _measure(key: Key, before: Timings, after: Timings, refused: str) -> Measure:
    times = before.times[key], after.times[key]
    if not refused and key == STEP and before.batch_size != after.batch_size:
        refused = f"steps of {before.batch_size} and of {after.batch_size} images"
    unsettled = _unsettled(times)
    return Measure(
        name=_name(key),
        unit="ms",
        reference=times[0].median,
        candidate=times[1].median,
        answer=Answer.REFUSED if refused else Answer.UNSETTLED if unsettled else _answer(*times),
        reference_spread=times[0].iqr,
        candidate_spread=times[1].iqr,
        reason=refused or unsettled,
        note=_where(before, after),
        decides=key == STEP or key[-1] == DECIDING,
    )


def _answer(one: Time, other: Time) -> Answer:
    """Whether the other time is shorter, both being settled."""
    apart = one.high < other.low or other.high < one.low
    if not apart or abs(other.median - one.median) <= SETTLED_IQR * one.median:
        return Answer.CANNOT_TELL
    return Answer.YES if other.median < one.median else Answer.NO


def _wanted(key: Key) -> str:
    """Which of WANTED a time is; empty for those of other backends, which are shown alone."""
    if key == STEP:
        return WANTED[0]
    return "" if key[-1] != DECIDING else WANTED[1] if key[1] == "batch_1" else WANTED[2]


def _name(key: Key) -> str:
    if key == STEP:
        return WANTED[0]
    backend = "" if key[-1] == DECIDING else f", {key[-1]}"
    return f"latency at {key[1].replace('_', ' ')}{backend}"


def _order(key: Key) -> tuple[Any, ...]:
    """The step, then torch's latencies, then those of others, each by batch."""
    if key == STEP:
        return (0,)
    return 1 + (key[-1] != DECIDING), key[-1], int(key[1].rpartition("_")[2])


def _where(before: Timings, after: Timings) -> str:
    place = before.place
    said = f"{place['device']}, precision {place['precision']}, {_threads(place['threads'])}"
    loads = [load for load in (before.load_average, after.load_average) if load is not None]
    return f"{said}, load average {max(loads):.1f} before" if loads else said


def _threads(number: Any) -> str:
    return f"{number} thread{'' if number == 1 else 's'}"


def _flat(place: dict[str, Any]) -> dict[str, Any]:
    versions = place.get("versions") or {}
    return {name: value for name, value in place.items() if name != "versions"} | versions


def _unsettled(times: Sequence[Time]) -> str:
    wide = [f"{100 * time.iqr / time.median:.0f} %" for time in times if time.iqr > SETTLED_IQR * time.median]
    if all(time.settled for time in times):
        return ""
    why = f"its interquartile range is {' and '.join(wide)} of the median" if wide else "there were too few rounds"
    return f"not settled, {why}"
