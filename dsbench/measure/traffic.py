"""The work of a training step: its operations in order of execution, and the FLOP and bytes that each needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from math import prod

from dsbench.config.schema import AdamConfig, OptimizerConfig, RmspropConfig, SgdConfig
from dsbench.network.cost import DTYPE_BYTES
from dsbench.network.description import Gate, Network, Residual, Slot, execution_order
from dsbench.network.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    Linear,
    Pool,
    Shape,
)

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
    "optimizer",
)
FULL = 4  # bytes of a float32: of weights, their gradients and the image, whatever the precision
_INDEX = 8  # bytes of the place of a maximum, int64


@dataclass(frozen=True)
class Signal:
    """A tensor between layers: the shape for one image, bytes an element, and whether a gradient flows back to it."""

    shape: Shape
    size: int
    grad: bool


@dataclass(frozen=True)
class Operation:
    """One layer at work between two signals; of a Residual the addition alone, of a Gate the product.

    `joins` says that its input feeds another path too, whose gradient of the input has to be added to its own.
    """

    layer: Layer
    slot: int | None
    before: Signal
    after: Signal
    joins: bool = False

    @property
    def kind(self) -> str:
        """Which of KINDS; a convolution of single pixels over all channels is pointwise, whatever its role."""
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
    return operations_after(Signal(network.input_shape, FULL, False), network.layers, precision)


def operations_after(signal: Signal, layers: Sequence[Layer], precision: str) -> tuple[Operation, ...]:
    """Every operation of `layers` on a `signal`; see `operations`."""
    out: list[Operation] = []
    _through(layers, signal, None, DTYPE_BYTES[precision], out)
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


@dataclass(frozen=True)
class Work:
    """Floating-point operations, and bytes read and written."""

    flops: int = 0
    bytes: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)


Passes = tuple[Work, Work]  # forward, backward


@dataclass(frozen=True)
class _Sizes:
    """A batch of one operation in elements (x, y) and in bytes an element (s of the input, t of the output)."""

    x: int
    y: int
    s: int
    t: int
    batch: int
    channels: int
    macs: int
    grad: bool  # whether the input gets a gradient


def work(operation: Operation, batch: int) -> Passes:
    """The work of the forward and of the backward pass of `operation` for `batch` images."""
    before, after = operation.before, operation.after
    x, y = batch * prod(before.shape), batch * prod(after.shape)
    sizes = _Sizes(x, y, before.size, after.size, batch, before.shape[0], batch * operation.macs, before.grad)
    forward, backward = _passes(operation.layer, sizes)
    if not after.grad:
        backward = Work()
    return forward, backward + Work(x, 3 * before.size * x) if operation.joins else backward


def loss_work(classes: int, batch: int, size: int) -> Passes:
    """Both passes of the cross-entropy of `batch` rows of `classes` logits, of `size` bytes each."""
    logits = classes * batch
    cast = 0 if size == FULL else (size + FULL) * logits
    return Work(4 * logits, 2 * FULL * logits + cast), Work(4 * logits, 4 * FULL * logits + cast)


def optimizer_work(config: OptimizerConfig, params: int, clips: bool = False) -> Work:
    """One update of `params` float32 parameters, every tensor of state read and written once.

    Reads weight and gradient, writes the weight; each tensor of state is read and written (SGD's momentum 1, Adam 2,
    RMSprop 1 and its momentum 1). FLOP a parameter: SGD 2, with momentum 4, with Nesterov's 6; Adam 13; RMSprop 9,
    with momentum 11; 2 more for weight decay. Clipping reads the gradient for its norm, then reads and writes it:
    3 FLOP.
    """
    if isinstance(config, AdamConfig):
        state, flops = 2, 13
    elif isinstance(config, RmspropConfig):
        state, flops = (2, 11) if config.momentum else (1, 9)
    else:
        assert isinstance(config, SgdConfig)
        state, flops = (1, 6 if config.nesterov else 4) if config.momentum else (0, 2)
    flops += (2 if config.weight_decay else 0) + (3 if clips else 0)
    return Work(flops * params, FULL * params * (3 + 2 * state + (3 if clips else 0)))


@singledispatch
def _passes(layer: Layer, n: _Sizes) -> Passes:
    raise TypeError(f"no formula for {type(layer).__name__}")


@_passes.register
def _(layer: Conv | Linear, n: _Sizes) -> Passes:
    p, t, x, y = layer.params, n.t, n.x, n.y
    forward, backward = t * (x + p + y), t * (y + x + p)
    if t != FULL:  # weights are cast, and their gradients cast back
        forward, backward = forward + (FULL + t) * p, backward + (t + FULL) * p
    if n.s != t:
        forward += (n.s + t) * x
    if n.grad:
        backward += t * (p + x) + ((t + n.s) * x if n.s != t else 0)
    return Work(2 * n.macs, forward), Work((4 if n.grad else 2) * n.macs, backward)


@_passes.register
def _(layer: BatchNorm, n: _Sizes) -> Passes:
    forward = n.s * 2 * n.x + n.t * n.y + FULL * (layer.params + 2 * layer.buffers)
    backward = n.s * 2 * n.x + FULL * 2 * layer.params
    if n.grad:
        return Work(5 * n.x, forward), Work(9 * n.x, backward + n.s * 3 * n.x)
    return Work(5 * n.x, forward), Work(4 * n.x, backward)


@_passes.register
def _(layer: Activation, n: _Sizes) -> Passes:
    return Work(n.y, n.s * n.x + n.t * n.y), Work(n.y, 3 * n.t * n.y)


@_passes.register
def _(layer: Pool, n: _Sizes) -> Passes:
    indices = _INDEX * n.y if layer.kind == "max" else 0
    moved = n.s * n.x + n.t * n.y + indices
    return Work(layer.size**2 * n.y, moved), Work(n.y, moved)


@_passes.register
def _(layer: GlobalAvgPool, n: _Sizes) -> Passes:
    moved = n.s * n.x + n.t * n.y
    return Work(n.x, moved), Work(n.y, moved)


@_passes.register
def _(layer: Dropout, n: _Sizes) -> Passes:
    if not layer.p:
        return Work(), Work()
    mask = n.batch * n.channels if layer.channelwise else n.x
    moved = n.s * (n.x + mask) + n.t * n.y
    return Work(mask + n.x, moved), Work(n.x, moved)


@_passes.register
def _(layer: Flatten, n: _Sizes) -> Passes:
    copies = n.channels > 1 and n.x > n.batch * n.channels
    return Work(0, n.s * n.x + n.t * n.y if copies else 0), Work()


@_passes.register
def _(layer: Residual, n: _Sizes) -> Passes:
    return Work(n.y, n.s * 2 * n.x + n.t * n.y), Work()


@_passes.register
def _(layer: Gate, n: _Sizes) -> Passes:
    factors = n.t * n.batch * n.channels
    return Work(n.y, n.s * n.x + n.t * n.y + factors), Work(3 * n.y, n.t * n.y + 2 * (n.s * n.x + factors))
