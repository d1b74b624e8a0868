"""What `dsbench bench` measured of a cell: times under the same conditions, those of several runs as one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsbench.bench.record import PLACE
from dsbench.verdict.cells import Cell

Records = Mapping[str, Mapping[str, Any]]  # records of runs, or what of them was measured, by run_id
Key = tuple[str, ...]  # of a time: the keys that lead to it in a record
STEP: Key = ("train_step_ms",)
EPOCH: Key = ("epoch",)  # computed from the step


@dataclass(frozen=True)
class Time:
    """Milliseconds: the median and the interquartile range of the `rounds`, in their order; `settled` as in a record.

    Times of one session have equally many rounds, taken by turns; there are none where the record does not keep them.
    """

    median: float
    iqr: float
    rounds: tuple[float, ...]
    settled: bool


@dataclass(frozen=True)
class Timings:
    """The times of a cell in one place and session by what is timed; `batch_size` is that of a training step.

    `load_average` is how busy the machine was just before, at the most; None where its system does not say.
    """

    place: dict[str, Any]
    session: str
    load_average: float | None
    batch_size: int | None
    times: dict[Key, Time]


def timings(cell: Cell, records: Records) -> list[Timings]:
    """What was measured of the runs of `cell` that are done: one for each place and session, the last one first.

    A place is a device with its threads, precision, memory format and versions; a session is one call of
    `dsbench bench`, in which networks take turns ("" of records that name none). All runs of a cell are the same
    network, so that of several in one session one counts, of those that settled where there are any.
    """
    found: dict[tuple[str, str], list[tuple[Mapping[str, Any], dict[Key, Time]]]] = {}
    for run in cell.done:
        record = records.get(run.run_id, {})
        if record.get("measured_on"):
            place = json.dumps(_place(record), sort_keys=True)
            for session, times in _by_session(record).items():
                found.setdefault((session, place), []).append((record, times))
    return [_joined(session, found[session, place]) for session, place in sorted(found, reverse=True)]


def _place(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record["measured_on"].get(name) for name in PLACE}


def _joined(session: str, found: Sequence[tuple[Mapping[str, Any], dict[Key, Time]]]) -> Timings:
    together: dict[Key, list[Time]] = {}
    for _, times in found:
        for key, time in times.items():
            together.setdefault(key, []).append(time)
    records = [record for record, _ in found]
    sizes = {record.get("train_step_ms", {}).get("batch_size") for record in records}
    loads = [load for record in records if (load := record["measured_on"].get("load_average")) is not None]
    return Timings(
        place=_place(records[0]),
        session=session,
        load_average=max(loads, default=None),
        batch_size=sizes.pop() if len(sizes) == 1 else None,
        times={key: next((time for time in some if time.settled), some[0]) for key, some in together.items()},
    )


def _by_session(record: Mapping[str, Any]) -> dict[str, dict[Key, Time]]:
    out: dict[str, dict[Key, Time]] = {}
    for key, found in _found(record):
        if found["median"]:
            out.setdefault(found.get("session", ""), {})[key] = _time(found)
    steps = _epoch_steps(record)
    for times in out.values():
        if steps and (step := times.get(STEP)):
            rounds = tuple(steps * one for one in step.rounds)
            times[EPOCH] = Time(steps * step.median, steps * step.iqr, rounds, step.settled)
    return out


def _found(record: Mapping[str, Any]) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    """A training step as a whole, and latencies by batch and backend."""
    step = record.get("train_step_ms", {}).get("total")
    if step:
        yield STEP, step
    for batch, backends in record.get("latency_ms", {}).items():
        for backend, found in backends.items():
            yield ("latency_ms", batch, backend), found


def _epoch_steps(record: Mapping[str, Any]) -> int | None:
    """The steps of an epoch, from the images that were trained on; None where the record does not tell them."""
    batch_size, epochs = record.get("train_step_ms", {}).get("batch_size"), record.get("epochs")
    rate, seconds = record.get("images_per_second"), record.get("train_seconds")
    whole = (record.get("stop") or {}).get("by") == "epochs"  # else the last epoch may be cut short
    if not (whole and batch_size and epochs and rate and seconds):
        return None
    return math.ceil(round(rate * seconds / epochs) / batch_size)


def _time(found: Mapping[str, Any]) -> Time:
    rounds = tuple(found.get("rounds_ms") or ())
    return Time(found["median"], found["iqr"], rounds if all(rounds) else (), found.get("settled", False))
