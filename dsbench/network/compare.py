"""Networks side by side: what one costs against another, and what the closed form promised."""

from __future__ import annotations

from dataclasses import dataclass

from dsbench.network.cost import Cost
from dsbench.network.description import Network
from dsbench.network.layers import Conv


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
    slots = tuple(one.index for one, two in zip(first.slots, other.slots, strict=True) if one.kind != two.kind)
    if not slots:
        return None
    macs = {slot: _sum(cost_first, (slot,), "macs_conv") for slot in slots}
    promised = sum(macs[slot] * _closed_form(first, slot) for slot in slots) / sum(macs.values())
    ratios = [_sum(cost_other, slots, name) / _sum(cost_first, slots, name) for name in ("macs_conv", "params_conv")]
    return Replaced(slots, ratios[0], ratios[1], promised)


def _closed_form(network: Network, slot: int) -> float:
    """1/o + 1/k^2 for the convolutions of slot number `slot`."""
    convs = [
        s.layer for s in network.steps if isinstance(s.layer, Conv) and s.slot is not None and s.slot.index == slot
    ]
    return 1 / convs[-1].out_channels + 1 / max(conv.kernel for conv in convs) ** 2


def _sum(cost: Cost, slots: tuple[int, ...], name: str) -> int:
    return sum(getattr(layer, name) for layer in cost.layers if layer.slot in slots)
