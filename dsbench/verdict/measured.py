"""Is it faster? Measurements by turns decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dsbench.bench.timing import SETTLED_IQR
from dsbench.verdict.answers import Answer, Measure
from dsbench.verdict.cells import Cell
from dsbench.verdict.timings import Key, Records, Time, Timings, timings

DECIDING = "torch"  # the backend that trains; the others are shown


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
