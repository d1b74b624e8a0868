"""Two ways to fill one slot, plain and separable: what they are, and how long they take by arithmetic alone."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from dsbench.measure.roofline_record import Rates
from dsbench.measure.traffic import FULL, Signal, operations_after, work
from dsbench.network.architecture import Architecture, Placed
from dsbench.network.assemble import Frame, Options
from dsbench.network.cost import DTYPE_BYTES
from dsbench.network.description import Slot
from dsbench.network.elements import LARGEST, ConvElement
from dsbench.network.layers import BatchNorm, Shape

MATCHES = ("channels", "params")
PHASES = ("training", "inference")
LAUNCHES = "operations"  # a kind of its own: what each operation costs whatever its size, seconds
_SMALL = 1e-12  # seconds


class Point(NamedTuple):
    """Where two slots are compared; `channels` are those of the plain one, in and out, `side` the image's in pixels."""

    kernel: int
    batch: int
    side: int
    channels: int


@dataclass(frozen=True)
class Filled:
    """A slot and the shape of one image that enters it."""

    slot: Slot
    shape: Shape

    @property
    def layers(self) -> tuple[Slot, ...]:
        """The slot as the only layer."""
        return (self.slot,)

    @property
    def params(self) -> int:
        """Trainable parameters."""
        return sum(operation.layer.params for operation in self.operations("32"))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward pass of one image."""
        return sum(operation.macs for operation in self.operations("32"))

    def operations(self, precision: str) -> tuple[Any, ...]:
        """In order; the input comes as another slot of a network leaves it, and gets a gradient."""
        return operations_after(Signal(self.shape, DTYPE_BYTES[precision], True), self.layers, precision)

    def bytes(self, batch: int, precision: str) -> int:
        """Of a training step at the most, about: every output of a layer and its gradient."""
        signals = [self.shape, *(operation.after.shape for operation in self.operations(precision))]
        return 2 * DTYPE_BYTES[precision] * batch * sum(map(math.prod, signals)) + 12 * self.params


@dataclass(frozen=True)
class Pair:
    """The plain slot and the separable one that are compared."""

    plain: Filled
    separable: Filled

    @property
    def mac_ratio(self) -> float:
        """The separable slot's MACs, as so many times the plain one's."""
        return self.separable.macs / self.plain.macs


@dataclass(frozen=True)
class Slots:
    """What fills the slots of a map: options of the place and the block as the configuration has them.

    `match` is channels (both have the same) or params: the separable slot then has as many channels as bring it nearest
    to the parameters of the plain one, norms included.
    """

    match: str = MATCHES[0]
    place: Mapping[str, Any] = field(default_factory=dict)
    block: Mapping[str, Any] = field(default_factory=dict)

    def identity(self) -> dict[str, object]:
        """What fills the slots, as plain data."""
        return {"slots": self.match, "place": dict(self.place), "block": dict(self.block)}

    def filled(self, kernel: int, side: int, channels: int, separable: bool) -> Filled:
        """One slot. Raises InputError where kernel, image, channels and block do not fit."""
        shape = (channels, side, side)
        element = Placed(ConvElement(channels=channels))
        options = Options((separable,), {**self.place, "kernel": kernel}, self.block)
        slot = Frame(Architecture("map", (element,)), options, shape, 1).layer(0, shape, channels)
        assert isinstance(slot, Slot)
        return Filled(slot, shape)

    def pair(self, point: Point) -> Pair:
        """The two slots of a point. Raises InputError as `filled` does."""
        kernel, _, side, channels = point
        plain = self.filled(kernel, side, channels, separable=False)
        own = channels if self.match == MATCHES[0] else self._channels_like(plain.params, kernel, side)
        return Pair(plain, self.filled(kernel, side, own, separable=True))

    def _channels_like(self, params: int, kernel: int, side: int) -> int:
        """The channels of the separable slot with the nearest number of parameters, which grows with them."""
        step = math.lcm(int(self.block.get("group_size") or 1), int(self.block.get("depth_multiplier") or 1))

        def count(times: int) -> int:
            return self.filled(kernel, side, times * step, separable=True).params

        above = bisect_left(range(1, LARGEST // step), params, key=count) + 1
        return step * min((max(1, above - 1), above), key=lambda times: abs(count(times) - params))


Parts = Mapping[str, float]  # seconds by kind of operation at the roofline; of LAUNCHES their number


def parts(filled: Filled, batch: int, precision: str, rates: Rates, phase: str) -> dict[str, float]:
    """What the roofline allows each kind of operation of one slot in a phase, seconds, and the number of operations.

    Training is forward and backward. In inference a norm reads its input once, not twice, and writes no
    statistics.
    """
    out: dict[str, float] = {LAUNCHES: 0.0}
    for operation in filled.operations(precision):
        forward, backward = work(operation, batch)
        passes = [forward, backward] if phase == "training" else [forward]
        spared = 0
        if phase == "inference" and isinstance(operation.layer, BatchNorm):
            elements = batch * math.prod(operation.before.shape)
            spared = operation.before.size * elements + FULL * operation.layer.buffers
        for one in passes:
            seconds = max(one.flops / rates.flops, (one.bytes - spared) / rates.bandwidth)
            out[operation.kind] = out.get(operation.kind, 0.0) + seconds
            out[LAUNCHES] += 1
    return out


@dataclass(frozen=True)
class Model:
    """Seconds from parts: the sum over kinds of `factors` times what the roofline allows; LAUNCHES has seconds each.

    A kind without a factor takes what the roofline allows.
    """

    factors: Mapping[str, float]

    def seconds(self, parts: Parts) -> float:
        """The time of one slot."""
        return sum(self.factors.get(kind, 1.0) * value for kind, value in parts.items()) + _SMALL


ROOFLINE = Model({LAUNCHES: 0.0})
USUAL = Model({LAUNCHES: 2e-5, **dict.fromkeys(("dense conv", "pointwise", "norm", "activation"), 2.0), "depthwise": 4})


def fitted(parts: Sequence[Parts], seconds: Sequence[float]) -> Model:
    """Factors, none below zero, with the least squares of the relative errors (Lawson and Hanson 1974)."""
    import numpy as np
    from scipy.optimize import nnls

    kinds = list(dict.fromkeys(kind for one in parts for kind in one))
    table = np.array([[one.get(kind, 0.0) for kind in kinds] for one in parts])
    scale = np.maximum(table.max(axis=0), _SMALL)
    solved, _ = nnls(table / scale / np.array(seconds)[:, None], np.ones(len(seconds)))
    return Model(dict(zip(kinds, (solved / scale).tolist(), strict=True)))


@dataclass(frozen=True)
class Seen:
    """A point as a prediction sees it, in one phase: what both slots need by the roofline, and what they took.

    `log` is the logarithm of the ratio measured, separable to plain, `decided` whether its interval leaves out 0.
    """

    point: Point
    parts: tuple[Parts, Parts]
    seconds: tuple[float, float]
    mac_ratio: float
    log: float
    decided: bool


@dataclass(frozen=True)
class Error:
    """How far a prediction is off: the median factor of the ratio, and the share of `decided` points it names right."""

    factor: float
    right: float | None
    n: int
    decided: int


@dataclass(frozen=True)
class Predictions:
    """Predictions of one phase and their errors on points that the fit has not seen: every second column."""

    model: Model
    fitted_on: int
    errors: dict[str, Error]


def predict(log_of: Mapping[str, Callable[[Seen], float]], seen: Sequence[Seen]) -> dict[str, Error]:
    """The error of each prediction, by its name, on the points `seen`."""
    out = {}
    for name, log in log_of.items():
        off = [abs(log(one) - one.log) for one in seen]
        decided = [one for one in seen if one.decided]
        right = [(log(one) > 0) == (one.log > 0) for one in decided]
        share = sum(right) / len(right) if right else None
        out[name] = Error(math.exp(median(off)), share, len(off), len(decided))
    return out


def ratio_log(model: Model) -> Callable[[Seen], float]:
    """The logarithm of the ratio by `model`."""
    return lambda one: math.log(model.seconds(one.parts[1]) / model.seconds(one.parts[0]))


def held_out(seen: Sequence[Seen]) -> tuple[list[Seen], list[Seen]]:
    """The points to fit on, and those held out: whole columns of channels by turns, so that no neighbour is known.

    By turns in each direction, as the fields of a chessboard: every kernel, batch and side is in both.
    """
    places = [sorted({one.point[direction] for one in seen}) for direction in range(3)]

    def color(one: Seen) -> int:
        return sum(own.index(value) for own, value in zip(places, one.point, strict=False)) % 2

    return [one for one in seen if not color(one)], [one for one in seen if color(one)]


def predictions(seen: Sequence[Seen]) -> Predictions | None:
    """The three predictions of one phase with their errors on the same points held out; None with too few points."""
    fit, rest = held_out(seen)
    kinds = {kind for one in fit for side in one.parts for kind in side}
    if not rest or len(fit) < len(kinds):
        return None
    model = fitted([side for one in fit for side in one.parts], [value for one in fit for value in one.seconds])
    log_of: dict[str, Callable[[Seen], float]] = {
        "MACs": lambda one: math.log(one.mac_ratio),
        "roofline": ratio_log(ROOFLINE),
        "roofline, fitted": ratio_log(model),
    }
    return Predictions(model, len(fit), predict(log_of, rest))
