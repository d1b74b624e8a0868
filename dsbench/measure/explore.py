"""What a map measures next, and its measuring: pairs of slots by turns in fresh processes, along the boundary first.

This module is light: what measures is imported when there is something to measure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from dsbench.measure.map import Map, Where
from dsbench.measure.record import new_session
from dsbench.measure.repeats import in_fresh_process
from dsbench.measure.roofline_record import Rates
from dsbench.measure.slot_pairs import PHASES, Pair, Point
from dsbench.measure.slot_times import ROOFLINE, USUAL, Model, fitted
from dsbench.measure.timing import FEWEST_REPEATS, REPEATS
from dsbench.process import wait_briefly
from dsbench.statistics.crossing import Difference

MINUTES = 4.0
SECONDS = 0.02  # of one slot in one phase and process, at the most where its calls are short
MOST_SHARE, LEAST_MOST = 1 / 50, 3.0  # of the minutes, that one point may take; seconds that it may in any case
CHUNK_SECONDS = 12.0  # of measuring in one process: what a kill loses at the most, imports aside
# Of a call that is longer than a round: to find the size of a block, a round untimed and the fewest rounds, each of
# which warms up by two more, unless the call is a long one; see dsbench.measure.probes.Block.
_CALLS, _LONG_CALLS, _LONG_SECONDS = 14, 6, 0.01
_TO_FIT = 40  # points from which on times are estimated by those measured
_LEAST_CHUNK = 1.0  # seconds, below which no process is worth its start
_START, _FIRST_SECONDS = 4.0, 4.0  # as long as the pace is not known: until a process measures, and of its measuring
_STEP = 4  # places of the grid from one coarse point to the next; two crossings between these are not seen at first
_MEMORY = 0.5  # of what there is, that a pair may take
# How urgent a point is: what was started, and two coarse points; what leads to the boundary; the other coarse points;
# repeats of what is undecided; what fills gaps.
_BEGINNING, _BOUNDARY, _COARSE, _REPEATING, _FILLING = range(5)
Say = Callable[[str], None]


def measure_pairs(
    pairs: Sequence[tuple[Pair, int]],
    where: Where,
    within: float,
    seconds: float,
    refused: Callable[[Exception], None] | None = None,
    say: Say = lambda message: None,
) -> tuple[list[dict[str, list[float]]], float]:
    """Time each pair at its batch by turns in this process: for each phase the milliseconds of plain and separable.

    Each slot and phase takes `seconds` at the most, or its fewest rounds; none is started after `within` seconds, so
    that there may be fewer results than pairs. That of a pair for which a GPU had no memory is empty. Returns the
    seconds that all took, too.
    """
    from dsbench.measure.probes import SlotProbes
    from dsbench.measure.timing import interleaved
    from dsbench.training.device import out_of_memory, set_up_process

    compute = where.compute()
    set_up_process()
    start = time.monotonic()
    out: list[dict[str, list[float]]] = []
    for pair, batch in pairs:
        if out and time.monotonic() - start > within:
            break
        timed: dict[str, list[float]] = {}
        try:
            own = [SlotProbes(one.layers, one.shape, batch, compute) for one in (pair.plain, pair.separable)]
            for phase in PHASES:
                probes = [slot.probe(phase, seconds) for slot in own]
                for probe in probes:  # what each takes of the memory while the other holds its own is found once
                    probe()
                timed[phase] = [timing.mean_ms for (timing,) in interleaved(probes, seconds)]
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            timed = {}
        out.append(timed)
    return out, time.monotonic() - start


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


def explore(found: Map, minutes: float, say: Say = lambda message: None) -> None:
    """Measure `found` for `minutes` at the most, imports included: the points that tell most, kept as they are done.

    `say` is called with what comes next. Raises InputError where nothing can be kept.
    """
    _Exploration(found).run(minutes, say)


class _Exploration:
    """The measuring of a map from its first process to its last."""

    def __init__(self, found: Map) -> None:
        self._map = found

    def run(self, minutes: float, say: Say) -> None:
        """See `explore`."""
        if not any(self._wanted().values()):
            return
        end = time.monotonic() + 60 * minutes
        wait_briefly()  # before torch is imported
        if self._map.rates is None:  # else a later session could only raise them
            say("the rates of the device")
            self._map.rates = in_fresh_process(partial(_rates, self._map.where), SECONDS, end, None, say)
            if self._map.rates is None:
                return
            self._map.keep()
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
                due = [
                    point for point, wanted in chunk.items() if len(self._map.repeats.get(point, [])) == number < wanted
                ]
                if not due or time.monotonic() + pace.start > end:
                    continue
                say(f"{len(self._map.measured):,} points measured, {len(due)} in process {number + 1}")
                within = min(length * (1 + (number > 0)), end - time.monotonic() - pace.start)
                self._measure(due, within, end, pace)

    def _measure(self, due: Sequence[Point], within: float, end: float, pace: _Pace) -> None:
        """One repeat of each of `due` in a fresh process."""
        pairs = [(self._map.pairs[point], point.batch) for point in due]
        session, costs, start = new_session(), self._costs(), time.monotonic()
        measured = in_fresh_process(
            partial(measure_pairs, pairs, self._map.where, within), SECONDS, end, None, lambda message: None
        )
        if measured is None:
            return
        results, seconds = measured
        for point, timed in zip(due, results, strict=False):
            if timed:
                self._map.repeats.setdefault(point, []).append({"session": session, **timed})
            else:
                self._map.too_large[point] = self._bytes(point)
        self._map.keep()
        reckoned = sum(costs[point] for point in due[: len(results)])
        pace.factor, pace.start, pace.known = seconds / reckoned, time.monotonic() - start - seconds, True

    def _leave_out(self, seconds: float) -> None:
        """Find the points that are too large for the memory, or would take too much of `seconds`."""
        from dsbench.training.memory import limit_bytes
        from dsbench.training.place import place

        most = _MEMORY * limit_bytes(place(self._map.where.device, self._map.where.precision, self._map.where.threads))
        costs = self._costs()
        self._map.too_long, self._map.too_large = {}, {}
        for point in self._map.area.points():
            if point in self._map.repeats:
                continue
            if self._bytes(point) > most:
                self._map.too_large[point] = self._bytes(point)
            elif FEWEST_REPEATS * costs[point] > max(MOST_SHARE * seconds, LEAST_MOST):
                self._map.too_long[point] = FEWEST_REPEATS * costs[point]

    def _bytes(self, point: Point) -> int:
        pair = self._map.pairs[point]
        return sum(one.bytes(point.batch, self._map.compute.precision) for one in (pair.plain, pair.separable))

    def _costs(self) -> dict[Point, float]:
        """Seconds that a process takes for each point, by the times measured so far or, as long as these are few, by
        what is usual.
        """
        models = {}
        for phase in PHASES:
            seen = self._map.seen(phase)
            sides = [side for one in seen for side in one.parts]
            models[phase] = (
                fitted(sides, [value for one in seen for value in one.seconds]) if len(seen) >= _TO_FIT else USUAL
            )
        return {point: self._cost(point, models) for point in self._map.area.points()}

    def _cost(self, point: Point, models: Mapping[str, Model]) -> float:
        sides = [(model, side) for phase, model in models.items() for side in self._map.parts(point, phase)]
        calls = [max(model.seconds(side), ROOFLINE.seconds(side)) for model, side in sides]
        return sum(
            max(1.2 * SECONDS, (_CALLS if seconds < _LONG_SECONDS else _LONG_CALLS) * seconds) for seconds in calls
        )

    def _chunk(self, length: float) -> dict[Point, int]:
        """Points for processes of `length` seconds of measuring each, with the number of repeats that they should have.

        Kernels and batches have equal shares of the time, so that all are covered early.
        """
        costs, wanted = self._costs(), self._wanted()
        spent = dict.fromkeys(wanted, 0.0)
        for point, done in self._map.repeats.items():
            if point in self._map.pairs and point[:2] in spent:
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

        Of equally urgent ones those come first whose column has fewer points. What fills gaps is wanted once nothing
        else is.
        """
        ranked: dict[tuple[int, int], list[tuple[int, int, Point, int]]] = {}
        left_out = self._map.too_long.keys() | self._map.too_large.keys()
        ratios = {phase: self._map.ratios(phase) for phase in PHASES}
        for column in self._map.area.columns:
            grid = [channels for channels in self._map.area.channels if Point(*column, channels) not in left_out]
            own = ranked.setdefault(column[:2], [])
            done = sum(Point(*column, channels) in self._map.repeats for channels in grid)
            for rank, (level, channels, repeats) in enumerate(self._of_column(column, grid, ratios), done):
                own.append((level, rank, Point(*column, channels), repeats))
        boundary = any(level < _FILLING for own in ranked.values() for level, *_ in own)
        if boundary:
            ranked = {panel: [one for one in own if one[0] < _FILLING] for panel, own in ranked.items()}
        return {panel: [(point, repeats) for _, _, point, repeats in sorted(own)] for panel, own in ranked.items()}

    def _of_column(
        self, column: tuple[int, int, int], grid: Sequence[int], ratios: Mapping[str, Mapping[Point, Difference]]
    ) -> Iterator[tuple[int, int, int]]:
        """What is wanted of one column, in order: how urgent it is, at which channels, how many repeats.

        The boundary is sought between the two coarse points in the middle, else further down where the separable slot
        wins at all points so far, further up where the plain one does.
        """
        points = {c: Point(*column, c) for c in grid}
        logs = {phase: {c: own[at].mean for c, at in points.items() if at in own} for phase, own in ratios.items()}
        measured = logs[PHASES[0]]
        first = coarse(grid)
        wanted = [(_BEGINNING, c, FEWEST_REPEATS) for c in measured if ratios[PHASES[0]][points[c]].n < FEWEST_REPEATS]
        wanted += [(_BEGINNING, c, FEWEST_REPEATS) for c in first[:2] if c not in measured]
        for own in logs.values():
            wanted += [(_BOUNDARY, c, FEWEST_REPEATS) for c in (*bisecting(grid, own), *beyond(first, own))]
        wanted += [(_COARSE, c, FEWEST_REPEATS) for c in first if c not in measured]
        for phase, own in logs.items():
            for pair in pairwise(own):
                if (own[pair[0]] > 0) != (own[pair[1]] > 0):
                    undecided = [c for c in pair if not ratios[phase][points[c]].sign]
                    wanted += [(_REPEATING, c, REPEATS) for c in undecided if ratios[phase][points[c]].n < REPEATS]
        wanted += [(_FILLING, c, FEWEST_REPEATS) for c in filling(grid, measured)]
        given: set[int] = set()
        for level, channels, repeats in wanted:
            if channels not in given:
                given.add(channels)
                yield level, channels, repeats


def coarse(grid: Sequence[int]) -> list[int]:
    """Every fourth place of `grid` and its last, those in the middle first."""
    places = {*range(0, len(grid), _STEP), *range(len(grid))[-1:]}
    return [grid[place] for place in sorted(places, key=lambda place: abs(place - len(grid) / 2))]


def bisecting(grid: Sequence[int], logs: Mapping[int, float]) -> list[int]:
    """The points of `grid` halfway between two neighbours measured of which one is above 1 and the other below.

    `logs` has the logarithm of the ratio by the points that are measured.
    """
    return [grid[(i + j) // 2] for i, j in _gaps(grid, logs) if (logs[grid[i]] > 0) != (logs[grid[j]] > 0)]


def beyond(points: Sequence[int], logs: Mapping[int, float]) -> list[int]:
    """The next of `points`, in any order, on the side where the ratio may cross 1, if all measured are on one side.

    Down where the candidate wins at all of them, else up; that it wins above the crossing is a guess, which decides
    what is measured first and nothing else.
    """
    if not logs or len({log > 0 for log in logs.values()}) > 1:
        return []
    if min(logs.values()) > 0:
        return sorted(point for point in points if point > max(logs))[:1]
    return sorted(point for point in points if point < min(logs))[-1:]


def filling(grid: Sequence[int], logs: Mapping[int, float]) -> list[int]:
    """The points halfway between neighbours measured, those of the widest gaps first: what coarse points may miss."""
    return [grid[(i + j) // 2] for i, j in sorted(_gaps(grid, logs), key=lambda gap: gap[0] - gap[1])]


def _gaps(grid: Sequence[int], logs: Mapping[int, float]) -> list[tuple[int, int]]:
    """Places of neighbours measured between which there are points that are not."""
    places = [place for place, point in enumerate(grid) if point in logs]
    return [(i, j) for i, j in pairwise(places) if j - i > 1]
