"""From an architecture, a family and a width to a network description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dsbench.errors import InputError
from dsbench.network.architecture import Architecture
from dsbench.network.blocks import Block, Place, SlotOptions, fill
from dsbench.network.description import Network
from dsbench.network.elements import Context, ConvElement, from_options
from dsbench.network.layers import Layer, Shape, require_image


@dataclass(frozen=True)
class Options:
    """What fills the slots. A value of `place` and `block` holds for all slots, or is a list of one value a slot.

    `separable` has one entry a slot (see dsbench.network.architecture); `place` overrides what the architecture says
    of a slot (kernel, stride, padding, residual, se_ratio), where not None; `block` holds the fields of Block.
    """

    separable: tuple[bool, ...]
    place: Mapping[str, Any] = field(default_factory=dict)
    block: Mapping[str, Any] = field(default_factory=dict)


class Frame:
    """An architecture and its options, checked, for images of `input_shape` (channels, height, width): all but a width.

    `kinds` numbers the elements: those of one number are one layer where their shapes agree. Raises InputError, naming
    the slot, where the parts do not fit.
    """

    def __init__(self, architecture: Architecture, options: Options, input_shape: Shape, classes: int) -> None:
        self.architecture, self.options = architecture, options
        self.input_shape, self.classes = input_shape, classes
        self.elements = [placed.element for placed in architecture.elements]
        self._convs = {n: element for n, element in enumerate(self.elements) if isinstance(element, ConvElement)}
        places = _per_slot("slots.", options.place, len(self._convs))
        blocks = [from_options("block", Block, given) for given in _per_slot("block.", options.block, len(self._convs))]
        self._slots: dict[int, tuple[Place, Block | None]] = {}
        for slot, (number, conv) in enumerate(self._convs.items()):
            given = {f.name: getattr(conv, f.name) for f in fields(SlotOptions)} | places[slot]
            given |= {"index": slot + 1, "in_channels": 1, "out_channels": 1}  # `layer` sets the channels
            place = from_options(f"arch {architecture.name}, slot {slot + 1}", Place, given)
            self._slots[number] = (place, blocks[slot] if options.separable[slot] else None)
        numbers: dict[str, int] = {}
        self.kinds = [numbers.setdefault(self._key(number), number) for number in range(len(self.elements))]

    @property
    def fine(self) -> ConvElement | None:
        """The first conv that `arch.fine_width` sets, if there is one."""
        return next((conv for conv in self._convs.values() if conv.fine), None)

    @property
    def scales(self) -> bool:
        """Whether any conv has a width that is a multiple of the network's."""
        return any(conv.width is not None for conv in self._convs.values())

    @property
    def largest_group(self) -> int:
        """The most channels that a group of a separable slot's spatial convolution holds; 1 where there is none."""
        return max((block.group_size for _, block in self._slots.values() if block is not None), default=1)

    def channels(self, element: Any, width: int, fine_width: int | None = None) -> int:
        """Output channels of a conv `element` at these widths, a multiple of the divisor where scaled; 0 for others."""
        if not isinstance(element, ConvElement):
            return 0
        if element.fine and fine_width is not None:
            return fine_width
        if element.channels is not None:
            return element.channels
        assert element.width is not None
        divisor = self.architecture.divisor
        return max(divisor, int(element.width * width / divisor + 0.5) * divisor)

    def layer(self, number: int, shape: Shape, channels: int) -> Layer:
        """Element `number` (from 0) as a layer for an input of `shape`, with `channels` at the output of a conv."""
        element = self.elements[number]
        if isinstance(element, Layer):
            return element
        if number not in self._slots:
            return element.layer(Context(shape, self.classes, self.architecture.style))
        require_image(shape, "a convolution")
        place, block = self._slots[number]
        if place.kernel > min(self.input_shape[1:]):
            _, height, width = self.input_shape
            raise InputError(f"kernel {place.kernel} is larger than the {height}x{width} image")
        return fill(replace(place, in_channels=shape[0], out_channels=channels), block, self.architecture.style, shape)

    def network(self, width: int, fine_width: int | None = None) -> Network:
        """The network at these widths. Raises InputError, naming the slot, where a layer does not fit."""
        for name, value in (("width", width), ("arch.fine_width", 1 if fine_width is None else fine_width)):
            if value < 1:
                raise InputError(f"{name} {value} is not a positive integer")
        if fine_width is not None and self.fine is None:
            raise InputError(f"arch.fine_width is set, but no conv of arch {self.architecture.name} is marked fine")
        out: list[Layer] = []
        shape = self.input_shape
        for number, element in enumerate(self.elements):
            try:
                layer = self.layer(number, shape, self.channels(element, width, fine_width))
                shape = layer.output_shape(shape)
            except InputError as error:
                where = f"slot {self._slots[number][0].index}" if number in self._slots else f"layer {number + 1}"
                raise InputError(f"arch {self.architecture.name}, {where}: {error}") from None
            out.append(layer)
        return Network(self.input_shape, self.classes, tuple(out), self.architecture.init)

    def _key(self, number: int) -> str:
        """All that makes an element's layer, whatever the index of its slot."""
        if number not in self._slots:
            return repr(self.elements[number])
        place, block = self._slots[number]
        return repr((self.elements[number], replace(place, index=0), block))


def _per_slot(path: str, options: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """A mapping for each slot from values that hold for all slots or are listed slot by slot; None leaves one out."""
    out: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, value in options.items():
        values = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(values) != count:
            key = name if name == "kernel" else f"{path}{name}"
            raise InputError(f"{key} lists {len(values)} values, but the architecture has {count} slots")
        for slot, option in zip(out, values, strict=True):
            if option is not None:
                slot[name] = option
    return out
