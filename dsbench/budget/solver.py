"""The width, and fine width, at which a cost comes closest to a target; counted costs as functions of the two.

A cost is a number, or None where no network has these widths. It may fall here and there as they grow (a shortcut that
shapes make needless, channels rounded to groups). Only AnalyticCost knows what a network is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from math import ceil, floor, lcm

from dsbench.errors import InputError
from dsbench.network.assemble import Frame
from dsbench.network.cost import FORMULAS
from dsbench.network.description import walk
from dsbench.network.elements import ConvElement
from dsbench.network.layers import Shape

FINE_RANGE = 0.25  # how far the fine width may lie from its nominal one: the shape stays the architecture's
LARGEST_WIDTH = 1 << 16
_FIRST = 8
_GAP = 512  # widths in a row that no network has before there is taken to be none further on


@dataclass(frozen=True)
class Knob:
    """What can be turned: `cost(width, fine_width)`, None for a fine width meaning its nominal one.

    `nominal` gives the nominal fine width, or is None where there is no fine knob. Fine widths are multiples of
    `step`. `window` is how many widths on each side of the crossing are looked at, since costs are not quite monotone;
    `largest` is the widest that makes a difference. Only widths that `fits` takes are tried, at first with what `shape`
    gives: the width and its fine width.
    """

    cost: Callable[[int, int | None], float | None]
    nominal: Callable[[int], int] | None = None
    step: int = 1
    window: int = 4
    largest: int = LARGEST_WIDTH
    fits: Callable[[int], bool] = lambda width: True
    shape: Callable[[int], tuple[int, int | None]] = lambda width: (width, None)


@dataclass(frozen=True)
class Solution:
    """A width, a fine width (None: nominal), and what the network costs that has them."""

    width: int
    fine_width: int | None
    cost: float

    def residual(self, target: float) -> float:
        """(cost - target) / target."""
        return (self.cost - target) / target


class OutOfReachError(Exception):
    """No network is within the tolerance; `nearest` are the ones below and above the target, where there are such."""

    def __init__(self, nearest: Sequence[Solution]) -> None:
        super().__init__("no network within the tolerance")
        self.nearest = tuple(nearest)


def solve(knob: Knob, target: float, tolerance: float) -> Solution:
    """The closest network to `target`, below it on ties.

    First the width: bisection with the fine width nominal, then the best below and above among the widths around the
    crossing. Then, where that does not meet the target, the fine width at these two. Where that stays outside
    `tolerance`, a share of the target, all widths are tried from which the fine width can reach it. Raises
    OutOfReachError where none is within it.
    """
    widths = [*filter(knob.fits, range(1, min(knob.largest, _bound(knob, target)) + 1))]
    tried = [*_enclosing(_crossing(knob, widths, knob.shape, target, knob.window), target)]
    if knob.nominal is not None and not any(solution.cost == target for solution in tried):
        tried += [fine for solution in list(tried) for fine in _fine(knob, solution.width, target)]
        if tried and abs(_closest(tried, target).residual(target)) > tolerance:
            tried += [fine for width in _farther(knob, tried, target) for fine in _fine(knob, width, target)]
    best = _closest(tried, target) if tried else None
    if best is None or abs(best.residual(target)) > tolerance:
        raise OutOfReachError(_enclosing(tried, target))
    return best


def _bound(knob: Knob, target: float) -> int:
    """A width well beyond the crossing, sought from below: it may take long to measure a far larger network."""
    width = _FIRST
    while width < knob.largest:
        nearby = islice(filter(knob.fits, range(width, 2 * LARGEST_WIDTH)), _GAP)
        costs = ((knob.cost(*knob.shape(near)), near) for near in nearby)
        cost, first = next(((cost, near) for cost, near in costs if cost is not None), (None, width))
        if cost is None or cost > target:
            return max(2 * width, first)
        width *= 2
    return 2 * width


def _crossing(
    knob: Knob, values: Sequence[int], widths: Callable[[int], tuple[int, int | None]], target: float, count: int
) -> list[Solution]:
    """`count` networks on each side of where the cost crosses `target`, over ascending `values` that name `widths`."""

    def networks(indices: range) -> Iterator[Solution]:
        for index in indices[:_GAP]:
            width, fine_width = widths(values[index])
            cost = knob.cost(width, fine_width)
            if cost is not None:
                yield Solution(width, fine_width, cost)

    low, high = -1, len(values)  # the cost is below the target at low, at or above it at high
    while high - low > 1:
        middle = (low + high) // 2
        network = next(networks(range(middle, high)), None)
        if network is not None and network.cost < target:
            low = middle
        else:
            high = middle
    sides = networks(range(low, -1, -1)), networks(range(high, len(values)))
    return [network for side in sides for network in islice(side, count)]


def _fine(knob: Knob, width: int, target: float) -> list[Solution]:
    """The networks of `width` whose fine widths enclose `target`.

    At the nominal fine width shapes may agree that do not beside it, so the widths below and above are searched apart.
    """
    assert knob.nominal is not None
    values, nominal = fine_widths(knob, width), knob.nominal(width)
    halves = [value for value in values if value < nominal], [value for value in values if value > nominal]
    return [near for half in halves for near in _crossing(knob, half, lambda fine: (width, fine), target, 1)]


def fine_widths(knob: Knob, width: int) -> range:
    """Those that a network of `width` may have, within FINE_RANGE of its nominal one."""
    assert knob.nominal is not None
    nominal, step = knob.nominal(width), knob.step
    first, last = ceil(nominal * (1 - FINE_RANGE) / step), floor(nominal * (1 + FINE_RANGE) / step)
    return range(max(1, first) * step, last * step + 1, step)


def _farther(knob: Knob, tried: Sequence[Solution], target: float) -> Iterator[int]:
    """Widths other than those `tried`: between them, and beyond until their fine widths no longer enclose `target`."""
    widths = {solution.width for solution in tried}
    yield from (width for width in range(min(widths), max(widths)) if width not in widths and knob.fits(width))
    for start, direction in ((min(widths) - 1, -1), (max(widths) + 1, 1)):
        width, misses = start, 0
        while 1 <= width <= knob.largest and misses <= knob.window:
            if knob.fits(width):
                yield width
                misses = 0 if _encloses(knob, width, target) else misses + 1
            width += direction


def _encloses(knob: Knob, width: int, target: float) -> bool:
    """Whether the least and the greatest fine width that a network of `width` has cost no more and no less."""
    values = fine_widths(knob, width)
    low, high = (
        next((cost for value in order if (cost := knob.cost(width, value)) is not None), None)
        for order in (values, values[::-1])
    )
    return low is not None and high is not None and low <= target <= high


def _closest(solutions: Sequence[Solution], target: float) -> Solution:
    """The least distance; then below the target rather than above, the nominal shape, and the smaller width."""
    return min(solutions, key=lambda s: (abs(s.cost - target), s.cost, s.fine_width is not None, s.width))


def _enclosing(solutions: Sequence[Solution], target: float) -> tuple[Solution, ...]:
    """The closest at or below the target and the closest above it, where there are such."""
    sides = [s for s in solutions if s.cost <= target], [s for s in solutions if s.cost > target]
    return tuple(_closest(side, target) for side in sides if side)


class AnalyticCost:
    """A field of dsbench.network.cost.Counts (params, macs_conv, ...) summed over a frame's layers at some widths.

    What a layer costs is worked out once for each shape and channel count that it occurs with.
    """

    def __init__(self, frame: Frame, name: str) -> None:
        self.frame, self.formula = frame, FORMULAS[name]
        self._costs: dict[tuple[int, Shape, int], tuple[Shape, int]] = {}

    def __call__(self, width: int, fine_width: int | None = None) -> int | None:
        """The cost, or None where no network has these widths (groups that do not divide the channels)."""
        frame, costs = self.frame, self._costs
        shape, total = frame.input_shape, 0
        for number, element in enumerate(frame.elements):
            key = (frame.kinds[number], shape, frame.channels(element, width, fine_width))
            if key not in costs:
                try:
                    layer = frame.layer(number, *key[1:])
                    cost = sum(self.formula(step, 4) for step in walk((layer,), shape))
                    costs[key] = layer.output_shape(shape), cost
                except InputError:
                    return None
            shape, cost = costs[key]
            total += cost
        return total


@lru_cache(maxsize=64)  # a sweep over widths asks one frame again and again
def counted_knob(frame: Frame, name: str, fine: bool = True) -> Knob:
    """The knob that sets cost `name` (a field of Counts) of `frame`; `fine`: whether the fine width may be turned."""
    element, divisor = frame.fine, frame.architecture.divisor
    window = max(4, 2 * divisor, 2 * frame.largest_group)
    nominal = (lambda width: frame.channels(element, width)) if fine and element is not None else None
    return Knob(AnalyticCost(frame, name), nominal, divisor, window, LARGEST_WIDTH if frame.scales else 1)


def in_multiples(knob: Knob, frame: Frame, multiple: int) -> Knob:
    """`knob`, of `frame`, turned only to networks whose slots have channels in multiples of `multiple`.

    Channels that the architecture fixes stay: those of a slot count that the width sets, or the fine width.
    """
    if multiple == 1:
        return knob
    fine = knob.nominal is not None
    convs = {
        (conv.width, conv.channels, conv.fine): conv for conv in frame.elements if isinstance(conv, ConvElement)
    }.values()
    turned = [conv for conv in convs if conv.width is not None or (fine and conv.fine)]

    def fits(width: int) -> bool:
        """Whether all channels are multiples but for those that the fine width sets."""
        return not any(frame.channels(conv, width) % multiple for conv in turned if not (fine and conv.fine))

    def cost(width: int, fine_width: int | None) -> float | None:
        """None where any channels are no multiple."""
        if any(frame.channels(conv, width, fine_width) % multiple for conv in turned):
            return None
        return knob.cost(width, fine_width)

    def shape(width: int) -> tuple[int, int | None]:
        """The nominal fine width, or the multiple next to it where that is none."""
        if knob.nominal is None or cost(width, None) is not None:
            return width, None
        nominal = knob.nominal(width)
        return width, min(fine_widths(inner, width), key=lambda fine: abs(fine - nominal), default=None)

    inner = replace(knob, cost=cost, step=lcm(knob.step, multiple), fits=fits, shape=shape)
    return inner
