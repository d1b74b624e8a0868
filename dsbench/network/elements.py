"""The elements that an architecture's YAML file can list, and the layer that each one stands for.

`width` on a conv is a multiple of the network's width, so that one number scales the whole network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dsbench.errors import InputError
from dsbench.network.blocks import SlotOptions, Style
from dsbench.network.layers import Activation, Dropout, Flatten, GlobalAvgPool, Layer, Linear, Pool, Shape


@dataclass(frozen=True)
class Context:
    """What an element needs to become a layer: the shape that arrives, the classes, the architecture's style."""

    shape: Shape
    classes: int
    style: Style


@dataclass(frozen=True)
class ConvElement(SlotOptions):
    """A slot: `width` is a multiple of the network's width, `channels` an absolute number; exactly one is given.

    `family: plain` pins the slot; `fine` marks the slots whose channels `arch.fine_width` sets.
    """

    width: float | None = None
    channels: int | None = None
    family: str | None = None
    fine: bool = False

    def __post_init__(self) -> None:
        if (self.width is None) == (self.channels is None):
            raise InputError("a conv needs either width (a multiple of the network's) or channels (absolute)")
        if (self.channels if self.width is None else self.width) <= 0:  # type: ignore[operator]
            raise InputError("width and channels of a conv are positive numbers")
        if self.family not in (None, "plain"):
            raise InputError(f"family {self.family!r} cannot be pinned; plain can")


@dataclass(frozen=True)
class MaxPoolElement:
    """Pooling; `stride` defaults to `size`."""

    size: int = 2
    stride: int | None = None
    kind: ClassVar[str] = "max"

    def layer(self, context: Context) -> Layer:
        """The pooling layer."""
        return Pool(self.kind, self.size, self.size if self.stride is None else self.stride)


@dataclass(frozen=True)
class AvgPoolElement(MaxPoolElement):
    """Average pooling; `stride` defaults to `size`."""

    kind: ClassVar[str] = "avg"


@dataclass(frozen=True)
class GlobalAvgPoolElement:
    """Image to one mean a channel."""

    def layer(self, context: Context) -> Layer:
        """The pooling layer."""
        return GlobalAvgPool()


@dataclass(frozen=True)
class FlattenElement:
    """Image to vector."""

    def layer(self, context: Context) -> Layer:
        """The flatten layer."""
        return Flatten()


@dataclass(frozen=True)
class NormElement:
    """Batch normalisation over whatever channels or features arrive."""

    def layer(self, context: Context) -> Layer:
        """The norm, in the architecture's style."""
        return context.style.norm(context.shape[0])


@dataclass(frozen=True)
class ActivationElement:
    """An activation, the architecture's own unless `kind` names another."""

    kind: str | None = None

    def layer(self, context: Context) -> Layer:
        """The activation."""
        return Activation(self.kind or context.style.activation)


@dataclass(frozen=True)
class DropoutElement:
    """Dropout with probability `p`, of whole channels where `channelwise`."""

    p: float
    channelwise: bool = False

    def layer(self, context: Context) -> Layer:
        """The dropout layer."""
        return Dropout(self.p, self.channelwise)


@dataclass(frozen=True)
class LinearElement:
    """A dense layer of `features` outputs, an integer or `classes`."""

    features: int | str
    bias: bool = True

    def layer(self, context: Context) -> Layer:
        """The linear layer; InputError where an image arrives or `features` is no number."""
        if len(context.shape) != 1:
            raise InputError("linear needs flatten or global_avg_pool before it")
        features = context.classes if self.features == "classes" else self.features
        if not isinstance(features, int) or features < 1:
            raise InputError(f"features {self.features!r} is not a positive integer or the word classes")
        return Linear(context.shape[0], features, self.bias)


@dataclass(frozen=True)
class RepeatElement:
    """`layers`, `times` over; `times` is an integer or `depth`."""

    times: int | str
    layers: Sequence[Any] = ()


@dataclass(frozen=True)
class StageElement:
    """`layers` that a hybrid pattern sees as one stage."""

    layers: Sequence[Any] = ()


ELEMENTS: dict[str, type] = {
    "conv": ConvElement,
    "max_pool": MaxPoolElement,
    "avg_pool": AvgPoolElement,
    "global_avg_pool": GlobalAvgPoolElement,
    "norm": NormElement,
    "activation": ActivationElement,
    "dropout": DropoutElement,
    "flatten": FlattenElement,
    "linear": LinearElement,
    "repeat": RepeatElement,
    "stage": StageElement,
}
