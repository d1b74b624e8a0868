"""Is it faster? Measurements by turns decide."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from dsbench.bench.timing import SETTLED_IQR
from dsbench.verdict.answers import Answer, Measure
from dsbench.verdict.cells import Cell
from dsbench.verdict.timings import EPOCH, STEP, Key, Records, Time, Timings, timings

DECIDING = "torch"  # the backend that trains; the others are shown
WANTED = ("training step", "latency at batch 1", "latency at a large batch")  # without each of which none is faster
_NAMES: dict[Key, str] = {STEP: WANTED[0], EPOCH: "measured epoch"}  # of what is no latency


def measured(reference: Cell, candidate: Cell, records: Records) -> tuple[Measure, ...]:
    """The training step, the epoch of so many steps, and the latencies of both, as `dsbench bench` measured them.

    They compare where they were measured in one place and by turns, the last of such.
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
    found: dict[Key, tuple[Timings, Timings]] = {}
    for before, after in sorted(product(*both), key=lambda pair: bool(apart(*pair))):  # those that compare come first
        for key in before.times.keys() & after.times.keys():
            found.setdefault(key, (before, after))
    names = {_wanted(key) for key in found}
    missing = [_lacking(name, "not measured of both alike") for name in WANTED if name not in names]
    return (*(_measure(key, *found[key]) for key in sorted(found, key=_order)), *missing)


def apart(before: Timings, after: Timings) -> str:
    """Why times of two places, or of no common session, do not compare; empty where they do."""
    one, other = _flat(before.place), _flat(after.place)
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    if names:
        said = [f"{name} ({one.get(name)} and {other.get(name)})" for name in names]
        return f"measured with different {', '.join(said)}"
    return "" if before.session and before.session == after.session else "not measured by turns"


def _lacking(name: str, reason: str) -> Measure:
    return Measure(name, "ms", None, None, Answer.NOT_MEASURED, reason=reason)


def _measure(key: Key, before: Timings, after: Timings) -> Measure:
    times = before.times[key], after.times[key]
    refused = apart(before, after)
    if not refused and key == STEP and before.batch_size != after.batch_size:
        refused = f"steps of {before.batch_size} and of {after.batch_size} images"
    unsettled = _unsettled(times)
    unit, in_ms = ("s", 1000) if key == EPOCH else ("ms", 1)
    return Measure(
        name=_name(key),
        unit=unit,
        reference=times[0].median / in_ms,
        candidate=times[1].median / in_ms,
        answer=Answer.REFUSED if refused else Answer.UNSETTLED if unsettled else _answer(*times),
        reference_spread=times[0].iqr / in_ms,
        candidate_spread=times[1].iqr / in_ms,
        reason=refused or unsettled,
        note=_where(before, after),
        decides=key in _NAMES or key[-1] == DECIDING,
    )


def _answer(one: Time, other: Time) -> Answer:
    """Whether the other time is shorter, both being settled."""
    apart = one.high < other.low or other.high < one.low
    if not apart or abs(other.median - one.median) <= SETTLED_IQR * one.median:
        return Answer.CANNOT_TELL
    return Answer.YES if other.median < one.median else Answer.NO


def _wanted(key: Key) -> str:
    """Which of WANTED a time is; empty for those of other backends, which are shown alone."""
    if key in _NAMES:
        return _NAMES[key]
    return "" if key[-1] != DECIDING else WANTED[1] if key[1] == "batch_1" else WANTED[2]


def _name(key: Key) -> str:
    if key in _NAMES:
        return _NAMES[key]
    backend = "" if key[-1] == DECIDING else f", {key[-1]}"
    return f"latency at {key[1].replace('_', ' ')}{backend}"


def _order(key: Key) -> tuple[Any, ...]:
    """The step and its epoch, then torch's latencies, then those of others, each by batch."""
    if key in _NAMES:
        return 0, list(_NAMES).index(key)
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
