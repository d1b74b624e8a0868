"""An architecture: its layers in order, as YAML lists them, and which of its slots a family makes separable."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from dsbench.errors import InputError, choose
from dsbench.network.blocks import Style
from dsbench.network.elements import ELEMENTS, MOST_LAYERS, ConvElement, from_options

FAMILIES = ("cnn", "dwsep", "hybrid")
_ENTRIES = {"plain": False, "separable": True, "0": False, "1": True}  # what a pattern lists: whether separable
_ENTRY_KINDS = (*ELEMENTS, "repeat", "stage")


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


@dataclass(frozen=True)
class Placed:
    """An element and, for a conv, its position within its stage (from 1)."""

    element: Any
    position: int = 0

    @property
    def pinned(self) -> bool:
        """Whether this is a conv that stays plain in every family."""
        return isinstance(self.element, ConvElement) and self.element.family is not None


def parse(name: str, layers: Sequence[Any], conv: Mapping[str, Any], depth: int | None) -> tuple[Placed, ...]:
    """The elements that the YAML list `layers` names; `conv` holds what every slot has unless it says otherwise.

    Raises InputError with the path of the entry that is wrong.
    """
    out: list[Placed] = []
    _parse(f"arch {name}: layers", layers, conv, depth, out, [0])
    return tuple(out)


@dataclass(frozen=True)
class _Repeat:
    """`layers`, `times` over; `times` is an integer or `depth`."""

    times: int | str
    layers: Sequence[Any] = ()


def _parse(
    path: str, layers: Any, conv: Mapping[str, Any], depth: int | None, out: list[Placed], stage: list[int]
) -> None:
    """Append the elements of `layers` to `out`; `stage` counts the slots of the current stage."""
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        raise InputError(f"{path}: expected a list of layers, got {layers!r}")
    if not layers:
        raise InputError(f"{path} is empty")
    for number, entry in enumerate(layers, 1):
        here = f"{path}[{number}]"
        kind, options = _entry(here, entry)
        if kind == "stage":
            _parse(f"{here}.stage", options, conv, depth, out, [0])
        elif kind == "repeat":
            repeat = from_options(f"{here}.repeat", _Repeat, _mapping(_Repeat, options))
            times = depth if repeat.times == "depth" else repeat.times
            if not isinstance(times, int) or times < 1:
                raise InputError(f"{here}: repeat needs a positive number of times, or depth, not {times!r}")
            for _ in range(times):
                _parse(f"{here}.repeat", repeat.layers, conv, depth, out, stage)
        else:
            given = _mapping(ELEMENTS[kind], options)
            if kind == "conv":
                stage[0] += 1
                given = {**conv, **given}
            out.append(Placed(from_options(f"{here}.{kind}", ELEMENTS[kind], given), stage[0]))
            if len(out) > MOST_LAYERS:
                raise InputError(f"{here}: these are more than {MOST_LAYERS:,} layers")


def _entry(path: str, entry: Any) -> tuple[str, Any]:
    """The kind of an entry and what it says of it: `kind`, or `kind: options`."""
    kind, options = (entry, None) if isinstance(entry, str) else (None, None)
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((kind, options),) = entry.items()
    if kind not in _ENTRY_KINDS:
        raise InputError(f"{path}: {entry!r} is not a layer; write one of {', '.join(_ENTRY_KINDS)} and its options")
    return str(kind), options


def _mapping(cls: type, options: Any) -> dict[str, Any]:
    """Options as a mapping: a single value is the element's first option."""
    if options is None:
        return {}
    if isinstance(options, Mapping):
        return dict(options)
    return {next((f.name for f in fields(cls) if not f.kw_only), ""): options}


def separable_slots(architecture: Architecture, family: str, pattern: Any = None) -> tuple[bool, ...]:
    """For each slot whether it is separable; a slot that the architecture pins to plain stays plain.

    `family` is cnn (none), dwsep (all) or hybrid (as `pattern` says). A pattern is a list of plain|separable (or 0|1),
    one a slot, or a short form: stage_K (the K-th convolution of each stage), every_K (slots K, 2K, ...), first_K,
    last_K. Raises InputError for anything else.
    """
    slots = architecture.slots
    choose("model family", family, FAMILIES)
    if family != "hybrid":
        if pattern is not None:
            raise InputError(f"model.pattern is for model=hybrid; model={family} has none")
        return tuple(family == "dwsep" and not slot.pinned for slot in slots)
    if not isinstance(pattern, str):
        return _listed(pattern, architecture)
    positions = [slot.position for slot in slots]
    separable = tuple(named and not slot.pinned for named, slot in zip(_short(pattern, positions), slots, strict=True))
    if not any(separable):
        raise InputError(
            f"model.pattern {pattern} makes no slot of arch {architecture.name} separable; "
            f"its slots are number {', '.join(map(str, positions))} of their stages"
        )
    return separable


def _short(pattern: str, positions: Sequence[int]) -> list[bool]:
    """Which slots the short form `pattern` names; `positions` are the slots' own within their stages."""
    match = re.fullmatch(r"(stage|every|first|last)_([1-9][0-9]*)", pattern)
    if not match:
        raise InputError(
            f"unknown model.pattern {pattern!r}; write stage_2, every_2, first_3, last_3 or a list of plain|separable"
        )
    n, k = len(positions), int(match[2])
    if k > n:
        raise InputError(f"model.pattern {pattern}: the architecture has {n} slots")
    forms = {
        "stage": [position == k for position in positions],
        "every": [i % k == 0 for i in range(1, n + 1)],
        "first": [i < k for i in range(n)],
        "last": [i >= n - k for i in range(n)],
    }
    return forms[match[1]]


def _listed(pattern: Any, architecture: Architecture) -> tuple[bool, ...]:
    slots = architecture.slots
    if not isinstance(pattern, Sequence) or any(str(entry) not in _ENTRIES for entry in pattern):
        raise InputError(f"model.pattern {pattern!r} is not a list of plain|separable (or 0|1), nor a short form")
    if len(pattern) != len(slots):
        raise InputError(
            f"model.pattern has {len(pattern)} entries, but arch {architecture.name} has {len(slots)} slots"
        )
    separable = tuple(_ENTRIES[str(entry)] for entry in pattern)
    for number, (named, slot) in enumerate(zip(separable, slots, strict=True), 1):
        if named and slot.pinned:
            raise InputError(
                f"model.pattern makes slot {number} separable, but arch {architecture.name} pins it to plain"
            )
    return separable
