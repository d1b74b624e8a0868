"""The map: the points at which two slots are compared on one device, what is known of each, and where that is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import geometric_mean
from typing import TYPE_CHECKING, Any

from dsbench.errors import InputError
from dsbench.measure.roofline_record import Rates
from dsbench.measure.slot_pairs import PHASES, Fillings, Pair, Point
from dsbench.measure.slot_times import Model, Parts, Seen
from dsbench.measure.slot_times import parts as parts_of
from dsbench.measure.store import Store, conditions
from dsbench.measure.timing import THREADS
from dsbench.statistics.crossing import Difference, zeros

if TYPE_CHECKING:
    from dsbench.training.device import Compute

KERNELS, BATCHES, SIDES = (3, 5, 7), (1, 32, 128), (4, 8, 16, 32, 56, 112)
CHANNELS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


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


@dataclass
class Map:
    """An area of slots on one device, and what is known of it, which `store` keeps.

    `repeats` has for each point and process the milliseconds of both slots in each phase, points of other areas too.
    Points are left out that would take too long, with their seconds, and that are too large, with their bytes.
    """

    area: Area
    slots: Fillings
    pairs: Mapping[Point, Pair]
    where: Where
    compute: Compute
    store: Store
    repeats: dict[Point, list[dict[str, Any]]] = field(default_factory=dict)
    rates: Rates | None = None
    too_long: dict[Point, float] = field(default_factory=dict)
    too_large: dict[Point, int] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], Any] = field(default_factory=dict)  # what is asked for again and again

    @classmethod
    def read(cls, area: Area, slots: Fillings, where: Where, store: Store) -> Map:
        """What is kept of it. Raises InputError where slots do not fit, or there is no such device."""
        pairs = {point: slots.pair(point) for point in area.points()}
        found = cls(area, slots, pairs, where, where.compute(), store)
        found._add(store.kept(found._under()))
        return found

    def _add(self, kept: Mapping[str, Any]) -> None:
        """Take in what is kept, unless it is damaged; rates that are kept stay."""
        try:
            rates = Rates(**kept["rates"])
            repeats = {Point(*point): _checked(own) for point, own in kept["points"]}
        except (KeyError, TypeError, ValueError):
            return
        self.rates = rates
        for point, own in repeats.items():
            sessions = {one["session"] for one in own}
            new = [one for one in self.repeats.get(point, []) if one["session"] not in sessions]
            self.repeats[point] = [*own, *new]

    def _under(self) -> dict[str, Any]:
        return conditions(self.slots, "slots by turns", 0, self.compute)

    def keep(self) -> None:
        """Write down all that is known, and take in what other processes have kept meanwhile, of other areas too.

        Raises InputError where the folder cannot be written to.
        """
        under = self._under()
        with self.store.locked(under):
            self._add(self.store.kept(under))
            assert self.rates is not None
            self.store.keep(under, rates=asdict(self.rates), points=list(self.repeats.items()))

    @property
    def features(self) -> list[str]:
        """What decides the speed of the device beyond its name, in words."""
        from dsbench.measure.identity import features

        return features(self.compute.device.type)

    @property
    def measured(self) -> list[Point]:
        """The points of the area that are measured, in its order."""
        return [point for point in self.area.points() if point in self.repeats]

    def ratios(self, phase: str) -> dict[Point, Difference]:
        """How many times as long the separable slot takes, point by point, in the order of the area."""
        return {point: self._ratio(point, phase) for point in self.measured}

    def _ratio(self, point: Point, phase: str) -> Difference:
        repeats = self.repeats[point]
        key = point, phase, len(repeats)
        if key not in self._known:
            self._known[key] = Difference.of([math.log(repeat[phase][1] / repeat[phase][0]) for repeat in repeats])
        ratio: Difference = self._known[key]
        return ratio

    def column(self, column: tuple[int, int, int], phase: str) -> dict[float, Difference]:
        """The ratios of one column by channels."""
        return {point.channels: ratio for point, ratio in self.ratios(phase).items() if point[:3] == column}

    def seconds(self, point: Point, phase: str) -> tuple[float, float]:
        """Of one call of the plain and of the separable slot, the geometric mean over repeats."""
        plain, separable = (geometric_mean(one[phase][i] / 1e3 for one in self.repeats[point]) for i in (0, 1))
        return plain, separable

    def predicted(self, column: tuple[int, int, int], phase: str, model: Model) -> list[float]:
        """The channels at which the ratio crosses 1 in `column` by `model`."""
        sides = [self.parts(Point(*column, channels), phase) for channels in self.area.channels]
        logs = [math.log(model.seconds(separable) / model.seconds(plain)) for plain, separable in sides]
        return zeros(self.area.channels, logs)

    def seen(self, phase: str) -> list[Seen]:
        """The points as predictions see them."""
        return [
            Seen(
                point,
                self.parts(point, phase),
                self.seconds(point, phase),
                self.pairs[point].mac_ratio,
                ratio.mean,
                bool(ratio.sign),
            )
            for point, ratio in self.ratios(phase).items()
        ]

    def parts(self, point: Point, phase: str) -> tuple[Parts, Parts]:
        """Of the plain and of the separable slot."""
        assert self.rates is not None
        key = point, phase, self.rates
        if key not in self._known:
            self._known[key] = tuple(
                parts_of(filled, point.batch, self.compute.precision, self.rates, phase)
                for filled in vars(self.pairs[point]).values()
            )
        plain, separable = self._known[key]
        return plain, separable


def _checked(repeats: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`repeats` as they were read. Raises ValueError, KeyError or TypeError for what is none."""
    for repeat in repeats:
        if "session" not in repeat or not all(min(repeat[phase]) > 0 and len(repeat[phase]) == 2 for phase in PHASES):
            raise ValueError(repeat)
    return repeats
