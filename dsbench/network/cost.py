"""What a network costs for one image, by the formulas of its layers: operations, activations, bytes, receptive field.

A further cost is one more field of Counts, with what one leaf adds to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import prod
from typing import Any

from dsbench.errors import InputError
from dsbench.network.description import Gate, Network, Residual, Slot, Step, execution_order, inside
from dsbench.network.layers import Activation, BatchNorm, Conv, Dropout, Flatten, Layer, Linear, Pool, Shape

DTYPE_BYTES = {"32": 4, "bf16": 2, "16": 2}
_UNCOUNTED = 2**63  # what figures of a table are below


def _added(formula: Callable[[Step, int], int]) -> int:
    """A cost that adds up over leaves; `formula` gives what one leaf adds, at some bytes an element."""
    return field(default=0, metadata={"formula": formula})


def _in_slot(step: Step) -> bool:
    return isinstance(step.layer, Conv) and step.slot is not None


def _acts(step: Step) -> int:
    return prod(step.out_shape) if isinstance(step.layer, (Conv, Linear)) else 0


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What adds up over layers, for one image, and what derives from these sums alone; in the order of the tables.

    `macs` are multiply-accumulates of convolutions and linear layers. `acts` are the elements that these write, the
    activations of Radosavovic et al. (2020). `norm_ops` and `activation_ops` are element operations, two an element for
    a batch norm and one for an activation, which no budget counts. `bytes_read` are each layer's input and weights,
    `bytes_written` its output, each moved once. The figures that end in `_conv` are those of the convolutions in slots
    alone: all that a model family changes.
    """

    params: int = _added(lambda step, size: step.layer.params)
    params_conv: int = _added(lambda step, size: step.layer.params if _in_slot(step) else 0)
    buffers: int = _added(lambda step, size: step.layer.buffers)
    macs: int = _added(lambda step, size: step.layer.macs(step.in_shape))
    macs_conv: int = _added(lambda step, size: step.layer.macs(step.in_shape) if _in_slot(step) else 0)

    @property
    def flops(self) -> int:
        """Floating-point operations of convolutions and linear layers, two a MAC."""
        return 2 * self.macs

    acts: int = _added(lambda step, size: _acts(step))
    acts_conv: int = _added(lambda step, size: _acts(step) if _in_slot(step) else 0)

    @property
    def bytes(self) -> int:
        """Bytes that must move to and from memory at the least."""
        return self.bytes_read + self.bytes_written

    @property
    def intensity(self) -> float:
        """Arithmetic intensity in FLOP per byte (Williams et al. 2009)."""
        return self.flops / self.bytes if self.bytes else 0.0

    norm_ops: int = _added(lambda step, size: 2 * prod(step.out_shape) if isinstance(step.layer, BatchNorm) else 0)
    activation_ops: int = _added(lambda step, size: prod(step.out_shape) if isinstance(step.layer, Activation) else 0)
    bytes_read: int = _added(lambda step, size: size * (prod(step.in_shape) + step.layer.params + step.layer.buffers))
    bytes_written: int = _added(lambda step, size: size * prod(step.out_shape))


# What one leaf adds to each field of Counts, at some bytes an element.
FORMULAS: dict[str, Callable[[Step, int], int]] = {f.name: f.metadata["formula"] for f in fields(Counts)}
# What a record, a table and a file of costs hold of a network: Counts in its order, with bytes in one figure, and the
# rest of Cost.
_COUNTS = (name for name in vars(Counts) if not name.startswith("_") and name not in ("bytes_read", "bytes_written"))
TOTALS = (*_COUNTS, "training_bytes", "receptive_field")


@dataclass(frozen=True, kw_only=True)
class LayerCost(Counts):
    """One layer; `slot` is the slot it belongs to (from 1), or None; `receptive_field` is in pixels of the image."""

    label: str
    slot: int | None
    output_shape: Shape
    receptive_field: int

    def facts(self) -> dict[str, Any]:
        """Every figure, those that derive from others included, as files hold it."""
        return asdict(self) | {"flops": self.flops, "bytes": self.bytes, "intensity": self.intensity}


@dataclass(frozen=True, kw_only=True)
class Cost(Counts):
    """The cost of a network: the sums over its layers, in order of computation, and what does not add up.

    `training_bytes` are the activations that one image keeps in memory for the backward pass, at its peak.
    """

    layers: tuple[LayerCost, ...]
    training_bytes: int

    @property
    def receptive_field(self) -> int:
        """Pixels of the image, in height and width, that one element sees before the image is pooled or flattened."""
        return max(layer.receptive_field for layer in self.layers)


def cost(network: Network, precision: str = "32") -> Cost:
    """The cost of `network`, formulas as each layer states them; bytes are those of `precision` (32, bf16, 16).

    Raises InputError where a figure does not fit into 64 bits, in which tables hold it.
    """
    size = DTYPE_BYTES[precision]
    layers = tuple(
        LayerCost(
            label=step.layer.label,
            slot=step.slot.index if step.slot else None,
            output_shape=step.out_shape,
            receptive_field=pixels,
            **{name: formula(step, size) for name, formula in FORMULAS.items()},
        )
        for step, pixels in zip(network.steps, receptive_fields(network), strict=True)
    )
    sums = {name: sum(getattr(layer, name) for layer in layers) for name in FORMULAS}
    total = Cost(layers=layers, training_bytes=saved_bytes(network, size), **sums)
    if max(getattr(total, name) for name in TOTALS) >= _UNCOUNTED:
        raise InputError("the network is larger than any that can be counted; take a smaller width, stride or depth")
    return total


@dataclass(frozen=True)
class Replaced:
    """What became of the slots that differ in kind between a network and another of the same architecture.

    `macs` and `params` are other / first over the convolutions of these slots; `closed_form` is what 1/o + 1/k^2
    (Howard et al. 2017) says of their MACs, each slot weighted with the MACs it had.
    """

    slots: tuple[int, ...]
    macs: float
    params: float
    closed_form: float


def replaced(first: Network, cost_first: Cost, other: Network, cost_other: Cost) -> Replaced | None:
    """How the slots of `other` that are not filled as in `first` compare; None where there are none to compare."""
    if len(first.slots) != len(other.slots):
        return None
    slots = tuple(a.index for a, b in zip(first.slots, other.slots, strict=True) if a.kind != b.kind)
    if not slots:
        return None
    macs = {slot: _sum(cost_first, (slot,), "macs_conv") for slot in slots}
    closed_form = sum(macs[slot] * _closed_form(first, slot) for slot in slots) / sum(macs.values())
    ratios = [_sum(cost_other, slots, name) / _sum(cost_first, slots, name) for name in ("macs_conv", "params_conv")]
    return Replaced(slots, ratios[0], ratios[1], closed_form)


def _closed_form(network: Network, slot: int) -> float:
    """1/o + 1/k^2 for the convolutions of slot number `slot`."""
    convs = [layer for layer in inside([network.slots[slot - 1]]) if isinstance(layer, Conv)]
    return 1 / convs[-1].out_channels + 1 / max(conv.kernel for conv in convs) ** 2


def _sum(cost: Cost, slots: tuple[int, ...], name: str) -> int:
    return sum(getattr(layer, name) for layer in cost.layers if layer.slot in slots)


def receptive_fields(network: Network) -> tuple[int, ...]:
    """One number a leaf, in order of computation: height and width in pixels of what its output depends on.

    A window of k pixels at a spacing of j pixels of the image adds (k - 1) * j, and its stride multiplies the spacing
    (Araujo et al. 2019). A sum sees what its widest path sees. Layers that have no window (pooling over everything,
    linear) repeat what came before, and a gate's factor is not counted: it sees everything, in a single number.
    """
    return tuple(_window_after(network.layers, 1, 1)[0])


def _window_after(layers: Sequence[Layer], pixels: int, spacing: int) -> tuple[list[int], int, int]:
    """The receptive fields of the leaves of `layers`, and the last one and the spacing after them."""
    out: list[int] = []
    for layer in layers:
        if isinstance(layer, (Conv, Pool)):
            size = layer.kernel if isinstance(layer, Conv) else layer.size
            pixels, spacing = pixels + (size - 1) * spacing, spacing * layer.stride
        if isinstance(layer, (Slot, Residual)):
            ends = []
            for branch in layer.branches:
                inner, *end = _window_after(branch, pixels, spacing)
                out += inner
                ends.append(end)
            pixels, spacing = max(end[0] for end in ends), ends[0][1]
        elif layer.branches:
            out += [pixels for part in inside([layer]) if not part.branches]
        else:
            out.append(pixels)
    return out, pixels, spacing


_INDEX_BYTES = 8  # of a max-pool: where each maximum was, int64
_OF_OUTPUT = ("relu", "tanh", "sigmoid")  # activations whose gradient needs their output; the others' their input


def saved_bytes(network: Network, size: int) -> int:
    """Bytes of activations, `size` an element, that one image keeps for the backward pass of `network`.

    As torch's formulas have it: convolutions, linear layers, norms and pooling keep their input, some activations
    their output and others their input, max-pooling its indices too, dropout its mask; a tensor that two of them
    need is kept once, and what comes before the first weights is not. Gradients, workspaces and the optimizer's state
    come on top.
    """
    kept: dict[int, int] = {}
    _keep(network.layers, network.input_shape, 0, kept, size)
    return sum(kept.values())


def passing_bytes(network: Network, size: int) -> int:
    """Bytes of activations, `size` an element, that one image takes at the most in a pass that keeps nothing.

    That is the largest input of a layer, and its output beside it.
    """
    return size * max(prod(step.in_shape) + prod(step.out_shape) for step in network.steps)


def _keep(layers: Sequence[Layer], shape: Shape, tensor: int, kept: dict[int, int], size: int) -> int:
    """Add what `layers` keep of an input `tensor` of `shape` to `kept`; returns the number of their output tensor.

    Number 0 is the image, and what is made of it without weights, which needs no gradient.
    """
    for _, layer in execution_order(layers):
        out_shape = layer.output_shape(shape)
        elements, out_elements = prod(shape), prod(out_shape)
        if isinstance(layer, Residual):
            for branch in layer.branches:
                _keep(branch, shape, tensor, kept, size)
            tensor = _new(kept)
        elif isinstance(layer, Gate):
            factor = _keep(layer.body, shape, tensor, kept, size)
            kept[tensor], kept[factor] = size * elements, size * shape[0]
            tensor = _new(kept)
        elif (tensor or layer.params) and not _is_view(layer, shape):
            output = _new(kept)
            if isinstance(layer, (Conv, Linear, BatchNorm, Pool)):
                kept[tensor] = size * elements
            if isinstance(layer, Pool) and layer.kind == "max":
                kept[_new(kept)] = _INDEX_BYTES * out_elements
            if isinstance(layer, Activation):
                kept[output if layer.kind in _OF_OUTPUT else tensor] = size * elements
            if isinstance(layer, Dropout):
                kept[_new(kept)] = size * (shape[0] if layer.channelwise else elements)
            tensor = output
        shape = out_shape
    return tensor


def _is_view(layer: Layer, shape: Shape) -> bool:
    """Whether the output of `layer` lies where its input does: dropout of nothing, flattening without reordering."""
    if isinstance(layer, Flatten):
        return 1 in (shape[0], prod(shape[1:]))
    return isinstance(layer, Dropout) and layer.p == 0


def _new(kept: dict[int, int]) -> int:
    """A number for a new tensor, of which nothing is kept so far."""
    number = len(kept) + 1
    kept[number] = 0
    return number
