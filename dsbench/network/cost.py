"""What a network costs, by arithmetic on its description: nothing is built, nothing allocated."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from math import prod
from typing import Any

from dsbench.network.containers import Step
from dsbench.network.description import Network
from dsbench.network.layers import Activation, BatchNorm, Conv, Linear, Shape
from dsbench.network.receptive import receptive_fields
from dsbench.network.saved import saved_bytes

DTYPE_BYTES = {"32": 4, "bf16": 2, "16": 2}
# What a record, a table and a file of costs hold of a network.
TOTALS = (
    "params",
    "params_conv",
    "buffers",
    "macs",
    "macs_conv",
    "flops",
    "acts",
    "acts_conv",
    "bytes",
    "intensity",
    "norm_ops",
    "activation_ops",
    "training_bytes",
    "receptive_field",
)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What adds up over layers, for one image.

    `macs` are multiply-accumulates of convolutions and linear layers. `acts` are the elements that these write, the
    activations of Radosavovic et al. (2020). `norm_ops` and `activation_ops` are element operations, two an element for
    a batch norm and one for an activation, which no budget counts. `bytes_read` are each layer's input and weights,
    `bytes_written` its output, each moved once. The figures that end in `_conv` are those of the convolutions in slots
    alone: all that a model family changes.
    """

    params: int = 0
    params_conv: int = 0
    buffers: int = 0
    macs: int = 0
    macs_conv: int = 0
    acts: int = 0
    acts_conv: int = 0
    norm_ops: int = 0
    activation_ops: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    @property
    def flops(self) -> int:
        """Floating-point operations of convolutions and linear layers, two a MAC."""
        return 2 * self.macs

    @property
    def bytes(self) -> int:
        """Bytes that must move to and from memory at the least."""
        return self.bytes_read + self.bytes_written

    @property
    def intensity(self) -> float:
        """Arithmetic intensity in FLOP per byte (Williams et al. 2009)."""
        return self.flops / self.bytes if self.bytes else 0.0


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
    """The cost of `network`, formulas as each layer states them; bytes are those of `precision` (32, bf16, 16)."""
    size = DTYPE_BYTES[precision]
    layers = tuple(
        LayerCost(
            label=step.layer.label,
            slot=step.slot.index if step.slot else None,
            output_shape=step.out_shape,
            receptive_field=field,
            **counts(step, size),
        )
        for step, field in zip(network.steps, receptive_fields(network), strict=True)
    )
    sums = {f.name: sum(getattr(layer, f.name) for layer in layers) for f in fields(Counts)}
    return Cost(layers=layers, training_bytes=saved_bytes(network, size), **sums)


def counts(step: Step, size: int = 4) -> dict[str, int]:
    """What one leaf adds to each field of Counts, at `size` bytes an element."""
    layer, out = step.layer, prod(step.out_shape)
    params, macs = layer.params, layer.macs(step.in_shape)
    acts = out if isinstance(layer, (Conv, Linear)) else 0
    family = isinstance(layer, Conv) and step.slot is not None
    return {
        "params": params,
        "params_conv": params if family else 0,
        "buffers": layer.buffers,
        "macs": macs,
        "macs_conv": macs if family else 0,
        "acts": acts,
        "acts_conv": acts if family else 0,
        "norm_ops": 2 * out if isinstance(layer, BatchNorm) else 0,
        "activation_ops": out if isinstance(layer, Activation) else 0,
        "bytes_read": size * (prod(step.in_shape) + params + layer.buffers),
        "bytes_written": size * out,
    }
