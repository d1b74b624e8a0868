"""What a network is: its layers, the containers that hold layers, and the walk through them all.

A container names its branches, the paths that its input takes; its class says what becomes of their outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

from dsbench.errors import InputError, choose
from dsbench.network.layers import Activation, Layer, Pool, Shape

INITS = ("pytorch", "glorot")


@dataclass(frozen=True)
class Network:
    """What a network is, and all that its module and its costs derive from.

    `input_shape` is (channels, height, width) of one image; `init` is one of INITS: PyTorch's defaults, or Glorot
    uniform weights (Glorot and Bengio 2010) with zero biases.
    """

    input_shape: Shape
    classes: int
    layers: tuple[Layer, ...]
    init: str = "pytorch"

    def __post_init__(self) -> None:
        choose("init", self.init, INITS)
        shape = self.input_shape
        for number, layer in enumerate(self.layers, 1):
            name = f"slot {layer.index}" if isinstance(layer, Slot) else f"layer {number}, {layer.label}"
            try:
                shape = layer.output_shape(shape)
            except InputError as error:
                raise InputError(f"{name}: {error}") from None
        if shape != (self.classes,):
            raise InputError(f"the network ends in shape {shape}, not in ({self.classes},), one logit a class")

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every leaf in order of computation, with its input and output shape."""
        return tuple(walk(self.layers, self.input_shape))

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots, in order."""
        return tuple(layer for layer in self.layers if isinstance(layer, Slot))

    def identity(self) -> dict[str, object]:
        """What decides the function that is trained, as plain data: equal networks have equal identities.

        Slots are names for places, not computation, so they are dissolved, and so are roles and labels.
        """
        return {"input": list(self.input_shape), "init": self.init, "layers": _as_data(self.layers)}


def _as_data(layers: tuple[Layer, ...]) -> list[object]:
    out: list[object] = []
    for layer in layers:
        if isinstance(layer, Slot):
            out += _as_data(layer.body)
        elif layer.branches:
            out.append({type(layer).__name__: [_as_data(branch) for branch in layer.branches]})
        else:
            out.append({type(layer).__name__: {k: v for k, v in asdict(layer).items() if k != "role"}})
    return out


@dataclass(frozen=True)
class Slot(Layer):
    """A place of the architecture that a family fills: the layers of one convolution of the skeleton.

    `index` counts the slots from 1; `kind` says what fills it (plain, separable, inverted residual).
    """

    index: int
    kind: str
    body: tuple[Layer, ...]

    @property
    def branches(self) -> tuple[tuple[Layer, ...], ...]:
        return (self.body,)

    def output_shape(self, shape: Shape) -> Shape:
        return shape_after(self.body, shape)


@dataclass(frozen=True)
class Residual(Layer):
    """body(x) + shortcut(x); an empty shortcut is the identity (He et al. 2016)."""

    body: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()

    @property
    def branches(self) -> tuple[tuple[Layer, ...], ...]:
        return (self.body, self.shortcut)

    def output_shape(self, shape: Shape) -> Shape:
        main, short = shape_after(self.body, shape), shape_after(self.shortcut, shape)
        if main != short:
            raise InputError(f"a residual connection cannot add shapes {main} and {short}")
        return main


@dataclass(frozen=True)
class Gate(Layer):
    """x * body(x), one factor a channel: squeeze-and-excitation (Hu et al. 2018)."""

    body: tuple[Layer, ...]

    @property
    def branches(self) -> tuple[tuple[Layer, ...], ...]:
        return (self.body,)

    def output_shape(self, shape: Shape) -> Shape:
        if shape_after(self.body, shape) != shape[:1]:
            raise InputError(f"a gate must give one factor for each of the {shape[0]} channels")
        return shape


class Step(NamedTuple):
    """One leaf on the way through a network: its layer, where it sits, and the shapes around it."""

    layer: Layer
    slot: Slot | None
    in_shape: Shape
    out_shape: Shape


def shape_after(layers: Sequence[Layer], shape: Shape) -> Shape:
    """The shape that an input of `shape` leaves `layers` with; InputError as the layers raise it."""
    for layer in layers:
        shape = layer.output_shape(shape)
    return shape


def walk(layers: Sequence[Layer], shape: Shape, slot: Slot | None = None) -> Iterator[Step]:
    """Every leaf of `layers` in order of computation, for an input of `shape`."""
    for layer in layers:
        inner = layer if isinstance(layer, Slot) else slot
        for branch in layer.branches:
            yield from walk(branch, shape, inner)
        out = layer.output_shape(shape)
        if not layer.branches:
            yield Step(layer, slot, shape, out)
        shape = out


def inside(layers: Sequence[Layer]) -> Iterator[Layer]:
    """All layers, containers and what they hold."""
    for layer in layers:
        yield layer
        for branch in layer.branches:
            yield from inside(branch)


def execution_order(layers: Sequence[Layer]) -> list[tuple[tuple[int, int], Layer]]:
    """`layers` as they are computed: slots dissolved, each with its key (place in `layers`, place in its slot).

    Max-pooling comes before a ReLU that it follows: the two commute exactly, and pooling first leaves ReLU less to do.
    """
    out: list[tuple[tuple[int, int], Layer]] = []
    for place, layer in enumerate(layers):
        body = layer.body if isinstance(layer, Slot) else (layer,)
        out += [((place, inner), part) for inner, part in enumerate(body)]
    for i in range(len(out) - 1):
        first, second = out[i][1], out[i + 1][1]
        if first == Activation("relu") and isinstance(second, Pool) and second.kind == "max":
            out[i], out[i + 1] = out[i + 1], out[i]
    return out
