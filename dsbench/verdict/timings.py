"""What `dsbench bench` measured of cells, in one repeat or several, and how the times of two compare."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, geometric_mean
from typing import Any

import numpy as np

from dsbench.measure.record import PLACE
from dsbench.measure.timing import FEWEST_REPEATS, REPEATS
from dsbench.numerals import counted, listed
from dsbench.run.record import Record
from dsbench.statistics.means import Interval
from dsbench.verdict.cells import Cell
from dsbench.verdict.lighter import Measure
from dsbench.verdict.rule import Answer

Records = Mapping[str, Record]  # of runs, by run_id
Key = tuple[str, ...]  # of a time: the keys that lead to it in a record
STEP: Key = ("train_step_ms",)
EPOCH: Key = ("epoch",)  # computed from the step
CHIP = "chips"  # begins the key of a time on a chip, before the chip's name and the precision


@dataclass(frozen=True)
class Repeat:
    """What one process measured on `day` (ISO, UTC): `ms`, the geometric mean of its rounds.

    Networks that took turns in it share its `session`, which is empty in records that name none.
    """

    session: str
    day: str
    ms: float


@dataclass(frozen=True)
class Timings:
    """The repeats of a cell in one place by what is timed; `batch_size` is that of a training step.

    `load_average` is how busy the machine was just before, at the most; None where its system does not say.
    """

    place: dict[str, Any]
    load_average: float | None
    batch_size: int | None
    times: dict[Key, tuple[Repeat, ...]]

    @property
    def last(self) -> str:
        """The last session."""
        return max((repeat.session for repeats in self.times.values() for repeat in repeats), default="")


def timings(cell: Cell, records: Records) -> list[Timings]:
    """What was measured of the runs of `cell` that are done: one for each place, the last measured first.

    A place is a device, with all that tells it apart, its threads, precision, memory format and versions. All runs of a
    cell are the same network, so that of several in one session one counts.
    """
    measured: dict[str, list[Record]] = {}
    for run in cell.done:
        record = records.get(run.run_id)
        if record is not None and record.measured.get("measured_on"):
            measured.setdefault(json.dumps(_place(record), sort_keys=True), []).append(record)
    return sorted(map(_in_place, measured.values()), key=lambda times: times.last, reverse=True)


def chip_timings(cell: Cell, records: Records) -> list[Timings]:
    """What chips took of the runs of `cell` that are done; see timings_on_chips."""
    known = (records[run.run_id] for run in cell.done if run.run_id in records)
    return timings_on_chips(record.measured.get("chips", {}) for record in known)


def timings_on_chips(sections: Iterable[Mapping[str, Any]]) -> list[Timings]:
    """What chips took of one network: one for each chip with its options, versions and machine.

    A section is what dsbench.chips.measure.on_chips says of a network.
    """
    out: dict[str, Timings] = {}
    for chip, section in (entry for by_chip in sections for entry in by_chip.items()):
        place = {"device": section.get("measured_on"), "identity": None, "title": section.get("title")}
        place["versions"] = section.get("versions")
        own = out.setdefault(json.dumps([chip, place]), Timings(place, None, None, {}))
        for precision, said in section.items():
            if isinstance(said, Mapping) and isinstance(time := said.get("latency_ms"), Mapping):
                key = (CHIP, chip, precision)
                known = {repeat.session: repeat for repeat in (*own.times.get(key, ()), *_repeats(time, ""))}
                own.times[key] = tuple(known[session] for session in sorted(known))
    return sorted(out.values(), key=lambda times: times.last, reverse=True)


def _place(record: Record) -> dict[str, Any]:
    return {name: record.measured["measured_on"].get(name) for name in PLACE}


def _in_place(records: Sequence[Record]) -> Timings:
    """What the records of one cell in one place come to together."""
    by_key: dict[Key, dict[str, Repeat]] = {}
    for record in records:
        for key, repeats in times_of(record).items():
            for repeat in repeats:
                by_key.setdefault(key, {}).setdefault(repeat.session, repeat)
    sizes = {record.measured.get("train_step_ms", {}).get("batch_size") for record in records}
    loads = [load for record in records if (load := record.measured["measured_on"].get("load_average")) is not None]
    return Timings(
        place=_place(records[0]),
        load_average=max(loads, default=None),
        batch_size=sizes.pop() if len(sizes) == 1 else None,
        times={key: tuple(repeats[session] for session in sorted(repeats)) for key, repeats in by_key.items()},
    )


def times_of(record: Record) -> dict[Key, list[Repeat]]:
    """The repeats of `record` by what is timed; times that are not there are left out."""
    when = str(record.measured["measured_on"].get("time") or "")
    times = {key: repeats for key, entry in _entries(record.measured) if (repeats := _repeats(entry, when))}
    steps = _epoch_steps(record)
    if steps and STEP in times:
        times[EPOCH] = [Repeat(repeat.session, repeat.day, steps * repeat.ms) for repeat in times[STEP]]
    return times


def _repeats(entry: Mapping[str, Any], when: str) -> list[Repeat]:
    """The repeats of a time; of a record that has none the rounds or the median, which are of one process."""
    kept = entry.get("repeats")
    if kept is None:
        rounds, session = entry.get("rounds_ms") or (), entry.get("session", "")
        ms = geometric_mean(rounds) if rounds and min(rounds) > 0 else entry["median"]
        kept = [{"session": session, "at": session or when, "ms": ms}]
    return [Repeat(repeat["session"], repeat["at"][:10], repeat["ms"]) for repeat in kept if repeat["ms"]]


def _entries(measured: Mapping[str, Any]) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    """A training step as a whole, and latencies by batch and backend; see `chip_timings` for those on chips.

    Records of earlier versions have ONNX Runtime among the backends.
    """
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
        reason = other_place(self.before, self.after)
        if not reason and self.key == STEP and self.before.batch_size != self.after.batch_size:
            return f"steps of {self.before.batch_size} and of {self.after.batch_size} images"
        return reason or ("" if self.together else "not measured by turns")

    @cached_property
    def together(self) -> list[tuple[Repeat, Repeat]]:
        """The repeats in which both took turns, in order."""
        after = {repeat.session: repeat for repeat in self.after.times[self.key] if repeat.session}
        return [(repeat, after[repeat.session]) for repeat in self.before.times[self.key] if repeat.session in after]

    @cached_property
    def log_ratios(self) -> dict[str, list[float]]:
        """By day, the logarithm of how many times as long the candidate takes, repeat by repeat."""
        out: dict[str, list[float]] = {}
        for before, after in self.together:
            out.setdefault(before.day, []).append(math.log(after.ms / before.ms))
        return out

    def measure(self, level: float, speed_margin: float) -> Measure:
        """Both times with the answer: their ratio is clear of the margin, in percent, or within it, or neither.

        Both are geometric means over the repeats in which they took turns, so that their ratio is the middle of its
        interval, on a log scale.
        """
        refused = self.not_comparable
        pairs = [] if refused else self.together
        both = zip(*pairs, strict=True) if pairs else (side.times[self.key] for side in (self.before, self.after))
        before, after = (geometric_mean(repeat.ms for repeat in repeats) for repeats in both)
        logs = over_days(list(self.log_ratios.values()), level) if len(pairs) >= FEWEST_REPEATS else None
        interval = Interval(math.exp(logs.low), math.exp(logs.high)) if logs else None
        unit, in_ms = ("s", 1000) if self.key == EPOCH else ("ms", 1)
        return Measure(
            name=_name(self.key),
            unit=unit,
            reference=before / in_ms,
            candidate=after / in_ms,
            answer=Answer.NOT_COMPARABLE if refused else _answer(interval, speed_margin),
            interval=interval,
            n=len(pairs),
            reason=refused or ("" if interval else self._repeats),
            note="" if refused else self._where,
            decides=self.key == STEP or self.key[-1] == DECIDING or self.key[0] == CHIP,
        )

    @property
    def _repeats(self) -> str:
        """How many repeats there are, of how many there should be; on how many days where that leaves no spread."""
        n, days = len(self.together), len(self.log_ratios)
        if n < REPEATS:
            return f"{n} of {REPEATS} repeats" + (f" on {days} days" if FEWEST_REPEATS <= n <= days else "")
        return counted(n, "repeat") + (f" on {days} days" if n == days else "")

    @property
    def _where(self) -> str:
        """On which machine, on which days and in how many repeats both were measured, and how busy it was."""
        place = self.before.place
        days = self.log_ratios
        shown = [
            day + (f" ({counted(len(logs), 'repeat')}, {math.exp(fmean(logs)):.3g} times)" if len(days) > 1 else "")
            for day, logs in days.items()
        ]
        text = f"on {place['device']}, on {listed(shown)}, {self._repeats}"
        if self.key[0] == CHIP:
            return f"{text}, {place['title']}"
        text += f", {counted(place['threads'], 'thread')}"
        loads = [load for load in (self.before.load_average, self.after.load_average) if load is not None]
        busy = f", load average {max(loads):.1f} before" if loads else ""
        return f"{text}, precision {place['precision']}{busy}"


def measured_together(cells: Sequence[Cell], key: Key, records: Records) -> dict[str, float]:
    """By cell_id the milliseconds under `key`: geometric means over the repeats in which all of `cells` took turns.

    Empty where it was not measured of all of them so.
    """
    known = [timings(cell, records) for cell in cells]
    for first in known[0] if known else ():
        if key not in first.times:
            continue
        alike = [
            next((own for own in of if key in own.times and not Comparison(key, first, own).not_comparable), None)
            for of in known
        ]
        measured = [{repeat.session: repeat.ms for repeat in own.times[key]} for own in alike if own is not None]
        shared = set.intersection(*map(set, measured)) - {""} if len(measured) == len(cells) else set()
        if shared:
            means = (geometric_mean(of[session] for session in shared) for of in measured)
            return dict(zip((cell.cell_id for cell in cells), means, strict=True))
    return {}


def over_days(values: Sequence[Sequence[float]], level: float) -> Interval | None:
    """The interval at 1 - `level` of the mean of all values, of which there is a sequence for each day.

    Student's, with the days as fixed blocks: value = mean + day + error. Each value weighs alike, so that a day has the
    weight of its values; the error's variance is that about the means of days, with as many degrees of freedom as there
    are values less days (Box, Hunter and Hunter 2005, Statistics for Experimenters, chapter 4). It speaks of these days
    and of no others. Of one day it is t_interval; None where each day has one value alone.
    """
    from scipy.special import stdtrit

    n = sum(map(len, values))
    df = n - len(values)
    if not df:
        return None
    squares = sum(float(((np.asarray(day) - fmean(day)) ** 2).sum()) for day in values)
    mean = fmean(value for day in values for value in day)
    half = float(stdtrit(df, 1 - level / 2)) * math.sqrt(squares / df / n)
    return Interval(mean - half, mean + half)


def other_place(before: Timings, after: Timings) -> str:
    """Why times of two places do not compare; empty where the place is one.

    Each network has the memory format that it is trained in, on a GPU the one that is faster for it.
    """
    identities = before.place["identity"], after.place["identity"]
    if None in identities and identities != (None, None):
        return "measured on processors one of which is known by its name alone"
    place, other = _flat(before.place), _flat(after.place)
    names = [name for name in {**place, **other} if name != "memory_format" and place.get(name) != other.get(name)]
    differences = [f"{name} ({place.get(name)} and {other.get(name)})" for name in names]
    return f"measured with different {', '.join(differences)}" if names else ""


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
    if key[0] == CHIP:
        return " ".join(key[1:]).replace("_per_tensor", " per tensor")
    backend = "" if key[-1] == DECIDING else f", {key[-1]}"
    return f"latency at {key[1].replace('_', ' ')}{backend}"


def _flat(place: dict[str, Any]) -> dict[str, Any]:
    """A place with its versions and what tells its processor apart one by one."""
    inner = {"versions": "", "identity": "processor's "}
    flat = {f"{word}{key}": value for name, word in inner.items() for key, value in (place.get(name) or {}).items()}
    return {name: value for name, value in place.items() if name not in inner} | flat
