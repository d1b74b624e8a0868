"""`dsbench cost`: what networks cost, side by side or layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from dsbench.cli.options import NETWORKS
from dsbench.cli.output import print_csv, print_json, remark, show, write
from dsbench.errors import InputError, choose
from dsbench.network.cost import DTYPE_BYTES, Cost, replaced
from dsbench.network.layers import Conv, Linear
from dsbench.numerals import percent
from dsbench.quantities import COST_COLUMNS, LIGHTER, QUANTITIES, Quantity
from dsbench.sweep.networks import (
    Costed,
    differing_keys,
    differing_values,
    names_of,
    networks,
    shape,
    shared,
    short_titles,
)
from dsbench.tables import Column, Table, figures, names, numbers

_MINOR = ("intensity", "training_bytes", "receptive_field")
_ELSEWHERE = "the same with --csv has every column"
_RATIOS = (
    "slots: those filled otherwise than in the first network; 1/o + 1/k²: what their MACs shrink to on paper, at equal "
    "channels"
)


def cost(
    arguments: Annotated[list[str] | None, typer.Argument(help=NETWORKS)] = None,
    layers: Annotated[bool, typer.Option("--layers", help="A row a layer, also of several networks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: an object, or a list of several.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV: a row a network, with --layers a row a layer.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare with fvcore and torch on real tensors.")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="SVG", help="Draw the (one) network into this file.")] = None,
    precision: Annotated[str, typer.Option(help="Bytes are those of 32, bf16 or 16.")] = "32",
    config_dir: Annotated[str | None, typer.Option(metavar="DIR", help="A further folder of YAML files.")] = None,
) -> None:
    """Print what networks cost for one image: parameters, multiply-accumulates (MACs), activations, bytes.

    One network is shown layer by layer, several side by side with ratios to the first. Nothing is built and no weights
    are allocated, but for --check.
    """
    choose("--precision", precision, DTYPE_BYTES)
    costed = [Costed.of(network, precision) for network in networks(arguments or [], config_dir)]
    if plot is not None and len(costed) > 1:
        raise InputError(f"--plot draws one network, these arguments name {len(costed)}")
    if as_json:
        print_json([_object(network) for network in costed])
    elif as_csv:
        print_csv([row for network in costed for row in network.rows(layers)])
    elif layers or len(costed) == 1:
        for network in costed:
            show(*_layer_by_layer(network))
    else:
        show(*_side_by_side(costed))
    if plot is not None:
        from dsbench.network.draw import draw

        write(plot, draw(costed[0].network, costed[0].title))
        remark(f"drawn: {plot}")
    if check:
        for network in costed:
            _check(network)


def _object(network: Costed) -> dict[str, Any]:
    requested = network.requested.facts() if network.requested else None
    layers = [layer.facts() for layer in network.cost.layers]
    return network.name | network.totals() | {"requested": requested, "layers": layers}


def _layer_by_layer(network: Costed) -> list[Table | str]:
    """One network, a row a layer, and what tables leave out."""
    cost = network.cost
    budget = [f"budget: {network.requested}"] if network.requested else []
    return [
        _layers(network),
        f"{cost.buffers:,} buffers, {cost.flops:,} FLOPs (2 a MAC), {cost.norm_ops:,} norm and {cost.activation_ops:,} "
        f"activation operations, {cost.training_bytes:,} bytes kept for the backward pass, for one image",
        *budget,
    ]


def _layers(network: Costed) -> Table:
    cost, kinds = network.cost, {slot.index: slot.kind for slot in network.network.slots}
    slots, last = [], None
    for layer in cost.layers:
        slots.append("" if layer.slot is None or layer.slot == last else f"{layer.slot} {kinds[layer.slot]}")
        last = layer.slot
    columns = names(
        {
            "slot": [*slots, ""],
            "layer": [*(layer.label for layer in cost.layers), "total"],
            "output": [*map(shape, cost.layers), ""],
        }
    )
    steps = zip(cost.layers, network.network.steps, strict=True)
    intensities = [layer.intensity if isinstance(step.layer, (Conv, Linear)) else None for layer, step in steps]
    for quantity in COST_COLUMNS:
        if quantity.name == "intensity":
            values: list[float | None] = [*intensities, cost.intensity]
        elif quantity.name == "receptive_field":
            values = [*(layer.receptive_field for layer in cost.layers), None]
        elif hasattr(cost.layers[0], quantity.name):
            values = [*(getattr(layer, quantity.name) for layer in cost.layers), getattr(cost, quantity.name)]
        else:
            continue  # it does not add up over layers
        columns.append(_figures(quantity, values))
    return Table(network.title, tuple(columns), total=True, elsewhere=_ELSEWHERE)


def _figures(quantity: Quantity, values: Sequence[Any]) -> Column:
    return replace(figures(quantity, values), minor=quantity.name in _MINOR)


def _side_by_side(costed: Sequence[Costed]) -> list[Table | str]:
    """Several networks, then their ratios to the first and what the closed form promised."""
    own_names = names_of(costed)
    distinctions = names(
        dict(zip(differing_keys(own_names), zip(*differing_values(own_names), strict=True), strict=True))
    )
    costs = [
        _figures(quantity, [getattr(network.cost, quantity.name) for network in costed]) for quantity in COST_COLUMNS
    ]
    residuals = [network.requested.residual if network.requested else None for network in costed]
    off = numbers("off budget", residuals, lambda share: percent(share, "+"))
    budgets = dict.fromkeys(network.requested.target_line for network in costed if network.requested)
    return [
        shared(own_names),
        Table("for one image", (*distinctions, *costs, *([off] if budgets else [])), elsewhere=_ELSEWHERE),
        *(f"budget: {line}" for line in budgets),
        Table(f"times {short_titles(costed)[0]}", (*distinctions, *_ratios(costed)), _RATIOS),
    ]


def _ratios(costed: Sequence[Costed]) -> list[Column]:
    first = costed[0]
    whole = [
        numbers(
            quantity.heading, [_ratio(quantity.name, network.cost, first.cost) for network in costed], "{:.4f}".format
        )
        for quantity in LIGHTER
    ]
    slots = [replaced(first.network, first.cost, network.network, network.cost) for network in costed]
    same_width = [all(network.name[key] == first.name[key] for key in ("width", "fine_width")) for network in costed]
    closed = [ratio.closed_form if ratio and same else None for ratio, same in zip(slots, same_width, strict=True)]
    return [
        *whole,
        numbers("slots' params", [ratio.params if ratio else None for ratio in slots], "{:.4f}".format),
        numbers("slots' MACs", [ratio.macs if ratio else None for ratio in slots], "{:.4f}".format),
        numbers("1/o + 1/k²", closed, "{:.4f}".format),
    ]


def _ratio(name: str, cost: Cost, first: Cost) -> float | None:
    return getattr(cost, name) / getattr(first, name) if getattr(first, name) else None


def _check(network: Costed) -> None:
    from dsbench.network.check import count

    counted, costs = count(network.network), network.cost
    counters = {"macs": "fvcore", "acts": "fvcore", "params": "torch", "buffers": "torch"}
    wrong = [
        f"{QUANTITIES[name].wording} ({counter}): {theirs:,}, dsbench {ours:,}"
        for name, counter in counters.items()
        if (theirs := getattr(counted, name)) != (ours := getattr(costs, name))
    ]
    if wrong:
        remark(f"error: {network.title}: counts differ, {'; '.join(wrong)}")
        raise typer.Exit(1)
    remark(f"fvcore agrees: {counted.macs:,} MACs, {counted.acts:,} activations; torch: {counted.params:,} parameters")
