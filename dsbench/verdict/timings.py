"""What `dsbench bench` measured of a cell: times under the same conditions, those of several runs as one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from dsbench.bench.record import PLACE
from dsbench.bench.timing import SETTLED_IQR
from dsbench.verdict.cells import Cell

Records = Mapping[str, Mapping[str, Any]]  # records of runs, or what of them was measured, by run_id
Key = tuple[str, ...]  # of a time: the keys that lead to it in a record
STEP: Key = ("train_step_ms",)


@dataclass(frozen=True)
class Time:
    """Milliseconds: the median, and the middle half of the rounds from `low` to `high`; `settled` as in a record."""

    median: float
    low: float
    high: float
    settled: bool

    @property
    def iqr(self) -> float:
        """The width of the middle half."""
        return self.high - self.low


@dataclass(frozen=True)
class Timings:
    """The times of a cell in one place by what is timed; `batch_size` is that of a training step.

    `load_average` is how busy the machine was just before, at the most; None where its system does not say.
    """

    place: dict[str, Any]
    measured: str
    load_average: float | None
    batch_size: int | None
    times: dict[Key, Time]


def timings(cell: Cell, records: Records) -> list[Timings]:
    """What was measured of the runs of `cell` that are done: one for each place, the last measured first.

    A place is a device with its threads, precision, memory format and versions. All runs of a cell are the same
    network, so that of several the median counts, and the middle half reaches from the lowest to the highest; those
    that settled, where there are any. Quartiles are taken as half the interquartile range on each side of the median,
    since records hold its width alone.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for run in cell.done:
        record = records.get(run.run_id, {})
        if record.get("measured_on"):
            found.setdefault(json.dumps(_place(record), sort_keys=True), []).append(record)
    return sorted((_joined(some) for some in found.values()), key=lambda one: one.measured, reverse=True)


def _place(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record["measured_on"].get(name) for name in PLACE}


def _joined(records: Sequence[Mapping[str, Any]]) -> Timings:
    times: dict[Key, list[Time]] = {}
    for record in records:
        for key, time in _times(record):
            times.setdefault(key, []).append(time)
    sizes = {record.get("train_step_ms", {}).get("batch_size") for record in records}
    loads = [load for record in records if (load := record["measured_on"].get("load_average")) is not None]
    return Timings(
        place=_place(records[0]),
        measured=max(str(record["measured_on"].get("time")) for record in records),
        load_average=max(loads, default=None),
        batch_size=sizes.pop() if len(sizes) == 1 else None,
        times={key: _together(some) for key, some in times.items()},
    )


def _times(record: Mapping[str, Any]) -> list[tuple[Key, Time]]:
    """A training step as a whole, and latencies by batch and backend."""
    out: list[tuple[Key, Time]] = []
    step = record.get("train_step_ms", {}).get("total")
    if step and step["median"]:
        out.append((STEP, _time(step)))
    for batch, backends in record.get("latency_ms", {}).items():
        out += [
            (("latency_ms", batch, backend), _time(found)) for backend, found in backends.items() if found["median"]
        ]
    return out


def _time(found: Mapping[str, Any]) -> Time:
    middle, iqr = found["median"], found["iqr"]
    settled = found.get("settled", iqr <= SETTLED_IQR * middle)
    return Time(middle, middle - iqr / 2, middle + iqr / 2, settled)


def _together(times: Sequence[Time]) -> Time:
    some = [time for time in times if time.settled] or times
    low, high = min(time.low for time in some), max(time.high for time in some)
    return Time(median(time.median for time in some), low, high, some[0].settled)
