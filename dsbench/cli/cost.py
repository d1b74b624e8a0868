"""`dsbench cost`: what the network that some overrides name costs, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsbench.config.compose import Composed, compose
from dsbench.config.network import network
from dsbench.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from dsbench.network.cost import Cost
    from dsbench.network.description import Network


def cost(
    overrides: Annotated[list[str] | None, typer.Argument(help="As for train.py: model=dwsep width=8")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare with fvcore and torch on real tensors.")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="SVG", help="Draw the network into this file.")] = None,
    config_dir: Annotated[str | None, typer.Option(metavar="DIR", help="A further folder of YAML files.")] = None,
) -> None:
    """Print what a network costs for one image: parameters and multiply-accumulates (MACs), layer by layer.

    Nothing is built and no weights are allocated, but for --check.
    """
    from dsbench.network.cost import cost as cost_of

    composed = compose(overrides or [], config_dir)
    net = network(composed)
    costs = cost_of(net)
    if as_json:
        _print_json(costs)
    else:
        _print_table(headline(composed, net), net, costs)
    if plot is not None:
        _draw(plot, headline(composed, net), net)
    if check:
        _check(net, costs)


def headline(composed: Composed, net: Network) -> str:
    """Model, architecture, block (where a slot has one), width and image shape, in one line."""
    choices = composed.choices
    separable = any(kind != "plain" for kind in _slot_kinds(net).values())
    block = f", block {choices['block']}" if separable else ""
    image = "x".join(map(str, net.input_shape))
    return f"{choices['model']}, arch {choices['arch']}{block}, width {composed.config.width}, image {image}"


def _slot_kinds(net: Network) -> dict[int, str]:
    from dsbench.network.containers import Slot

    return {layer.index: layer.kind for layer in net.layers if isinstance(layer, Slot)}


def _print_json(costs: Cost) -> None:
    import json
    from dataclasses import asdict

    totals = {name: getattr(costs, name) for name in ("params", "buffers", "macs", "flops")}
    typer.echo(json.dumps({**totals, "layers": [asdict(layer) for layer in costs.layers]}))


def _print_table(title: str, net: Network, costs: Cost) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(title)
    console.print(_table(net, costs))
    console.print(f"{costs.buffers:,} buffers, {costs.flops:,} FLOPs (2 a MAC), for one image")


def _table(net: Network, costs: Cost) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("slot", "layer", "output", "params", "MACs", box=SIMPLE_HEAD, show_footer=True)
    for column in table.columns[2:]:
        column.justify = "right"
    for column, total in zip(table.columns, ("", "total", "", f"{costs.params:,}", f"{costs.macs:,}"), strict=True):
        column.footer = total
    kinds, last = _slot_kinds(net), None
    for layer in costs.layers:
        name = "" if layer.slot is None or layer.slot == last else f"{layer.slot} {kinds[layer.slot]}"
        last = layer.slot
        output = "x".join(map(str, layer.output_shape))
        table.add_row(name, layer.label, output, f"{layer.params:,}", f"{layer.macs:,}")
    return table


def _draw(path: Path, title: str, net: Network) -> None:
    from dsbench.network.draw import draw

    try:
        path.write_text(draw(net, title), encoding="utf-8")
    except OSError as error:
        raise InputError(f"--plot {path}: {error.strerror}") from error
    typer.echo(f"drawn: {path}", err=True)


def _check(net: Network, costs: Cost) -> None:
    from dsbench.network.check import count

    counted = count(net)
    if (counted.macs, counted.params, counted.buffers) != (costs.macs, costs.params, costs.buffers):
        typer.echo(
            f"error: fvcore counts {counted.macs:,} MACs, dsbench {costs.macs:,}; torch holds {counted.params:,} "
            f"parameters and {counted.buffers:,} buffers, dsbench counts {costs.params:,} and {costs.buffers:,}",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"fvcore agrees: {counted.macs:,} MACs; torch: {counted.params:,} parameters", err=True)
