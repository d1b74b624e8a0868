"""The columns of a network's picture: for each layer what is said of it and how much room that takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dsbench.network.containers import Residual, Slot, Step, walk
from dsbench.network.layers import Conv, Layer, Linear, Shape

# Pixels.
BROAD, SLIM, LINE = 122, 26, 15  # a column with horizontal text, at least; one with a line downwards; a line's height


@dataclass(frozen=True)
class Column:
    """One layer of the picture and the shapes before and after it; no layer stands for the input."""

    layer: Layer | None
    before: Shape
    after: Shape

    @property
    def steps(self) -> list[Step]:
        """The leaves of the layer."""
        return list(walk([self.layer], self.before)) if self.layer else []

    @property
    def params(self) -> int:
        """Trainable parameters."""
        return sum(step.layer.params for step in self.steps)

    @property
    def lines(self) -> list[str]:
        """The text below the box: horizontal, the first line bold, where the column is broad; else downwards."""
        costs = [f"{self.params:,} params", f"{sum(s.layer.macs(s.in_shape) for s in self.steps):,} MACs"]
        if self.layer is None:
            return ["input", _times(self.after)]
        if isinstance(self.layer, Slot):
            channels, kernel = _reach(self.layer)
            size = f"{kernel}, {_times(self.after[1:])}"
            return [f"slot {self.layer.index}", self.layer.kind, channels, size, *costs]
        if isinstance(self.layer, Linear):
            return ["linear", f"{self.layer.in_features:,} → {self.layer.out_features:,}", *costs]
        return [self.layer.label, *costs[: self.params > 0]]

    @property
    def broad(self) -> bool:
        """Whether there is room for horizontal text."""
        return self.layer is None or isinstance(self.layer, (Slot, Linear))

    @property
    def text_height(self) -> int:
        """Pixels that the text takes below the box."""
        return LINE * len(self.lines) if self.broad else 6 * max(map(len, self.lines))

    @property
    def breadth(self) -> int:
        """Pixels."""
        if not self.broad:
            return SLIM + 12 * (len(self.lines) - 1)
        return max(BROAD, 10 + round(6.4 * max(map(len, self.lines))))


def convs(layers: Sequence[Layer]) -> Iterator[Conv]:
    """The convolutions on the main path, in order."""
    for layer in layers:
        if isinstance(layer, Conv):
            yield layer
        elif isinstance(layer, Residual):
            yield from convs(layer.body)


def inside(layers: Sequence[Layer]) -> Iterator[Layer]:
    """All layers, containers and what they hold."""
    for layer in layers:
        yield layer
        for branch in layer.branches:
            yield from inside(branch)


def _reach(slot: Slot) -> tuple[str, str]:
    """The channels along the main path (16 → 96 → 32); kernel and stride (kernel 3/2)."""
    path = list(convs(slot.body))
    channels = [path[0].in_channels] + [conv.out_channels for conv in path if conv.out_channels != conv.in_channels]
    if len(channels) == 1:
        channels *= 2
    kernel, stride = max(conv.kernel for conv in path), max(conv.stride for conv in path)
    return " → ".join(map(str, channels)), f"kernel {kernel}{f'/{stride}' if stride > 1 else ''}"


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape))
