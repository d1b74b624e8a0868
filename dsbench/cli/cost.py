"""`dsbench cost`: what networks cost, side by side or layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dsbench.cli.networks import ARGUMENTS, NamedNetwork, networks
from dsbench.cli.output import print_json, remark, write
from dsbench.errors import InputError, choose
from dsbench.network.cost import DTYPE_BYTES, TOTALS, Cost
from dsbench.network.cost import cost as cost_of


@dataclass(frozen=True)
class Costed(NamedNetwork):
    """A network and what it costs."""

    cost: Cost

    def totals(self) -> dict[str, Any]:
        """Every total, by its name."""
        return {name: getattr(self.cost, name) for name in TOTALS}


def cost(
    arguments: Annotated[list[str] | None, typer.Argument(help=ARGUMENTS)] = None,
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
    from dsbench.cli import cost_tables

    choose("--precision", precision, DTYPE_BYTES)
    named = networks(arguments or [], config_dir)
    costed = [Costed(**vars(one), cost=cost_of(one.network, precision)) for one in named]
    if plot is not None and len(costed) > 1:
        raise InputError(f"--plot draws one network, these arguments name {len(costed)}")
    if as_json:
        print_json([_object(one) for one in costed])
    elif as_csv:
        cost_tables.write_csv(costed, layers)
    elif layers or len(costed) == 1:
        for one in costed:
            cost_tables.print_layers(one)
    else:
        cost_tables.print_comparison(costed)
    if plot is not None:
        from dsbench.network.draw import draw

        write(plot, draw(costed[0].network, costed[0].title))
        remark(f"drawn: {plot}")
    if check:
        for one in costed:
            _check(one)


def _object(one: Costed) -> dict[str, Any]:
    requested = one.requested.facts() if one.requested else None
    layers = [layer.facts() for layer in one.cost.layers]
    return one.name | one.totals() | {"requested": requested, "layers": layers}


def _check(costed: Costed) -> None:
    from dsbench.network.check import count

    counted, costs = count(costed.network), costed.cost
    others = (counted.macs, counted.acts, counted.params, counted.buffers)
    ours = (costs.macs, costs.acts, costs.params, costs.buffers)
    names = ("MACs (fvcore)", "activations (fvcore)", "parameters (torch)", "buffers (torch)")
    wrong = [
        f"{name}: {other:,}, dsbench {our:,}"
        for name, other, our in zip(names, others, ours, strict=True)
        if other != our
    ]
    if wrong:
        remark(f"error: {costed.title}: counts differ, {'; '.join(wrong)}")
        raise typer.Exit(1)
    remark(f"fvcore agrees: {counted.macs:,} MACs, {counted.acts:,} activations; torch: {counted.params:,} parameters")
