"""Two ways to fill one slot, plain and separable, at equal channels or at equal parameters."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dsbench.measure.traffic import Signal, operations_after
from dsbench.network.architecture import Architecture, Placed
from dsbench.network.assemble import Frame, Options
from dsbench.network.cost import DTYPE_BYTES
from dsbench.network.description import Slot
from dsbench.network.elements import LARGEST, ConvElement
from dsbench.network.layers import Shape

MATCHES = ("channels", "params")
PHASES = ("training", "inference")


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
class Fillings:
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
