"""From a network description to a torch module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import singledispatch

import torch
from torch import Tensor, nn

from dsbench.network import layers as L
from dsbench.network.description import Network

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


def build(network: Network, seed: int | None = None) -> nn.Sequential:
    """The module of `network`: images (N, C, H, W) to logits (N, classes), weights in channels_last format.

    With `seed` the weights are drawn on the CPU from that seed alone, without touching the global random state, so
    they are the same on every device. Without, the module is on the meta device: no memory, no random numbers.
    """
    if seed is None:
        with torch.device("meta"):
            return _sequence(network.layers, network.input_shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _sequence(network.layers, network.input_shape)
        if network.init == "glorot":
            net.apply(_glorot)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _sequence(layers: Sequence[L.Layer], shape: L.Shape) -> nn.Sequential:
    parts = []
    for layer in _pool_first(list(_dissolve(layers))):
        parts.append(module(layer, shape))
        shape = layer.output_shape(shape)
    return nn.Sequential(*parts)


def _dissolve(layers: Sequence[L.Layer]) -> Iterator[L.Layer]:
    """The same computation without slots around its parts."""
    for layer in layers:
        if isinstance(layer, L.Slot):
            yield from _dissolve(layer.body)
        else:
            yield layer


def _pool_first(layers: list[L.Layer]) -> list[L.Layer]:
    """ReLU and max-pooling swapped where the one follows the other: exactly equal, with less for ReLU to do."""
    for i in range(1, len(layers)):
        first, second = layers[i - 1 : i + 1]
        if first == L.Activation("relu") and isinstance(second, L.Pool) and second.kind == "max":
            layers[i - 1 : i + 1] = [second, first]
    return layers


@singledispatch
def module(layer: L.Layer, shape: L.Shape) -> nn.Module:
    """The torch module of one layer for an input of `shape`."""
    raise TypeError(f"no module for {type(layer).__name__}")


@module.register
def _(layer: L.Conv, shape: L.Shape) -> nn.Module:
    return nn.Conv2d(
        layer.in_channels, layer.out_channels, layer.kernel, layer.stride, layer.padding, 1, layer.groups, layer.bias
    )


@module.register
def _(layer: L.Linear, shape: L.Shape) -> nn.Module:
    return nn.Linear(layer.in_features, layer.out_features, layer.bias)


@module.register
def _(layer: L.BatchNorm, shape: L.Shape) -> nn.Module:
    norm = (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(layer.channels, layer.eps, layer.momentum)
    norm.num_batches_tracked = None  # only read when momentum is None; counting costs an operation a step
    return norm


@module.register
def _(layer: L.Activation, shape: L.Shape) -> nn.Module:
    kind = ACTIVATIONS[layer.kind]
    return kind(inplace=True) if kind in (nn.ReLU, nn.ReLU6) else kind()


@module.register
def _(layer: L.Pool, shape: L.Shape) -> nn.Module:
    return (nn.MaxPool2d if layer.kind == "max" else nn.AvgPool2d)(layer.size, layer.stride)


@module.register
def _(layer: L.GlobalAvgPool, shape: L.Shape) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


@module.register
def _(layer: L.Flatten, shape: L.Shape) -> nn.Module:
    return nn.Flatten()


@module.register
def _(layer: L.Dropout, shape: L.Shape) -> nn.Module:
    return (nn.Dropout2d if layer.channelwise else nn.Dropout)(layer.p)


@module.register
def _(layer: L.Residual, shape: L.Shape) -> nn.Module:
    return Sum(_sequence(layer.body, shape), _sequence(layer.shortcut, shape))


@module.register
def _(layer: L.Gate, shape: L.Shape) -> nn.Module:
    return Scale(_sequence(layer.body, shape))


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
