"""Operations and bytes of a training step, by formula: the least that each layer's two passes must do and move.

In elements of a whole batch: x input, y output, p parameters, g the gradient of the output (as many as y). Every tensor
is read and written once, but where a layer must see it twice. Forward, then backward:

- convolution, linear: 2 FLOP a MAC; reads x and p, writes y. Backward two products of as many MACs: the gradient of
  the weights (reads g and x, writes p) and that of the input (reads p and g, writes x); g is read once for both.
- batch norm: 5 FLOP an element; reads x twice (statistics come before normalising), writes y, reads p. Backward 4 for
  the two sums, which read g and x, and 5 for the gradient of the input, which reads both again and writes x.
- activation: 1 FLOP; reads x, writes y. Backward 1; reads g and what it kept (x or y), writes x.
- max-pool: a FLOP for each element of each window; reads x, writes y and 8 bytes an index. Backward a FLOP an output;
  reads g and the indices, writes x. Average pooling alike, without indices.
- dropout: 2 FLOP (draw, multiply); reads x, writes y and the mask. Backward 1; reads g and the mask, writes x.
- flatten: of an image with several channels and pixels, in channels_last format, a copy: reads x, writes y. Backward
  nothing.
- residual sum: 1 FLOP; reads both terms, writes y. Backward nothing: both terms have the gradient of the sum.
- gate: 1 FLOP; reads x and a factor a channel, writes y. Backward 3; reads g, x and the factors, writes both gradients.
- where two paths began, their gradients are added: 1 FLOP; reads two, writes one. This falls to the layer whose
  gradient comes last, the first of a container's body.
- loss (cross-entropy in 4 bytes an element): 4 FLOP a logit each way; reads logits, writes log-probabilities. Backward
  writes their gradient, reads it and them, writes the gradient of the logits.
- optimiser: see `optimizer_work`.

A layer whose input needs no gradient (the image's) has no part of the backward pass that makes one. Under autocast,
weights (4 bytes) are read and written as 2 bytes before use, their gradients read as 2 bytes and written as 4; so are
an input of 4 bytes, and the logits before the loss. Norms keep their parameters in 4 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from math import prod

from dsbench.config.schema import AdamConfig, OptimizerConfig, RmspropConfig, SgdConfig
from dsbench.network.containers import Gate, Residual
from dsbench.network.layers import Activation, BatchNorm, Conv, Dropout, Flatten, GlobalAvgPool, Layer, Linear, Pool
from dsbench.roofline.operations import FULL, Operation

_INDEX = 8  # bytes of the place of a maximum, int64


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
    there, back = _passes(operation.layer, sizes)
    if not after.grad:
        back = Work()
    return there, back + Work(x, 3 * before.size * x) if operation.joins else back


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
    there, back = t * (x + p + y), t * (y + x + p)
    if t != FULL:  # weights are cast, and cast back are their gradients
        there, back = there + (FULL + t) * p, back + (t + FULL) * p
    if n.s != t:
        there += (n.s + t) * x
    if n.grad:
        back += t * (p + x) + ((t + n.s) * x if n.s != t else 0)
    return Work(2 * n.macs, there), Work((4 if n.grad else 2) * n.macs, back)


@_passes.register
def _(layer: BatchNorm, n: _Sizes) -> Passes:
    there = n.s * 2 * n.x + n.t * n.y + FULL * (layer.params + 2 * layer.buffers)
    back = n.s * 2 * n.x + FULL * 2 * layer.params
    if n.grad:
        return Work(5 * n.x, there), Work(9 * n.x, back + n.s * 3 * n.x)
    return Work(5 * n.x, there), Work(4 * n.x, back)


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
