"""Which slots of an architecture are separable: the one thing that differs between the model families."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dsbench.errors import InputError
from dsbench.network.skeleton import Architecture

FAMILIES = ("cnn", "dwsep", "hybrid")
_ENTRIES = {"plain": False, "separable": True, "0": False, "1": True}


def separable_slots(architecture: Architecture, family: str, pattern: Any = None) -> tuple[bool, ...]:
    """For each slot whether it is separable; a slot that the architecture pins to plain stays plain.

    `family` is cnn (none), dwsep (all) or hybrid (as `pattern` says). A pattern is a list of plain|separable (or 0|1),
    one a slot, or a short form: stage_K (the K-th convolution of each stage), every_K (slots K, 2K, ...), first_K,
    last_K. Raises InputError for anything else.
    """
    slots = architecture.slots
    if family not in FAMILIES:
        raise InputError(f"unknown model family {family!r}; choose one of {', '.join(FAMILIES)}")
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
