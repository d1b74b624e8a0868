"""A network: the ordered list of its layers, the input it takes and how its weights start."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

from dsbench.errors import InputError
from dsbench.network.containers import Slot, Step, walk
from dsbench.network.layers import Layer, Shape

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
        if self.init not in INITS:
            raise InputError(f"unknown init {self.init!r}; choose one of {', '.join(INITS)}")
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
        return {"input": list(self.input_shape), "init": self.init, "layers": _plain(self.layers)}


def _plain(layers: tuple[Layer, ...]) -> list[object]:
    out: list[object] = []
    for layer in layers:
        if isinstance(layer, Slot):
            out += _plain(layer.body)
        elif layer.branches:
            out.append({type(layer).__name__: [_plain(branch) for branch in layer.branches]})
        else:
            out.append({type(layer).__name__: {k: v for k, v in asdict(layer).items() if k != "role"}})
    return out
