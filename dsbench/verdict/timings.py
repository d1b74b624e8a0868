"""What `dsbench bench` measured of cells, those of several runs as one, and how the times of two compare."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dsbench.measure.record import PLACE
from dsbench.numerals import counted
from dsbench.run.record import Record
from dsbench.statistics.means import Interval, t_interval
from dsbench.verdict.cells import Cell
from dsbench.verdict.lighter import Measure
from dsbench.verdict.rule import Answer

Records = Mapping[str, Record]  # of runs, by run_id
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
    measured: dict[tuple[str, str], list[tuple[Record, dict[Key, Time]]]] = {}
    for run in cell.done:
        record = records.get(run.run_id)
        if record is not None and record.measured.get("measured_on"):
            place = json.dumps(_place(record), sort_keys=True)
            for session, times in _by_session(record).items():
                measured.setdefault((session, place), []).append((record, times))
    return [_joined(session, measured[session, place]) for session, place in sorted(measured, reverse=True)]


def _place(record: Record) -> dict[str, Any]:
    return {name: record.measured["measured_on"].get(name) for name in PLACE}


def _joined(session: str, measured: Sequence[tuple[Record, dict[Key, Time]]]) -> Timings:
    by_key: dict[Key, list[Time]] = {}
    for _, times in measured:
        for key, time in times.items():
            by_key.setdefault(key, []).append(time)
    records = [record for record, _ in measured]
    sizes = {record.measured.get("train_step_ms", {}).get("batch_size") for record in records}
    loads = [load for record in records if (load := record.measured["measured_on"].get("load_average")) is not None]
    return Timings(
        place=_place(records[0]),
        session=session,
        load_average=max(loads, default=None),
        batch_size=sizes.pop() if len(sizes) == 1 else None,
        times={key: next((time for time in times if time.settled), times[0]) for key, times in by_key.items()},
    )


def _by_session(record: Record) -> dict[str, dict[Key, Time]]:
    out: dict[str, dict[Key, Time]] = {}
    for key, entry in _entries(record.measured):
        if entry["median"]:
            rounds = tuple(entry.get("rounds_ms") or ())
            time = Time(entry["median"], entry["iqr"], rounds if all(rounds) else (), entry.get("settled", False))
            out.setdefault(entry.get("session", ""), {})[key] = time
    steps = _epoch_steps(record)
    for times in out.values():
        if steps and (step := times.get(STEP)):
            rounds = tuple(steps * milliseconds for milliseconds in step.rounds)
            times[EPOCH] = Time(steps * step.median, steps * step.iqr, rounds, step.settled)
    return out


def _entries(measured: Mapping[str, Any]) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    """A training step as a whole, and latencies by batch and backend."""
    step = measured.get("train_step_ms", {}).get("total")
    if step:
        yield STEP, step
    for batch, backends in measured.get("latency_ms", {}).items():
        for backend, entry in backends.items():
            yield ("latency_ms", batch, backend), entry


def _epoch_steps(record: Record) -> int | None:
    """The steps of an epoch, from the images that were trained on; None where the record does not tell them."""
    batch_size, result = record.measured.get("train_step_ms", {}).get("batch_size"), record.result
    whole = record.stop is not None and record.stop.by == "epochs"  # else the last epoch may be cut short
    if not (whole and batch_size and result and result.epochs and result.images_per_second and result.train_seconds):
        return None
    return math.ceil(round(result.images_per_second * result.train_seconds / result.epochs) / batch_size)


DECIDING = "torch"  # the backend that trains; the others are shown
NAMES: dict[Key, str] = {STEP: "training step", EPOCH: "epoch of such steps"}  # of what is no latency


@dataclass(frozen=True)
class Comparison:
    """What is timed under `key`, of the reference (`before`) and the candidate (`after`)."""

    key: Key
    before: Timings
    after: Timings

    @cached_property
    def not_comparable(self) -> str:
        """Why the two times do not compare; empty where they do."""
        reason = not_comparable(self.before, self.after)
        if not reason and self.key == STEP and self.before.batch_size != self.after.batch_size:
            return f"steps of {self.before.batch_size} and of {self.after.batch_size} images"
        return reason

    @cached_property
    def log_ratios(self) -> list[float]:
        """The logarithm of how many times as long the candidate takes, round by round."""
        before, after = self.before.times[self.key].rounds, self.after.times[self.key].rounds
        if not before or len(before) != len(after):  # of records that do not keep them
            return []
        return [float(ratio) for ratio in np.log(after) - np.log(before)]

    def measure(self, level: float, speed_margin: float) -> Measure:
        """Both times with the answer: their ratio is clear of the margin, in percent, or within it, or neither."""
        before, after = self.before.times[self.key], self.after.times[self.key]
        unit, in_ms = ("s", 1000) if self.key == EPOCH else ("ms", 1)
        logs = None if self.not_comparable else t_interval(self.log_ratios, level)
        interval = Interval(math.exp(logs.low), math.exp(logs.high)) if logs else None
        return Measure(
            name=_name(self.key),
            unit=unit,
            reference=before.median / in_ms,
            candidate=after.median / in_ms,
            answer=Answer.NOT_COMPARABLE if self.not_comparable else _answer(interval, speed_margin),
            interval=interval,
            n=min(len(before.rounds), len(after.rounds)),
            reason=self.not_comparable,
            note=_where(self.before, self.after),
            decides=self.key == STEP or self.key[-1] == DECIDING,
        )


def not_comparable(before: Timings, after: Timings) -> str:
    """Why times of two places, or of no common session, do not compare; empty where they do."""
    place, other = _flat(before.place), _flat(after.place)
    names = [name for name in {**place, **other} if place.get(name) != other.get(name)]
    if names:
        differences = [f"{name} ({place.get(name)} and {other.get(name)})" for name in names]
        return f"measured with different {', '.join(differences)}"
    return "" if before.session and before.session == after.session else "not measured by turns"


def _answer(ratio: Interval | None, speed_margin: float) -> Answer:
    """Faster below 1 / (1 + margin), slower above 1 + margin, as fast within; else one cannot tell."""
    most = 1 + speed_margin / 100
    if ratio is None:
        return Answer.CANNOT_TELL
    if ratio.high < 1 / most:
        return Answer.FASTER
    if ratio.low > most:
        return Answer.SLOWER
    return Answer.AS_FAST if ratio.low > 1 / most and ratio.high < most else Answer.CANNOT_TELL


def _name(key: Key) -> str:
    if key in NAMES:
        return NAMES[key]
    backend = "" if key[-1] == DECIDING else f", {key[-1]}"
    return f"latency at {key[1].replace('_', ' ')}{backend}"


def _where(before: Timings, after: Timings) -> str:
    """Where both were measured, and how busy the machine was."""
    place = before.place
    text = f"{place['device']}, precision {place['precision']}, {counted(place['threads'], 'thread')}"
    loads = [load for load in (before.load_average, after.load_average) if load is not None]
    return f"{text}, load average {max(loads):.1f} before" if loads else text


def _flat(place: dict[str, Any]) -> dict[str, Any]:
    versions = place.get("versions") or {}
    return {name: value for name, value in place.items() if name != "versions"} | versions
