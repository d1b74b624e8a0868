"""The tables of `dsbench cost`."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from dsbench.budget.request import Requested
from dsbench.cli.networks import called, differing, names, shared, told_apart
from dsbench.cli.output import print_csv, table
from dsbench.console import terminal
from dsbench.network.cost import replaced
from dsbench.network.layers import Conv, Linear

if TYPE_CHECKING:
    from dsbench.cli.cost import Costed


def print_layers(costed: Costed) -> None:
    """One network, a row a layer."""
    cost = costed.cost
    table = Table("slot", "layer", "output", box=SIMPLE_HEAD, show_footer=True)
    for name, total in (
        ("params", cost.params),
        ("MACs", cost.macs),
        ("activations", cost.acts),
        ("bytes", cost.bytes),
    ):
        table.add_column(name, justify="right", footer=f"{total:,}")
    table.add_column("FLOP/byte", justify="right", footer=f"{cost.intensity:.2f}")
    table.add_column("sees", justify="right", footer="")
    table.columns[1].footer = "total"
    kinds, last = {slot.index: slot.kind for slot in costed.network.slots}, None
    for layer, step in zip(cost.layers, costed.network.steps, strict=True):
        slot = "" if layer.slot is None or layer.slot == last else f"{layer.slot} {kinds[layer.slot]}"
        last = layer.slot
        counted = isinstance(step.layer, (Conv, Linear))
        table.add_row(
            slot,
            layer.label,
            "x".join(map(str, layer.output_shape)),
            f"{layer.params:,}",
            f"{layer.macs:,}",
            f"{layer.acts:,}",
            f"{layer.bytes:,}",
            f"{layer.intensity:.2f}" if counted else "",
            str(layer.receptive_field),
        )
    console = terminal()
    console.print(costed.title)
    console.print(table)
    console.print(
        f"{cost.buffers:,} buffers, {cost.flops:,} FLOPs (2 a MAC), {cost.norm_ops:,} norm and {cost.activation_ops:,} "
        f"activation operations, {cost.training_bytes:,} bytes kept for the backward pass, for one image",
        soft_wrap=True,
    )
    if costed.requested:
        console.print(f"budget: {costed.requested}", soft_wrap=True)


def print_comparison(costed: list[Costed]) -> None:
    """Several networks side by side, then their ratios to the first and what the closed form promised."""
    named = names(costed)
    keys = differing(named)
    costs, ratios = table("for one image", *keys), table(f"times {called(costed)[0]}", *keys)
    for name in ("params", "MACs", "activations", "bytes", "FLOP/byte", "training bytes", "sees"):
        costs.add_column(name, justify="right")
    if any(one.requested for one in costed):
        costs.add_column("off budget", justify="right")
    for name in ("params", "MACs", "activations", "bytes", "slots' params", "slots' MACs", "1/o + 1/k²"):
        ratios.add_column(name, justify="right")
    first = costed[0]
    for one, cells in zip(costed, told_apart(named), strict=True):
        cost = one.cost
        numbers = (cost.params, cost.macs, cost.acts, cost.bytes)
        costs.add_row(
            *cells,
            *(f"{number:,}" for number in numbers),
            f"{cost.intensity:.2f}",
            f"{cost.training_bytes:,}",
            str(cost.receptive_field),
            *([f"{100 * one.requested.residual:+.2f} %"] if one.requested else []),
        )
        whole = [_ratio(getattr(cost, key), getattr(first.cost, key)) for key in ("params", "macs", "acts", "bytes")]
        slots = replaced(first.network, first.cost, one.network, cost)
        parts = [f"{part:.4f}" for part in (slots.params, slots.macs)] if slots else ["", ""]
        same_channels = one.name["width"] == first.name["width"] and one.name["fine_width"] == first.name["fine_width"]
        parts.append(f"{slots.closed_form:.4f}" if slots and same_channels else "")
        ratios.add_row(*cells, *whole, *parts)
    console = terminal()
    console.print(shared(named))
    console.print(costs)
    for line in dict.fromkeys(one.requested.target_line for one in costed if one.requested):
        console.print(f"budget: {line}", soft_wrap=True)
    console.print(ratios)
    console.print(
        "slots: those filled otherwise than in the first network; 1/o + 1/k²: what their MACs shrink to on paper, "
        "at equal channels"
    )


def write_csv(costed: list[Costed], layers: bool) -> None:
    """CSV on standard output: a row a network, or with `layers` a row a layer."""
    rows = []
    for one in costed:
        if layers:
            for layer in one.cost.layers:
                shape = "x".join(map(str, layer.output_shape))
                rows.append(one.name | layer.facts() | {"output_shape": shape})
        else:
            rows.append(one.name | one.totals() | _budget(one))
    print_csv(rows)


def _budget(costed: Costed) -> dict[str, Any]:
    facts = costed.requested.facts() if costed.requested else dict.fromkeys(f.name for f in fields(Requested))
    return {f"budget_{name}": value for name, value in facts.items()}


def _ratio(number: float, first: float) -> str:
    return f"{number / first:.4f}" if first else ""
