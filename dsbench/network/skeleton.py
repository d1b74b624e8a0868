"""An architecture before it has a width: the elements that its YAML file lists, checked and typed.

Each entry under `layers` is `kind: options`, where options is a mapping, a single value for the first option, or
nothing (`- flatten`). Convolutions are slots: places that the model family fills.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from dsbench.errors import InputError
from dsbench.network.blocks import Style
from dsbench.network.elements import ELEMENTS, ConvElement, RepeatElement
from dsbench.network.fields import build


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
