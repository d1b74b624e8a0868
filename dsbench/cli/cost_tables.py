"""The tables of `dsbench cost`."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dsbench.network.compare import replaced
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
    console = _console()
    console.print(costed.title)
    console.print(table)
    console.print(
        f"{cost.buffers:,} buffers, {cost.flops:,} FLOPs (2 a MAC), {cost.norm_ops:,} norm and {cost.activation_ops:,} "
        f"activation operations, {cost.training_bytes:,} bytes kept for the backward pass, for one image",
        soft_wrap=True,
    )


def print_comparison(costed: list[Costed]) -> None:
    """Several networks side by side, then their ratios to the first and what the closed form promised."""
    keys = [key for key in costed[0].name if len({one.name[key] for one in costed}) > 1]
    costs, ratios = _named("for one image", keys), _named(f"times {_label(costed[0], keys)}", keys)
    for name in ("params", "MACs", "activations", "bytes", "FLOP/byte", "training bytes", "sees"):
        costs.add_column(name, justify="right")
    for name in ("params", "MACs", "activations", "bytes", "slots' params", "slots' MACs", "1/o + 1/k²"):
        ratios.add_column(name, justify="right")
    first = costed[0]
    for one in costed:
        cost = one.cost
        called = [str(one.name[key] or "") for key in keys]
        numbers = (cost.params, cost.macs, cost.acts, cost.bytes)
        costs.add_row(
            *called,
            *(f"{number:,}" for number in numbers),
            f"{cost.intensity:.2f}",
            f"{cost.training_bytes:,}",
            str(cost.receptive_field),
        )
        whole = [_ratio(getattr(cost, key), getattr(first.cost, key)) for key in ("params", "macs", "acts", "bytes")]
        slots = replaced(first.network, first.cost, one.network, cost)
        parts = [f"{part:.4f}" for part in (slots.params, slots.macs, slots.closed_form)] if slots else ["", "", ""]
        ratios.add_row(*called, *whole, *parts)
    console = _console()
    console.print(", ".join(f"{key} {value}" for key, value in first.name.items() if key not in keys and value))
    console.print(costs)
    console.print(ratios)
    console.print(
        "slots: those filled otherwise than in the first network; 1/o + 1/k²: what their MACs shrink to on paper"
    )


def write_csv(costed: list[Costed], layers: bool) -> None:
    """CSV on standard output: a row a network, or with `layers` a row a layer."""
    rows = []
    for one in costed:
        if layers:
            rows += [{**one.name, **asdict(layer), "flops": layer.flops} for layer in one.cost.layers]
        else:
            rows.append(one.name | one.totals())
    writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _named(title: str, keys: list[str]) -> Table:
    return Table(*keys, title=title, title_justify="left", box=SIMPLE_HEAD)


def _label(costed: Costed, keys: list[str]) -> str:
    return " ".join(str(costed.name[key]) for key in keys if costed.name[key]) or costed.title


def _ratio(number: float, first: float) -> str:
    return f"{number / first:.4f}" if first else ""


def _console() -> Any:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)
