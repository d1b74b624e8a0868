"""What a training step keeps in memory for its backward pass, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from dsbench.network.containers import Gate, Residual, execution_order
from dsbench.network.description import Network
from dsbench.network.layers import Activation, BatchNorm, Conv, Dropout, Flatten, Layer, Linear, Pool, Shape

_INDEX_BYTES = 8  # of a max-pool: where each maximum was, int64
_OF_OUTPUT = ("relu", "tanh", "sigmoid")  # activations whose gradient needs their output; the others' their input


def saved_bytes(network: Network, size: int) -> int:
    """Bytes of activations, `size` an element, that one image keeps for the backward pass of `network`.

    As torch's formulas have it: convolutions, linear layers, norms and pooling keep their input, some activations
    their output and others their input, max-pooling its indices too, dropout its mask; a tensor that two of them
    need is kept once, and what comes before the first weights is not. This is the peak of the step but for what
    passes: gradients, workspaces, optimiser state.
    """
    kept: dict[int, int] = {}
    _through(network.layers, network.input_shape, 0, kept, size)
    return sum(kept.values())


def _through(layers: Sequence[Layer], shape: Shape, tensor: int, kept: dict[int, int], size: int) -> int:
    """Add what `layers` keep of an input `tensor` of `shape` to `kept`; returns the number of their output tensor.

    Number 0 is the image, and what is made of it without weights, which needs no gradient.
    """
    for _, layer in execution_order(layers):
        out_shape = layer.output_shape(shape)
        here, there = prod(shape), prod(out_shape)
        if isinstance(layer, Residual):
            for branch in layer.branches:
                _through(branch, shape, tensor, kept, size)
            tensor = _new(kept)
        elif isinstance(layer, Gate):
            factor = _through(layer.body, shape, tensor, kept, size)
            kept[tensor], kept[factor] = size * here, size * shape[0]
            tensor = _new(kept)
        elif (tensor or layer.params) and not _is_view(layer, shape):
            output = _new(kept)
            if isinstance(layer, (Conv, Linear, BatchNorm, Pool)):
                kept[tensor] = size * here
            if isinstance(layer, Pool) and layer.kind == "max":
                kept[_new(kept)] = _INDEX_BYTES * there
            if isinstance(layer, Activation):
                of_output = layer.kind in _OF_OUTPUT
                kept[output if of_output else tensor] = size * (there if of_output else here)
            if isinstance(layer, Dropout):
                kept[_new(kept)] = size * (shape[0] if layer.channelwise else here)
            tensor = output
        shape = out_shape
    return tensor


def _is_view(layer: Layer, shape: Shape) -> bool:
    """Whether the output of `layer` lies where its input does: dropout of nothing, flattening without reordering."""
    if isinstance(layer, Flatten):
        return 1 in (shape[0], prod(shape[1:]))
    return isinstance(layer, Dropout) and layer.p == 0


def _new(kept: dict[int, int]) -> int:
    """A number for a new tensor, of which nothing is kept so far."""
    number = len(kept) + 1
    kept[number] = 0
    return number
