"""From an architecture, a family and a width to a network description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from dsbench.errors import InputError
from dsbench.network.blocks import Block, Place, SlotOptions, fill
from dsbench.network.description import Network
from dsbench.network.elements import Context, ConvElement
from dsbench.network.fields import build
from dsbench.network.layers import Layer, Shape
from dsbench.network.skeleton import Architecture


@dataclass(frozen=True)
class Options:
    """What fills the slots. Each value of `place` and `block` is one for all slots or a list of one a slot.

    `separable` has one entry a slot (see dsbench.network.pattern); `place` overrides what the architecture says of a
    slot (kernel, stride, padding, residual, se_ratio), where not None; `block` holds the fields of Block.
    """

    separable: tuple[bool, ...]
    place: Mapping[str, Any] = field(default_factory=dict)
    block: Mapping[str, Any] = field(default_factory=dict)


def assemble(
    architecture: Architecture,
    options: Options,
    width: int,
    input_shape: Shape,
    classes: int,
    fine_width: int | None = None,
) -> Network:
    """The network of `architecture` at `width`, its slots filled as `options` say.

    `input_shape` is (channels, height, width). Raises InputError, naming the slot, where the parts do not fit.
    """
    for name, value in (("width", width), ("arch.fine_width", 1 if fine_width is None else fine_width)):
        if value < 1:
            raise InputError(f"{name} {value} is not a positive integer")
    slots = architecture.slots
    if fine_width is not None and not any(slot.element.fine for slot in slots):
        raise InputError(f"arch.fine_width is set, but no conv of arch {architecture.name} is marked fine")
    places = _per_slot("slots.", options.place, len(slots))
    blocks = _blocks(options, len(slots))
    out: list[Layer] = []
    shape, index = input_shape, 0
    for placed in architecture.elements:
        element = placed.element
        slot = isinstance(element, ConvElement)
        index += slot
        try:
            if slot:
                channels = _channels(element, width, fine_width, architecture.divisor)
                place = _place(element, index, shape, channels, places[index - 1], input_shape)
                layer: Layer = fill(place, blocks[index - 1], architecture.style, shape)
            else:
                layer = element.layer(Context(shape, classes, architecture.style))
            shape = layer.output_shape(shape)
        except InputError as error:
            where = f"slot {index}" if slot else f"layer {len(out) + 1}"
            raise InputError(f"arch {architecture.name}, {where}: {error}") from None
        out.append(layer)
    return Network(input_shape, classes, tuple(out), architecture.init)


def _per_slot(path: str, options: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """One mapping a slot from values that each stand for all slots or list one a slot; None says nothing."""
    out: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, value in options.items():
        values = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(values) != count:
            key = name if name == "kernel" else f"{path}{name}"
            raise InputError(f"{key} lists {len(values)} values, but the architecture has {count} slots")
        for slot, one in zip(out, values, strict=True):
            if one is not None:
                slot[name] = one
    return out


def _blocks(options: Options, count: int) -> list[Block | None]:
    blocks = [build("block", Block, setting) for setting in _per_slot("block.", options.block, count)]
    return [block if separable else None for block, separable in zip(blocks, options.separable, strict=True)]


def _channels(conv: ConvElement, width: int, fine_width: int | None, divisor: int) -> int:
    if conv.channels is not None:
        return conv.channels
    if conv.fine and fine_width is not None:
        return fine_width
    assert conv.width is not None
    return max(divisor, int(conv.width * width / divisor + 0.5) * divisor)


def _place(conv: ConvElement, index: int, shape: Shape, channels: int, given: Mapping[str, Any], image: Shape) -> Place:
    if len(shape) != 3:
        raise InputError(f"a convolution cannot follow an output of shape {shape}")
    settings = {f.name: getattr(conv, f.name) for f in fields(SlotOptions)} | dict(given)
    place = build("", Place, {"index": index, "in_channels": shape[0], "out_channels": channels, **settings})
    if place.kernel > min(image[1:]):
        raise InputError(f"kernel {place.kernel} is larger than the {image[1]}x{image[2]} image")
    return place
