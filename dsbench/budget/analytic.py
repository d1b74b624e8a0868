"""The cost of a network as a function of its widths, by arithmetic alone."""

from __future__ import annotations

from functools import lru_cache

from dsbench.budget.solver import LARGEST_WIDTH, Knob
from dsbench.errors import InputError
from dsbench.network.assemble import Frame
from dsbench.network.containers import walk
from dsbench.network.cost import counts
from dsbench.network.layers import Shape


class AnalyticCost:
    """One of the sums of dsbench.network.cost.Counts (params, macs_conv, ...) over a frame's layers at some widths.

    What a layer costs is worked out once for each shape and channel count that it occurs with.
    """

    def __init__(self, frame: Frame, name: str) -> None:
        self.frame, self.name = frame, name
        self._known: dict[tuple[int, Shape, int], tuple[Shape, int]] = {}

    def __call__(self, width: int, fine_width: int | None = None) -> int | None:
        """The cost, or None where no network has these widths (groups that do not divide the channels)."""
        frame, known = self.frame, self._known
        shape, total = frame.input_shape, 0
        for number, element in enumerate(frame.elements):
            key = (frame.kinds[number], shape, frame.channels(element, width, fine_width))
            if key not in known:
                try:
                    known[key] = self._layer(number, shape, key[2])
                except InputError:
                    return None
            shape, cost = known[key]
            total += cost
        return total

    def _layer(self, number: int, shape: Shape, channels: int) -> tuple[Shape, int]:
        layer = self.frame.layer(number, shape, channels)
        return layer.output_shape(shape), sum(counts(step)[self.name] for step in walk((layer,), shape))


@lru_cache(maxsize=64)  # a sweep over widths asks one frame again and again
def knob(frame: Frame, name: str, fine: bool = True) -> Knob:
    """The knob that sets cost `name` (a field of Counts) of `frame`; `fine`: whether the fine width may be turned."""
    element, divisor = frame.fine, frame.architecture.divisor
    window = max(4, 2 * divisor, 2 * frame.largest_group)
    nominal = (lambda width: frame.channels(element, width)) if fine and element is not None else None
    return Knob(AnalyticCost(frame, name), nominal, divisor, window, LARGEST_WIDTH if frame.scales else 1)
