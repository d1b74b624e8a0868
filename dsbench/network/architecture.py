"""Checking a mapping of options against the fields of a dataclass, with errors for the person who typed it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from types import UnionType
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from dsbench.errors import InputError, choose
from dsbench.network.blocks import SlotOptions, Style
from dsbench.network.layers import Activation, Dropout, Flatten, GlobalAvgPool, Layer, Linear, Pool, Shape

T = TypeVar("T")


def build(path: str, cls: type[T], given: Mapping[str, Any]) -> T:
    """`cls(**given)`; InputError, naming `path` and the option, where a key or a type is wrong or one is missing."""
    accepted = _types(cls)  # type: ignore[arg-type]
    prefix = f"{path}: " if path else ""
    for key, value in given.items():
        if key not in accepted:
            raise InputError(f"{prefix}unknown option {key!r}; choose from {', '.join(accepted) or 'none'}")
        if not _fits(value, accepted[key]):
            names = " or ".join(t.__name__ for t in accepted[key] if t is not type(None))
            raise InputError(f"{prefix}{key} {value!r} is not of type {names}")
    for f in fields(cls):  # type: ignore[arg-type]
        if f.default is MISSING and f.default_factory is MISSING and f.name not in given:
            raise InputError(f"{prefix}{f.name} is missing")
    numbers = {key: float(value) if _is_float(value, accepted[key]) else value for key, value in given.items()}
    try:
        return cls(**numbers)
    except InputError as error:
        raise InputError(f"{prefix}{error}") from None


@cache
def _types(cls: type) -> dict[str, tuple[type, ...]]:
    """The types that each field of `cls` takes, generics reduced to their origin."""
    hints = get_type_hints(cls)
    out = {}
    own_first = sorted(fields(cls), key=lambda f: bool(f.kw_only))
    for f in own_first:
        hint = hints[f.name]
        members = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        out[f.name] = tuple(get_origin(member) or member for member in members)
    return out


def _is_float(value: Any, types: tuple[type, ...]) -> bool:
    """Whether `value` is a whole number where a float is meant, so that 0 and 0.0 are one network."""
    return type(value) is int and float in types and int not in types


def _fits(value: Any, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in types
    return isinstance(value, types) or (isinstance(value, int) and float in types)


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


@dataclass(frozen=True)
class Placed:
    """An element and, for a conv, its position within its stage (from 1)."""

    element: Any
    position: int = 0


@dataclass(frozen=True)
class Architecture:
    """A checked architecture: `elements` in order, repeats unrolled, and what all of its layers share.

    `divisor` rounds every scaled channel count to its nearest multiple (1: none).
    """

    name: str
    elements: tuple[Placed, ...]
    style: Style = field(default_factory=Style)
    init: str = "pytorch"
    divisor: int = 1

    @property
    def slots(self) -> tuple[Placed, ...]:
        """The convolutions, in order."""
        return tuple(placed for placed in self.elements if isinstance(placed.element, ConvElement))


def parse(name: str, layers: Sequence[Any], conv: Mapping[str, Any], depth: int | None) -> tuple[Placed, ...]:
    """The elements that the YAML list `layers` names; `conv` holds what every slot has unless it says otherwise.

    Raises InputError with the path of the entry that is wrong.
    """
    out: list[Placed] = []
    _parse(f"arch {name}: layers", layers, conv, depth, out, [0])
    if not out:
        raise InputError(f"arch {name}: layers is empty")
    return tuple(out)


def _parse(
    path: str, layers: Any, conv: Mapping[str, Any], depth: int | None, out: list[Placed], stage: list[int]
) -> None:
    """Append the elements of `layers` to `out`; `stage` counts the slots of the current stage."""
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        raise InputError(f"{path}: expected a list of layers, got {layers!r}")
    for number, entry in enumerate(layers, 1):
        here = f"{path}[{number}]"
        kind, options = _entry(here, entry)
        if kind == "stage":
            _parse(f"{here}.stage", options, conv, depth, out, [0])
        elif kind == "repeat":
            repeat = build(f"{here}.repeat", RepeatElement, _mapping(RepeatElement, options))
            for _ in range(_times(here, repeat.times, depth)):
                _parse(f"{here}.repeat", repeat.layers, conv, depth, out, stage)
        else:
            given = _mapping(ELEMENTS[kind], options)
            if kind == "conv":
                stage[0] += 1
                given = {**conv, **given}
            out.append(Placed(build(f"{here}.{kind}", ELEMENTS[kind], given), stage[0]))


def _entry(path: str, entry: Any) -> tuple[str, Any]:
    kind, options = (entry, None) if isinstance(entry, str) else (None, None)
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((kind, options),) = entry.items()
    if kind not in ELEMENTS:
        raise InputError(f"{path}: {entry!r} is not a layer; write one of {', '.join(ELEMENTS)} and its options")
    return str(kind), options


def _times(path: str, times: int | str, depth: int | None) -> int:
    count = depth if times == "depth" else times
    if not isinstance(count, int) or count < 1:
        raise InputError(f"{path}: repeat needs a positive number of times, or depth, not {count!r}")
    return count


def _mapping(cls: type, options: Any) -> dict[str, Any]:
    """Options as a mapping: a single value is the element's first option."""
    if options is None:
        return {}
    if isinstance(options, Mapping):
        return dict(options)
    first = next((f.name for f in fields(cls) if not f.kw_only), "")
    return {first: options}


FAMILIES = ("cnn", "dwsep", "hybrid")
_ENTRIES = {"plain": False, "separable": True, "0": False, "1": True}


def separable_slots(architecture: Architecture, family: str, pattern: Any = None) -> tuple[bool, ...]:
    """For each slot whether it is separable; a slot that the architecture pins to plain stays plain.

    `family` is cnn (none), dwsep (all) or hybrid (as `pattern` says). A pattern is a list of plain|separable (or 0|1),
    one a slot, or a short form: stage_K (the K-th convolution of each stage), every_K (slots K, 2K, ...), first_K,
    last_K. Raises InputError for anything else.
    """
    slots = architecture.slots
    choose("model family", family, FAMILIES)
    if family != "hybrid" and pattern is not None:
        raise InputError(f"model.pattern is for model=hybrid; model={family} has none")
    if family != "hybrid":
        wanted = [family == "dwsep"] * len(slots)
    elif isinstance(pattern, str):
        wanted = _short(pattern, [slot.position for slot in slots])
        if not any(want and slot.element.family is None for want, slot in zip(wanted, slots, strict=True)):
            positions = ", ".join(str(slot.position) for slot in slots)
            raise InputError(
                f"model.pattern {pattern} makes no slot of arch {architecture.name} separable; "
                f"its slots are number {positions} of their stages"
            )
    else:
        return _listed(pattern, architecture)
    return tuple(want and slot.element.family is None for want, slot in zip(wanted, slots, strict=True))


def _short(pattern: str, positions: Sequence[int]) -> list[bool]:
    match = re.fullmatch(r"(stage|every|first|last)_([1-9][0-9]*)", pattern)
    if not match:
        raise InputError(
            f"unknown model.pattern {pattern!r}; write stage_2, every_2, first_3, last_3 or a list of plain|separable"
        )
    n = len(positions)
    form, k = match[1], int(match[2])
    if k > n:
        raise InputError(f"model.pattern {pattern}: the architecture has {n} slots")
    tests = {
        "stage": lambda i: positions[i] == k,
        "every": lambda i: (i + 1) % k == 0,
        "first": lambda i: i < k,
        "last": lambda i: i >= n - k,
    }
    return [tests[form](i) for i in range(n)]


def _listed(pattern: Any, architecture: Architecture) -> tuple[bool, ...]:
    slots = architecture.slots
    if not isinstance(pattern, Sequence) or any(str(entry) not in _ENTRIES for entry in pattern):
        raise InputError(f"model.pattern {pattern!r} is not a list of plain|separable (or 0|1), nor a short form")
    if len(pattern) != len(slots):
        raise InputError(
            f"model.pattern has {len(pattern)} entries, but arch {architecture.name} has {len(slots)} slots"
        )
    wanted = [_ENTRIES[str(entry)] for entry in pattern]
    for number, (want, slot) in enumerate(zip(wanted, slots, strict=True), 1):
        if want and slot.element.family is not None:
            raise InputError(
                f"model.pattern makes slot {number} separable, but arch {architecture.name} pins it to plain"
            )
    return tuple(wanted)
