"""What one entry of an architecture's `layers` can be: the options of each kind of layer, checked.

An element becomes a layer once the shape that arrives is known; those that need no shape are layers already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import UnionType
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from dsbench.errors import InputError
from dsbench.network.blocks import SlotOptions, Style
from dsbench.network.layers import Activation, Dropout, Flatten, GlobalAvgPool, Layer, Linear, Pool, Shape

T = TypeVar("T")

LARGEST = 1_000_000  # number in a description of a network: channels, sizes, multiples
MOST_LAYERS = 10_000  # of an architecture


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


ELEMENTS: dict[str, type] = {
    "conv": ConvElement,
    "max_pool": MaxPoolElement,
    "avg_pool": AvgPoolElement,
    "global_avg_pool": GlobalAvgPool,
    "norm": NormElement,
    "activation": ActivationElement,
    "dropout": Dropout,
    "flatten": Flatten,
    "linear": LinearElement,
}


def from_options(path: str, cls: type[T], given: Mapping[str, Any]) -> T:
    """`cls(**given)`; InputError, naming `path` and the option, where a key or a type is wrong or one is missing."""
    accepted = _types(cls)  # type: ignore[arg-type]
    prefix = f"{path}: " if path else ""
    options = {}
    for key, value in given.items():
        if key not in accepted:
            raise InputError(f"{prefix}unknown option {key!r}; choose from {', '.join(accepted) or 'none'}")
        types = accepted[key]
        if not _fits(value, types):
            names = " or ".join(t.__name__ for t in types if t is not type(None))
            raise InputError(f"{prefix}{key} {value!r} is not of type {names}")
        if isinstance(value, (int, float)) and not abs(value) <= LARGEST:
            raise InputError(f"{prefix}{key} {value} is not a number up to {LARGEST:,}")
        whole = type(value) is int and int not in types
        options[key] = float(value) if whole else value  # 0 and 0.0 are one network
    for f in fields(cls):  # type: ignore[arg-type]
        if f.default is MISSING and f.default_factory is MISSING and f.name not in given:
            raise InputError(f"{prefix}{f.name} is missing")
    try:
        return cls(**options)
    except InputError as error:
        raise InputError(f"{prefix}{error}") from None


@cache
def _types(cls: type) -> dict[str, tuple[type, ...]]:
    """The types that each field of `cls` takes, its own before inherited ones, generics reduced to their origin."""
    hints, out = get_type_hints(cls), {}
    for f in sorted(fields(cls), key=lambda f: bool(f.kw_only)):
        hint = hints[f.name]
        members = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        out[f.name] = tuple(get_origin(member) or member for member in members)
    return out


def _fits(value: Any, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in types
    return isinstance(value, types) or (isinstance(value, int) and float in types)
