"""What a network costs, by arithmetic on its description: nothing is built, nothing allocated."""

from __future__ import annotations

from dataclasses import dataclass

from dsbench.network.description import Network
from dsbench.network.layers import Shape


@dataclass(frozen=True)
class LayerCost:
    """The cost of one layer for one image; `slot` is the slot it belongs to (from 1), or None."""

    label: str
    slot: int | None
    output_shape: Shape
    params: int
    buffers: int
    macs: int


@dataclass(frozen=True)
class Cost:
    """The cost of a network, a layer at a time in order of computation."""

    layers: tuple[LayerCost, ...]

    @property
    def params(self) -> int:
        """Trainable parameters."""
        return sum(layer.params for layer in self.layers)

    @property
    def buffers(self) -> int:
        """Running statistics of the norms; step counters are not counted."""
        return sum(layer.buffers for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations, two a MAC."""
        return 2 * self.macs


def cost(network: Network) -> Cost:
    """The cost of `network`, formulas as each layer states them (see dsbench.network.layers)."""
    return Cost(
        tuple(
            LayerCost(
                step.layer.label,
                step.slot.index if step.slot else None,
                step.out_shape,
                step.layer.params,
                step.layer.buffers,
                step.layer.macs(step.in_shape),
            )
            for step in network.steps
        )
    )
