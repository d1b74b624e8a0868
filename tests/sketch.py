"""An architecture as its YAML file has it, together with what fills its slots, written in one way or another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from dsbench.network.architecture import Architecture, parse, separable_slots
from dsbench.network.assemble import Frame, Options
from dsbench.network.blocks import Style
from dsbench.network.description import Network
from dsbench.network.layers import Shape

WIDTH = 4
LISTED = ("kernel", "stride", "padding", "residual", "se_ratio")  # what `kernel=` and `slots.` can say of each slot


@dataclass(frozen=True)
class Sketch:
    """What a user writes: the entries of an architecture, its convs with all their options, and what fills each.

    `blocks` has one entry a slot: the options of its separable block, or None where it is plain.
    """

    entries: tuple[Any, ...]
    blocks: tuple[dict[str, Any] | None, ...]
    style: Style
    init: str
    image: Shape
    classes: int

    def network(self, listed: Collection[str] = (), nested: bool = False) -> Network:
        """The network, with the options that are `listed` given beside the architecture and not in its convs.

        Where `nested`, equal entries that follow each other are a stage with a repeat.
        """
        entries = [_without(entry, listed) for entry in self.entries]
        elements = parse("random", _nested(entries) if nested else entries, {}, None)
        skeleton = Architecture("random", elements, self.style, self.init)
        separable = [block is not None for block in self.blocks]
        family = "dwsep" if all(separable) else "hybrid" if any(separable) else "cnn"
        pattern = [int(flag) for flag in separable] if family == "hybrid" else None
        convs = [entry["conv"] for entry in self.entries if "conv" in entry]
        place = {name: _spelled([conv[name] for conv in convs]) for name in listed}
        names = {name for block in self.blocks for name in block or ()}
        block = {name: _spelled([(block or {}).get(name) for block in self.blocks]) for name in names}
        options = Options(separable_slots(skeleton, family, pattern), place, block)
        return Frame(skeleton, options, self.image, self.classes).network(WIDTH)


def _without(entry: Any, names: Collection[str]) -> Any:
    if "conv" not in entry:
        return entry
    return {"conv": {name: value for name, value in entry["conv"].items() if name not in names}}


def _spelled(values: list[Any]) -> Any:
    """One value where all slots share it, else the list."""
    return values[0] if all(value == values[0] for value in values) else values


def _nested(entries: Sequence[Any]) -> list[Any]:
    out: list[Any] = []
    start = 0
    for end in range(1, len(entries) + 1):
        if end == len(entries) or entries[end] != entries[start]:
            once, times = entries[start], end - start
            out.append({"stage": [{"repeat": {"times": times, "layers": [once]}}]} if times > 1 else once)
            start = end
    return out
