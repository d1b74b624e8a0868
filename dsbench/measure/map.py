"""The map: pairs of slots timed by turns in fresh processes, point by point along the boundary, and kept on disk.

This module is light: what measures is imported when there is something to measure.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import pairwise
from statistics import geometric_mean
from typing import TYPE_CHECKING, Any

from dsbench.errors import InputError
from dsbench.measure.boundary import Ratio, bisecting, coarse, filling, zeros
from dsbench.measure.record import new_session
from dsbench.measure.repeats import in_fresh_process
from dsbench.measure.roofline_record import Rates
from dsbench.measure.slot_pairs import PHASES, USUAL, Model, Pair, Parts, Point, Seen, Slots, fitted, parts
from dsbench.measure.store import Store, conditions
from dsbench.measure.timing import FEWEST_REPEATS, REPEATS, THREADS
from dsbench.process import wait_briefly

if TYPE_CHECKING:
    from dsbench.training.device import Compute

KERNELS, BATCHES, SIDES = (3, 5, 7), (1, 32, 128), (4, 8, 16, 32, 56, 112)
CHANNELS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
MINUTES = 4.0
SECONDS = 0.03  # of one slot in one phase and process, at the most where its calls are short
MOST_SHARE, LEAST_MOST = 1 / 50, 3.0  # of the minutes, that one point may take; seconds that it may in any case
CHUNK_SECONDS = 12.0  # of measuring in one process: what a kill loses at the most, imports aside
_CALLS = 11  # of a long call: to find the size of a block, and the fewest rounds, each warmed up by two
_TO_FIT = 40  # points from which on times are estimated by those measured
_LEAST_CHUNK = 1.0  # seconds, below which no process is worth its start
_START, _FIRST_SECONDS = 4.0, 4.0  # as long as the pace is not known: until a process measures, and of its measuring
_MEMORY = 0.5  # of what there is, that a pair may take
_FILLING = 3  # how urgent it is to fill gaps
Say = Callable[[str], None]


@dataclass(frozen=True)
class Where:
    """A device, precision and threads, as a configuration asks for them."""

    device: str = "auto"
    precision: str = "auto"
    threads: int = THREADS

    def compute(self) -> Compute:
        """What they stand for here; torch is imported. Raises InputError where there is none."""
        from dsbench.training.device import resolve

        return resolve(self.device, self.precision, self.threads)


@dataclass(frozen=True)
class Area:
    """The points of a map: each of `columns` (kernel, batch, side) has the same grid of `channels`, increasing."""

    columns: tuple[tuple[int, int, int], ...]
    channels: tuple[int, ...]

    @classmethod
    def of(cls, kernels: Sequence[int], batches: Sequence[int], sides: Sequence[int], channels: Sequence[int]) -> Area:
        """All combinations of which the kernel is no larger than the image. Raises InputError where there is none."""
        columns = [(k, b, s) for k in sorted(kernels) for b in sorted(batches) for s in sorted(sides) if k <= s]
        if not columns or not channels:
            raise InputError(f"nothing to map: kernels {[*kernels]} on images of {[*sides]} pixels a side")
        return cls(tuple(dict.fromkeys(columns)), tuple(sorted(set(channels))))

    def points(self) -> Iterator[Point]:
        """All of them."""
        return (Point(*column, channels) for column in self.columns for channels in self.channels)


def measure_pairs(
    pairs: Sequence[tuple[Pair, int]],
    where: Where,
    within: float,
    seconds: float,
    refused: Callable[[Exception], None] | None = None,
    say: Say = lambda message: None,
) -> tuple[list[dict[str, list[float]]], float]:
    """Time each pair at its batch by turns in this process: for each phase the milliseconds of plain and separable.

    Each slot and phase takes `seconds` at the most, or its fewest rounds; none is begun after `within` seconds, so that
    there may be fewer results than pairs. Returns the seconds that all took beside them.
    """
    from dsbench.measure.probes import SlotProbes
    from dsbench.measure.timing import interleaved
    from dsbench.training.device import set_up_process

    compute = where.compute()
    set_up_process()
    begun = time.monotonic()
    out: list[dict[str, list[float]]] = []
    for pair, batch in pairs:
        if out and time.monotonic() - begun > within:
            break
        own = [SlotProbes(one.layers, one.shape, batch, compute) for one in (pair.plain, pair.separable)]
        timed = {}
        for phase in PHASES:
            probes = [slot.probe(phase, seconds) for slot in own]
            timed[phase] = [timing.mean_ms for (timing,) in interleaved(probes, seconds)]
        out.append(timed)
    return out, time.monotonic() - begun


def _rates(
    where: Where, seconds: float, refused: Callable[[Exception], None] | None = None, say: Say = lambda message: None
) -> Rates:
    from dsbench.measure.roofline import measure_rates
    from dsbench.training.device import set_up_process

    compute = where.compute()
    set_up_process()
    return measure_rates(compute)


@dataclass
class _Pace:
    """How long things take here: seconds until a process measures, and for each second reckoned with.

    On a machine that is busy with other things both are longer.
    """

    start: float = _START
    factor: float = 1.0
    known: bool = False


@dataclass
class Map:
    """An area of slots on one device, and what is known of it: kept in `store`, and measured by `explore`.

    `repeats` has for each point and process the milliseconds of both slots in each phase, points of other areas too.
    """

    area: Area
    slots: Slots
    pairs: Mapping[Point, Pair]
    where: Where
    compute: Compute
    store: Store
    repeats: dict[Point, list[dict[str, Any]]] = field(default_factory=dict)
    rates: Rates | None = None
    too_long: dict[Point, float] = field(default_factory=dict)  # with its seconds
    too_large: dict[Point, int] = field(default_factory=dict)  # with its bytes
    _known: dict[tuple[Any, ...], Any] = field(default_factory=dict)  # what is asked for again and again

    @classmethod
    def read(cls, area: Area, slots: Slots, where: Where, store: Store) -> Map:
        """What is kept of it. Raises InputError where slots do not fit, or there is no such device."""
        pairs = {point: slots.pair(point) for point in area.points()}
        found = cls(area, slots, pairs, where, where.compute(), store)
        kept = store.kept(found._under())
        found.repeats = {Point(*point): repeats for point, repeats in kept.get("points", [])}
        found.rates = Rates(**kept["rates"]) if kept.get("rates") else None
        return found

    def _under(self) -> dict[str, Any]:
        return conditions(self.slots, "slots by turns", 0, self.compute)

    def _keep(self) -> None:
        """Write down all that is known: points that another area had are part of it."""
        assert self.rates is not None
        self.store.keep(self._under(), rates=asdict(self.rates), points=list(self.repeats.items()))

    @property
    def measured(self) -> list[Point]:
        """The points of the area that are measured, in its order."""
        return [point for point in self.area.points() if point in self.repeats]

    def ratios(self, phase: str) -> dict[Point, Ratio]:
        """How many times as long the separable slot takes, point by point, in the order of the area."""
        return {point: self._ratio(point, phase) for point in self.measured}

    def _ratio(self, point: Point, phase: str) -> Ratio:
        repeats = self.repeats[point]
        key = point, phase, len(repeats)
        if key not in self._known:
            self._known[key] = Ratio.of([math.log(repeat[phase][1] / repeat[phase][0]) for repeat in repeats])
        ratio: Ratio = self._known[key]
        return ratio

    def column(self, column: tuple[int, int, int], phase: str) -> dict[int, Ratio]:
        """The ratios of one column by channels."""
        return {point.channels: ratio for point, ratio in self.ratios(phase).items() if point[:3] == column}

    def seconds(self, point: Point, phase: str) -> tuple[float, float]:
        """Of one call of the plain and of the separable slot, the geometric mean over repeats."""
        plain, separable = (geometric_mean(one[phase][i] / 1e3 for one in self.repeats[point]) for i in (0, 1))
        return plain, separable

    def predicted(self, column: tuple[int, int, int], phase: str, model: Model) -> list[float]:
        """The channels at which the ratio crosses 1 in `column` by `model`."""
        sides = [self._parts(Point(*column, channels), phase) for channels in self.area.channels]
        logs = [math.log(model.seconds(separable) / model.seconds(plain)) for plain, separable in sides]
        return zeros(self.area.channels, logs)

    def seen(self, phase: str) -> list[Seen]:
        """The points as predictions see them."""
        return [
            Seen(
                point,
                self._parts(point, phase),
                self.seconds(point, phase),
                self.pairs[point].mac_ratio,
                ratio.log,
                bool(ratio.sign),
            )
            for point, ratio in self.ratios(phase).items()
        ]

    def _parts(self, point: Point, phase: str) -> tuple[Parts, Parts]:
        """Of the plain and of the separable slot."""
        assert self.rates is not None
        key = point, phase, self.rates
        if key not in self._known:
            self._known[key] = tuple(
                parts(filled, point.batch, self.compute.precision, self.rates, phase)
                for filled in vars(self.pairs[point]).values()
            )
        plain, separable = self._known[key]
        return plain, separable

    def explore(self, minutes: float, say: Say = lambda message: None) -> None:
        """Measure for `minutes` at the most, imports included, the points that tell most; keep each as it is done."""
        end = time.monotonic() + 60 * minutes
        wait_briefly()  # before torch is imported
        say("the rates of the device")
        rates = in_fresh_process(partial(_rates, self.where), SECONDS, end, None, say)
        if rates is None:
            return
        self.rates = rates.best(self.rates) if self.rates else rates
        self._keep()
        self._leave_out(60 * minutes)
        pace = _Pace()
        while True:
            left = end - time.monotonic() - FEWEST_REPEATS * pace.start
            length = min(CHUNK_SECONDS if pace.known else _FIRST_SECONDS, left / FEWEST_REPEATS)
            chunk = self._chunk(length / pace.factor) if length >= _LEAST_CHUNK else {}
            if not chunk:
                return
            for number in range(max(chunk.values())):
                # What the first process does not reach in time waits for another chunk; the others finish what it did.
                due = [point for point, wanted in chunk.items() if len(self.repeats.get(point, [])) == number < wanted]
                if not due or time.monotonic() + pace.start > end:
                    continue
                say(f"{len(self.measured):,} points measured, {len(due)} in process {number + 1}")
                within = min(length * (1 + (number > 0)), end - time.monotonic() - pace.start)
                self._measure(due, within, end, pace)

    def _measure(self, due: Sequence[Point], within: float, end: float, pace: _Pace) -> None:
        """One repeat of each of `due` in a fresh process."""
        pairs = [(self.pairs[point], point.batch) for point in due]
        session, costs, begun = new_session(), self._costs(), time.monotonic()
        measured = in_fresh_process(
            partial(measure_pairs, pairs, self.where, within), SECONDS, end, None, lambda message: None
        )
        if measured is None:
            return
        results, seconds = measured
        for point, timed in zip(due, results, strict=False):
            self.repeats.setdefault(point, []).append({"session": session, **timed})
        self._keep()
        reckoned = sum(costs[point] for point in due[: len(results)])
        pace.factor, pace.start, pace.known = seconds / reckoned, time.monotonic() - begun - seconds, True

    def _leave_out(self, seconds: float) -> None:
        """Find the points that are too large for the memory, or would take too much of `seconds`."""
        from dsbench.training.memory import limit_bytes
        from dsbench.training.place import place

        most = _MEMORY * limit_bytes(place(self.where.device, self.where.precision, self.where.threads))
        costs = self._costs()
        self.too_long, self.too_large = {}, {}
        for point in self.area.points():
            if point in self.repeats:
                continue
            pair, precision = self.pairs[point], self.compute.precision
            need = sum(one.bytes(point.batch, precision) for one in (pair.plain, pair.separable))
            if need > most:
                self.too_large[point] = need
            elif FEWEST_REPEATS * costs[point] > max(MOST_SHARE * seconds, LEAST_MOST):
                self.too_long[point] = FEWEST_REPEATS * costs[point]

    def _costs(self) -> dict[Point, float]:
        """Seconds that a process takes for each point, by the times measured so far or, as long as these are few, by
        what is usual.
        """
        models = {}
        for phase in PHASES:
            seen = self.seen(phase)
            sides = [side for one in seen for side in one.parts]
            models[phase] = (
                fitted(sides, [value for one in seen for value in one.seconds]) if len(seen) >= _TO_FIT else USUAL
            )
        return {point: self._cost(point, models) for point in self.area.points()}

    def _cost(self, point: Point, models: Mapping[str, Model]) -> float:
        calls = [model.seconds(side) for phase, model in models.items() for side in self._parts(point, phase)]
        return sum(max(1.2 * SECONDS, _CALLS * seconds) for seconds in calls)

    def _chunk(self, length: float) -> dict[Point, int]:
        """Points for processes of `length` seconds of measuring each, with the number of repeats that they should have.

        Kernels and batches have equal shares of the time, so that all are covered early.
        """
        costs, wanted = self._costs(), self._wanted()
        spent = dict.fromkeys(wanted, 0.0)
        for point, done in self.repeats.items():
            if point in self.pairs and point[:2] in spent:
                spent[point[:2]] += len(done) * costs[point] / FEWEST_REPEATS
        out: dict[Point, int] = {}
        total = 0.0
        while any(wanted.values()):
            panel = min((panel for panel in wanted if wanted[panel]), key=lambda panel: spent[panel])
            point, repeats = wanted[panel].pop(0)
            if out and total + costs[point] > length:
                break
            out[point] = repeats
            total += costs[point]
            spent[panel] += costs[point]
        return out

    def _wanted(self) -> dict[tuple[int, int], list[tuple[Point, int]]]:
        """By kernel and batch the points that are wanted next, the most wanted first, and how many repeats of each.

        What fills gaps is wanted once nothing else is.
        """
        ranked: dict[tuple[int, int], list[tuple[int, int, Point, int]]] = {}
        left_out = self.too_long.keys() | self.too_large.keys()
        ratios = {phase: self.ratios(phase) for phase in PHASES}
        for column in self.area.columns:
            grid = [channels for channels in self.area.channels if Point(*column, channels) not in left_out]
            own = ranked.setdefault(column[:2], [])
            for rank, (level, channels, repeats) in enumerate(self._of_column(column, grid, ratios)):
                own.append((level, rank, Point(*column, channels), repeats))
        boundary = any(level < _FILLING for own in ranked.values() for level, *_ in own)
        if boundary:
            ranked = {panel: [one for one in own if one[0] < _FILLING] for panel, own in ranked.items()}
        return {panel: [(point, repeats) for _, _, point, repeats in sorted(own)] for panel, own in ranked.items()}

    def _of_column(
        self, column: tuple[int, int, int], grid: Sequence[int], ratios: Mapping[str, Mapping[Point, Ratio]]
    ) -> Iterator[tuple[int, int, int]]:
        """What is wanted of one column, in order: how urgent it is (0 first), at which channels, how many repeats.

        First what has begun and coarse points, then points that halve where the ratio crosses 1, then more repeats of
        those on either side of the crossing that are undecided, then what fills gaps.
        """
        points = {c: Point(*column, c) for c in grid}
        logs = {phase: {c: own[at] for c, at in points.items() if at in own} for phase, own in ratios.items()}
        measured = logs[PHASES[0]]
        given: set[int] = set()
        wanted: list[tuple[int, int, int]] = []
        wanted += [(0, c, FEWEST_REPEATS) for c, ratio in measured.items() if ratio.n < FEWEST_REPEATS]
        wanted += [(0, c, FEWEST_REPEATS) for c in coarse(grid) if c not in measured]
        for own in logs.values():
            wanted += [(1, c, FEWEST_REPEATS) for c in bisecting(grid, {c: ratio.log for c, ratio in own.items()})]
        for own in logs.values():
            for before, after in pairwise(own):
                if (own[before].log > 0) != (own[after].log > 0):
                    wanted += [(2, c, REPEATS) for c in (before, after) if not own[c].sign and own[c].n < REPEATS]
        wanted += [
            (_FILLING, c, FEWEST_REPEATS) for c in filling(grid, {c: ratio.log for c, ratio in measured.items()})
        ]
        for level, channels, repeats in wanted:
            if channels not in given:
                given.add(channels)
                yield level, channels, repeats
