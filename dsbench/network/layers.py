"""The layers a network description is made of, each beside its own shape and cost formulas.

A shape is that of one image: (channels, height, width), or (features,) once flattened. `macs` counts
multiply-accumulates of convolutions and linear layers only; everything else costs none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from dsbench.errors import InputError, choose

Shape = tuple[int, ...]

ACTIVATIONS = ("relu", "relu6", "leaky_relu", "gelu", "silu", "hardswish", "tanh", "sigmoid")


def require_image(shape: Shape, layer: str) -> None:
    """Raise InputError where `shape`, which arrives at `layer`, is not that of an image."""
    if len(shape) != 3:
        raise InputError(f"{layer} cannot follow an output of shape {shape}")


@dataclass(frozen=True)
class Layer:
    """One operation: a leaf computes, a container (see dsbench.network.description) holds other layers."""

    @property
    def branches(self) -> tuple[tuple[Layer, ...], ...]:
        """The layers a container holds, one tuple for each path that its input takes."""
        return ()

    @property
    def params(self) -> int:
        """Trainable parameters of a leaf."""
        return 0

    @property
    def buffers(self) -> int:
        """Elements that training updates without a gradient (running statistics) of a leaf."""
        return 0

    @property
    def label(self) -> str:
        """What a table or a picture calls this layer."""
        return type(self).__name__.lower()

    def output_shape(self, shape: Shape) -> Shape:
        """The shape that an input of `shape` leaves with; InputError where the layer cannot take it."""
        return shape

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates for one image of input `shape`."""
        return 0


@dataclass(frozen=True)
class Conv(Layer):
    """A 2-d convolution, `padding` elements on every side.

    params = (in / groups) * kernel^2 * out + out [bias];
    macs = (in / groups) * kernel^2 * out * H_out * W_out  (Howard et al. 2017, section 3.1, for each grouping).
    """

    in_channels: int
    out_channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = False
    role: str = field(default="conv", compare=False)

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise InputError(f"kernel {self.kernel} is not an odd positive number")
        if self.stride < 1:
            raise InputError(f"stride {self.stride} is not a positive number")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise InputError(
                f"{self.groups} groups do not divide the {self.in_channels} input and {self.out_channels} "
                f"output channels of a {self.role} convolution"
            )

    @property
    def params(self) -> int:
        return self.in_channels // self.groups * self.kernel**2 * self.out_channels + self.bias * self.out_channels

    @property
    def label(self) -> str:
        stride = f"/{self.stride}" if self.stride > 1 else ""
        return f"{self.role} {self.kernel}x{self.kernel}{stride}"

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3 or shape[0] != self.in_channels:
            raise InputError(f"a convolution of {self.in_channels} channels cannot follow an output of shape {shape}")
        _, height, width = shape
        if self.kernel > min(height, width) + 2 * self.padding:
            raise InputError(f"kernel {self.kernel} is larger than its {height}x{width} input")
        return (self.out_channels, self._length(height), self._length(width))

    def macs(self, shape: Shape) -> int:
        _, height, width = self.output_shape(shape)
        return self.in_channels // self.groups * self.kernel**2 * self.out_channels * height * width

    def _length(self, length: int) -> int:
        return (length + 2 * self.padding - self.kernel) // self.stride + 1


@dataclass(frozen=True)
class Linear(Layer):
    """A dense layer: params = in * out + out [bias]; macs = in * out."""

    in_features: int
    out_features: int
    bias: bool = True

    @property
    def params(self) -> int:
        return self.in_features * self.out_features + self.bias * self.out_features

    def output_shape(self, shape: Shape) -> Shape:
        if shape != (self.in_features,):
            raise InputError(f"a linear layer of {self.in_features} features cannot follow an output of shape {shape}")
        return (self.out_features,)

    def macs(self, shape: Shape) -> int:
        return self.in_features * self.out_features


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalisation: 2 parameters (scale, shift) and 2 buffers (running mean, variance) a channel."""

    channels: int
    eps: float = 1e-5
    momentum: float = 0.1

    @property
    def params(self) -> int:
        return 2 * self.channels

    @property
    def buffers(self) -> int:
        return 2 * self.channels

    @property
    def label(self) -> str:
        return "batch norm"


@dataclass(frozen=True)
class Activation(Layer):
    """An elementwise non-linearity, one of ACTIVATIONS."""

    kind: str = "relu"

    def __post_init__(self) -> None:
        choose("activation", self.kind, ACTIVATIONS)

    @property
    def label(self) -> str:
        return self.kind.replace("_", " ")


@dataclass(frozen=True)
class Pool(Layer):
    """Max or average pooling without padding; an odd rest is dropped, as in Keras and PyTorch."""

    kind: str = "max"
    size: int = 2
    stride: int = 2

    def __post_init__(self) -> None:
        if self.kind not in ("max", "avg"):
            raise InputError(f"unknown pooling {self.kind!r}; choose max or avg")
        if self.size < 1 or self.stride < 1:
            raise InputError(f"pooling size {self.size} and stride {self.stride} must be positive numbers")

    @property
    def label(self) -> str:
        return f"{self.kind} pool {self.size}x{self.size}"

    def output_shape(self, shape: Shape) -> Shape:
        require_image(shape, "pooling")
        channels, height, width = shape
        if self.size > min(height, width):
            raise InputError(f"{self.label} would pool its {height}x{width} input away")
        return (channels, (height - self.size) // self.stride + 1, (width - self.size) // self.stride + 1)


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The mean over height and width; leaves (channels,)."""

    @property
    def label(self) -> str:
        return "global avg pool"

    def output_shape(self, shape: Shape) -> Shape:
        require_image(shape, "pooling")
        return (shape[0],)


@dataclass(frozen=True)
class Flatten(Layer):
    """(channels, height, width) to (channels * height * width,), channels first."""

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)


@dataclass(frozen=True)
class Dropout(Layer):
    """Dropout with probability `p` of single elements, or of whole channels (`channelwise`)."""

    p: float
    channelwise: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.p < 1:
            raise InputError(f"dropout {self.p} is not a probability from 0 up to, not including, 1")

    @property
    def label(self) -> str:
        return f"dropout{' of channels' if self.channelwise else ''} {self.p:g}"

    def output_shape(self, shape: Shape) -> Shape:
        if self.channelwise:
            require_image(shape, "dropout of channels")
        return shape
