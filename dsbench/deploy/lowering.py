"""From a network and its trained module to operators of TFLite, whose images are (N, H, W, C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod
from math import prod
from typing import Any

import numpy as np
from torch import Tensor, nn

from dsbench.errors import InputError
from dsbench.network.description import Gate, Network, Residual, execution_order
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

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
FUSED = {"relu": "RELU", "relu6": "RELU6"}  # activations that other operators can end in
_ENDS_IN_ACTIVATION = (*WEIGHTED, "ADD", "MUL", "AVERAGE_POOL_2D")
_ACTIVATIONS = {
    **FUSED,
    "leaky_relu": "LEAKY_RELU",
    "gelu": "GELU",
    "hardswish": "HARD_SWISH",
    "tanh": "TANH",
    "sigmoid": "LOGISTIC",
}


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator, by its name in TFLite's schema, on earlier activations; it gives one more.

    Activations are numbered: 0 is the image, n is what operator n (from 1) gives. `shape` is that of what it gives for
    one image, (height, width, channels) or (features,). `weights` are laid out as in the file, the channels that they
    give along `axis`; `bias` is (channels,). `constant` is the int32 operand of those that have one: a shape, axes,
    paddings. `options` are the fields of the operator's options in the schema, by name.
    """

    name: str
    inputs: tuple[int, ...]
    shape: Shape
    options: dict[str, Any] = field(default_factory=dict)
    fused: str = "NONE"
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None
    constant: np.ndarray | None = None

    @property
    def axis(self) -> int:
        """The axis of `weights` that has a place a channel of the output."""
        return 3 if self.name == "DEPTHWISE_CONV_2D" else 0


def lower(network: Network, module: nn.Sequential) -> list[Operator]:
    """The operators that compute what `module`, that of `network`, computes in evaluation mode; the last gives logits.

    Dropout is left out, batch norms are folded into the weights before them, and ReLUs are fused where an operator can
    end in one. A norm with nothing before it that it folds into is a depthwise 1x1 convolution.
    """
    lowering = _Lowering(network.input_shape)
    lowering.sequence(network.layers, module, 0)
    return lowering.operators


class _Lowering:
    """The operators so far. Its methods take the number of the activation that a layer reads, and return its output's.

    Only operators from `foldable` on may still change: the output of those before is read by more than one.
    """

    def __init__(self, image: Shape) -> None:
        self.image = _as_stored(image)
        self.operators: list[Operator] = []
        self.foldable = 0
        self.order: np.ndarray | None = None  # of features: which of torch's each is, where they differ

    def sequence(self, layers: Sequence[Layer], module: nn.Module, x: int) -> int:
        """Layers that follow each other, with the parts of their module."""
        parts = [(layer, part) for (_, layer), part in zip(execution_order(layers), module.children(), strict=True)]
        for i in reversed(range(len(parts) - 1)):
            pool, after = parts[i][0], parts[i + 1][0]
            # They commute, and only what computes can end in the activation; pooled first, int8 would spend half of
            # its range on values that the activation drops.
            if isinstance(pool, Pool) and pool.kind == "max" and isinstance(after, Activation) and after.kind in FUSED:
                parts[i], parts[i + 1] = parts[i + 1], parts[i]
        for i, (layer, part) in enumerate(parts):
            if isinstance(layer, Flatten):
                x = self.flatten(x, [layer for layer, _ in parts[i + 1 :]])
            else:
                x = self.layer(layer, part, x)
        return x

    def shape(self, x: int) -> Shape:
        """The shape of an activation."""
        return self.operators[x - 1].shape if x else self.image

    def add(self, name: str, inputs: tuple[int, ...], shape: Shape, **rest: Any) -> int:
        """Append an operator."""
        self.operators.append(Operator(name, inputs, shape, **rest))
        return len(self.operators)

    def last(self, x: int, among: tuple[str, ...]) -> Operator | None:
        """The operator that gives `x`, where it is one of `among`, can still change, and ends in no activation."""
        operator = self.operators[x - 1] if x > self.foldable else None
        return operator if operator and operator.name in among and operator.fused == "NONE" else None

    def reshape(self, x: int, *shape: int) -> int:
        """Each image's values in another shape."""
        constant = np.array((-1, *shape), np.int32)
        return self.add("RESHAPE", (x,), shape, constant=constant, options={"newShape": constant.tolist()})

    def flatten(self, x: int, after: Sequence[Layer]) -> int:
        """Channels last, and the weights of the dense layer that follows are put in order; where none does, first."""
        shape = self.shape(x)
        if len(shape) == 1:
            return x
        height, width, channels = shape
        if height * width > 1 and channels > 1:
            leaves = (layer for layer in after if not isinstance(layer, (BatchNorm, Activation, Dropout)))
            if isinstance(next(leaves, None), Linear):
                self.order = np.arange(prod(shape)).reshape(channels, height, width).transpose(1, 2, 0).ravel()
            else:
                first = np.array((0, 3, 1, 2), np.int32)
                x = self.add("TRANSPOSE", (x,), (channels, height, width), constant=first)
        return self.reshape(x, prod(shape))

    @singledispatchmethod
    def layer(self, layer: Layer, part: Any, x: int) -> int:
        """One layer and its module."""
        raise InputError(f"TFLite has no operator for {layer.label}")

    @layer.register
    def _(self, layer: Conv, part: Any, x: int) -> int:
        height, width, _ = self.shape(x)
        _, *sides = layer.output_shape((layer.in_channels, height, width))
        padding = "VALID"
        if layer.padding:
            same = all(_is_same(layer, *lengths) for lengths in zip((height, width), sides, strict=True))
            padding = "SAME" if same else padding
            x = x if same else self.pad(x, layer.padding)
        depthwise = layer.groups == layer.in_channels > 1
        weights = _array(part.weight).transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
        options = {"padding": padding, "strideH": layer.stride, "strideW": layer.stride}
        if depthwise:
            options["depthMultiplier"] = layer.out_channels // layer.in_channels
        return self.add(
            "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
            (x,),
            (*sides, layer.out_channels),
            options=options,
            weights=weights,
            bias=_bias(part),
        )

    def pad(self, x: int, margin: int) -> int:
        """Zeros on every side."""
        height, width, channels = self.shape(x)
        paddings = np.array(((0, 0), (margin, margin), (margin, margin), (0, 0)), np.int32)
        return self.add("PAD", (x,), (height + 2 * margin, width + 2 * margin, channels), constant=paddings)

    @layer.register
    def _(self, layer: Linear, part: Any, x: int) -> int:
        weights = _array(part.weight)
        if self.order is not None:
            weights, self.order = weights[:, self.order], None
        return self.add("FULLY_CONNECTED", (x,), (layer.out_features,), weights=weights, bias=_bias(part))

    @layer.register
    def _(self, layer: BatchNorm, part: Any, x: int) -> int:
        scale = _array(part.weight) / np.sqrt(_array(part.running_var) + part.eps)
        shift = _array(part.bias) - _array(part.running_mean) * scale
        if self.order is not None:
            scale, shift = scale[self.order], shift[self.order]
        before = self.last(x, WEIGHTED)
        if before is not None:
            assert before.weights is not None
            assert before.bias is not None
            along = [-1 if axis == before.axis else 1 for axis in range(before.weights.ndim)]
            weights, bias = before.weights * scale.reshape(along), before.bias * scale + shift
            self.operators[x - 1] = replace(before, weights=weights, bias=bias)
            return x
        shape = self.shape(x)
        image = x if len(shape) == 3 else self.reshape(x, 1, 1, *shape)
        y = self.add(
            "DEPTHWISE_CONV_2D",
            (image,),
            self.shape(image),
            options={"padding": "VALID", "strideH": 1, "strideW": 1, "depthMultiplier": 1},
            weights=scale.reshape(1, 1, 1, -1),
            bias=shift,
        )
        return y if len(shape) == 3 else self.reshape(y, *shape)

    @layer.register
    def _(self, layer: Activation, part: Any, x: int) -> int:
        before = self.last(x, _ENDS_IN_ACTIVATION)
        if before is not None and layer.kind in FUSED:
            self.operators[x - 1] = replace(before, fused=FUSED[layer.kind])
            return x
        shape = self.shape(x)
        if layer.kind == "silu":
            return self.add("MUL", (x, self.add("LOGISTIC", (x,), shape)), shape)
        if layer.kind not in _ACTIVATIONS:
            raise InputError(f"TFLite has no operator for {layer.label}")
        options = {"alpha": part.negative_slope} if layer.kind == "leaky_relu" else {}
        return self.add(_ACTIVATIONS[layer.kind], (x,), shape, options=options)

    @layer.register
    def _(self, layer: Pool, part: Any, x: int) -> int:
        height, width, channels = self.shape(x)
        _, *sides = layer.output_shape((channels, height, width))
        size, stride = layer.size, layer.stride
        options = {"padding": "VALID", "strideH": stride, "strideW": stride, "filterHeight": size, "filterWidth": size}
        name = "MAX_POOL_2D" if layer.kind == "max" else "AVERAGE_POOL_2D"
        return self.add(name, (x,), (*sides, channels), options=options)

    @layer.register
    def _(self, layer: GlobalAvgPool, part: Any, x: int) -> int:
        return self.add("MEAN", (x,), self.shape(x)[2:], constant=np.array((1, 2), np.int32))

    @layer.register
    def _(self, layer: Dropout, part: Any, x: int) -> int:
        return x

    @layer.register
    def _(self, layer: Residual, part: Any, x: int) -> int:
        self.foldable = len(self.operators)
        body = self.sequence(layer.body, part.body, x)
        shortcut = self.sequence(layer.shortcut, part.shortcut, x)
        return self.add("ADD", (body, shortcut), self.shape(body))

    @layer.register
    def _(self, layer: Gate, part: Any, x: int) -> int:
        self.foldable = len(self.operators)
        factors = self.sequence(layer.body, part.body, x)
        channels = self.shape(x)[-1]
        # (N, C) would be broadcast along the width.
        return self.add("MUL", (x, self.reshape(factors, 1, 1, channels)), self.shape(x))


def _as_stored(shape: Shape) -> Shape:
    return (*shape[1:], shape[0])


def _array(weights: Tensor) -> np.ndarray:
    """In double precision, so that folding rounds once."""
    return weights.detach().cpu().double().numpy()


def _bias(part: Any) -> np.ndarray:
    """Zeros where there is none: every runtime takes a bias, and most norms fold into one."""
    return np.zeros(len(part.weight)) if part.bias is None else _array(part.bias)


def _is_same(layer: Conv, length: int, out: int) -> bool:
    """Whether TFLite's SAME pads one side of `length` as the layer does: as many before it, and for as long an output.

    SAME pads as little as gives ceil(length / stride) outputs, the odd one at the end.
    """
    total = max(0, (out - 1) * layer.stride + layer.kernel - length)
    return out == -(-length // layer.stride) and total // 2 == layer.padding
