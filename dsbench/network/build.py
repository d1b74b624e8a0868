"""From a network description to a torch module."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn

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
from dsbench.seeds import derived

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def build(network: Network, seed: int | None = None) -> nn.Sequential:
    """The module of `network`: images (N, C, H, W) to logits (N, classes), weights in channels_last format.

    With `seed` the weights are drawn on the CPU, whose global random state stays as it was. Those of a layer depend on
    the seed and on its place in the network alone, so families share what they have in common. Without `seed` the
    module is on the meta device: no memory, no random numbers.
    """
    if seed is None:
        with torch.device("meta"):
            return _sequence(network.layers, network.input_shape)
    return drawn(network.layers, network.input_shape, seed, network.init)


def drawn(layers: Sequence[Layer], shape: Shape, seed: int, init: str = "pytorch") -> nn.Sequential:
    """The module of `layers` alone for an input of `shape`, with weights drawn as those of a network are; see build."""
    parts = []
    with torch.random.fork_rng(devices=[]):
        for key, layer in execution_order(layers):
            torch.manual_seed(derived(seed, "weights", *key))
            part = module(layer, shape)
            if init == "glorot":
                part.apply(_glorot)
            parts.append(part)
            shape = layer.output_shape(shape)
    return nn.Sequential(*parts).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def formatted(module: nn.Sequential, memory_format: str) -> nn.Sequential:
    """The module, its weights in `memory_format`, channels_last or contiguous; what it is given has to be in it too."""
    for part in module.modules():
        if isinstance(part, ConvOfOneChannel):
            part.channels_last = memory_format == "channels_last"
    return module.to(memory_format=FORMATS[memory_format])  # type: ignore[call-overload]


def _sequence(layers: Sequence[Layer], shape: Shape) -> nn.Sequential:
    parts = []
    for _, layer in execution_order(layers):
        parts.append(module(layer, shape))
        shape = layer.output_shape(shape)
    return nn.Sequential(*parts)


@singledispatch
def module(layer: Layer, shape: Shape) -> nn.Module:
    """The torch module of one layer for an input of `shape`."""
    raise TypeError(f"no module for {type(layer).__name__}")


@module.register
def _(layer: Conv, shape: Shape) -> nn.Module:
    conv = ConvOfOneChannel if layer.in_channels == layer.kernel == 1 else nn.Conv2d
    return conv(
        layer.in_channels, layer.out_channels, layer.kernel, layer.stride, layer.padding, 1, layer.groups, layer.bias
    )


@module.register
def _(layer: Linear, shape: Shape) -> nn.Module:
    return nn.Linear(layer.in_features, layer.out_features, layer.bias)


@module.register
def _(layer: BatchNorm, shape: Shape) -> nn.Module:
    norm = (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(layer.channels, layer.eps, layer.momentum)
    norm.num_batches_tracked = None  # only read when momentum is None; counting costs an operation a step
    norm.register_load_state_dict_pre_hook(_without_count)
    return norm


def _without_count(norm: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Drop the count that torch adds to a plain dict of weights, and that other modules' weights have."""
    state.pop(f"{prefix}num_batches_tracked", None)


@module.register
def _(layer: Activation, shape: Shape) -> nn.Module:
    return ACTIVATIONS[layer.kind]()


@module.register
def _(layer: Pool, shape: Shape) -> nn.Module:
    return (nn.MaxPool2d if layer.kind == "max" else nn.AvgPool2d)(layer.size, layer.stride)


@module.register
def _(layer: GlobalAvgPool, shape: Shape) -> nn.Module:
    return Mean()


@module.register
def _(layer: Flatten, shape: Shape) -> nn.Module:
    return nn.Flatten()


@module.register
def _(layer: Dropout, shape: Shape) -> nn.Module:
    return (nn.Dropout2d if layer.channelwise else nn.Dropout)(layer.p)


@module.register
def _(layer: Residual, shape: Shape) -> nn.Module:
    return Sum(_sequence(layer.body, shape), _sequence(layer.shortcut, shape))


@module.register
def _(layer: Gate, shape: Shape) -> nn.Module:
    return Scale(_sequence(layer.body, shape))


class ConvOfOneChannel(nn.Conv2d):
    """A 1x1 convolution of one channel, whose input and weights have strides that mean every memory format.

    torch would then compute in NCHW, and so would all layers up to the next convolution with a larger kernel.
    """

    channels_last = True

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) to (B, C, H, W) in channels_last format, unless `formatted` has said else."""
        return super().forward(of_one_channel(x) if self.channels_last else x)


def of_one_channel(x: Tensor) -> Tensor:
    """Images (B, 1, H, W) with strides that mean channels_last: those of (B, H, W, 1)."""
    if torch.compiler.is_compiling():  # compiled and exported code has formats of its own
        return x
    return x.squeeze(1).unsqueeze(3).permute(0, 3, 1, 2)


class Mean(nn.Module):
    """The mean over height and width; unlike adaptive pooling it is deterministic on every device."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C)."""
        return x.mean((2, 3))


class Sum(nn.Module):
    """body(x) + shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Images to images of the same shape."""
        return self.body(x) + self.shortcut(x)


class Scale(nn.Module):
    """x * body(x), where the body gives one factor a channel."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Images to images of the same shape."""
        return x * self.body(x)[:, :, None, None]


def _glorot(part: nn.Module) -> None:
    if isinstance(part, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(part.weight)
        if part.bias is not None:
            nn.init.zeros_(part.bias)
