"""What a training step computes, in order of execution: a network's layers and what its containers do themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dsbench.network.containers import Gate, Residual, Slot, execution_order
from dsbench.network.cost import DTYPE_BYTES
from dsbench.network.description import Network
from dsbench.network.layers import Activation, BatchNorm, Conv, Dropout, Flatten, Layer, Linear, Shape

KINDS = (
    "dense conv",
    "grouped conv",
    "depthwise",
    "pointwise",
    "linear",
    "norm",
    "activation",
    "pool",
    "dropout",
    "sum",
    "gate",
    "flatten",
    "loss",
    "optimiser",
)
FULL = 4  # bytes of a float32: of weights, their gradients and the image, whatever the precision


@dataclass(frozen=True)
class Signal:
    """A tensor between layers: the shape for one image, bytes an element, and whether a gradient flows back to it."""

    shape: Shape
    size: int
    grad: bool


@dataclass(frozen=True)
class Operation:
    """One layer at work between two signals; of a Residual the addition alone, of a Gate the product.

    `joins` says that the gradient of its input is added to that of another path from there, as the last to come.
    """

    layer: Layer
    slot: int | None
    before: Signal
    after: Signal
    joins: bool = False

    @property
    def kind(self) -> str:
        """One of KINDS; a convolution of single pixels over all channels is pointwise, whatever its role."""
        layer = self.layer
        if isinstance(layer, Conv):
            if layer.role == "depthwise" or 1 < layer.groups == layer.in_channels:
                return "depthwise"
            dense = "pointwise" if layer.kernel == 1 else "dense conv"
            return dense if layer.groups == 1 else "grouped conv"
        plain = {Linear: "linear", BatchNorm: "norm", Activation: "activation", Dropout: "dropout", Flatten: "flatten"}
        return {**plain, Residual: "sum", Gate: "gate"}.get(type(layer), "pool")

    @property
    def label(self) -> str:
        """What a table calls it."""
        return {Residual: "residual sum", Gate: "gate product"}.get(type(self.layer), self.layer.label)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward pass for one image."""
        return self.layer.macs(self.before.shape)


def operations(network: Network, precision: str = "32") -> tuple[Operation, ...]:
    """Every operation of `network`'s forward pass in order of execution; the backward pass goes the other way.

    Under autocast (`precision` bf16 or 16) convolutions and linear layers leave activations of 2 bytes, and what
    follows keeps the size it is given. A gradient flows to a signal once a layer before it has parameters.
    """
    out: list[Operation] = []
    _through(network.layers, Signal(network.input_shape, FULL, False), None, DTYPE_BYTES[precision], out)
    return tuple(out)


def _through(layers: Sequence[Layer], signal: Signal, slot: int | None, size: int, out: list[Operation]) -> Signal:
    """Add what `layers` do with `signal` to `out`; returns the signal after them. `size` is that of a product."""
    for (place, _), layer in execution_order(layers):
        outer = layers[place]
        index = outer.index if isinstance(outer, Slot) else slot
        first = len(out)
        ends = [_through(branch, signal, index, size, out) for branch in layer.branches]
        if isinstance(layer, Residual):
            before = after = Signal(ends[0].shape, max(end.size for end in ends), any(end.grad for end in ends))
        elif isinstance(layer, Gate):
            before, after = signal, Signal(signal.shape, max(signal.size, ends[0].size), signal.grad or ends[0].grad)
        else:
            width = size if isinstance(layer, (Conv, Linear)) else signal.size
            before = signal
            after = Signal(layer.output_shape(signal.shape), width, signal.grad or layer.params > 0)
        if layer.branches and signal.grad:
            out[first] = replace(out[first], joins=True)
        out.append(Operation(layer, index, before, after))
        signal = after
    return signal
