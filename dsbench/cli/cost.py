"""`dsbench cost`: what the networks that some overrides name cost, side by side or layer by layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dsbench.config.compose import Composed, compose
from dsbench.config.network import network
from dsbench.config.sweep import combinations
from dsbench.errors import InputError
from dsbench.network.cost import DTYPE_BYTES, TOTALS, Cost
from dsbench.network.cost import cost as cost_of
from dsbench.network.description import Network


@dataclass(frozen=True)
class Costed:
    """A network, what it costs, and what it is called."""

    composed: Composed
    network: Network
    cost: Cost

    @property
    def name(self) -> dict[str, Any]:
        """Model, architecture, block (where a slot has one), width and data set."""
        choices, config = self.composed.choices, self.composed.config
        separable = any(slot.kind != "plain" for slot in self.network.slots)
        return {
            "model": choices["model"],
            "arch": choices["arch"],
            "block": choices["block"] if separable else None,
            "width": config.width,
            "data": config.data.name,
        }

    @property
    def title(self) -> str:
        """The name in one line."""
        name, image = self.name, "x".join(map(str, self.network.input_shape))
        block = f", block {name['block']}" if name["block"] else ""
        return f"{name['model']}, arch {name['arch']}{block}, width {name['width']}, image {image}"

    def totals(self) -> dict[str, Any]:
        """Every total, by its name."""
        return {name: getattr(self.cost, name) for name in TOTALS}


def cost(
    overrides: Annotated[list[str] | None, typer.Argument(help="As for sweep.py: model=cnn,dwsep width=8")] = None,
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

    if precision not in DTYPE_BYTES:
        raise InputError(f"unknown --precision {precision!r}; choose one of {', '.join(DTYPE_BYTES)}")
    costed = [_costed(one, precision, config_dir) for one in combinations(overrides or [])]
    if plot is not None and len(costed) > 1:
        raise InputError(f"--plot draws one network, these overrides name {len(costed)}")
    if as_json:
        _print_json(costed)
    elif as_csv:
        cost_tables.write_csv(costed, layers)
    elif layers or len(costed) == 1:
        for one in costed:
            cost_tables.print_layers(one)
    else:
        cost_tables.print_comparison(costed)
    if plot is not None:
        _draw(plot, costed[0])
    if check:
        for one in costed:
            _check(one)


def _costed(overrides: list[str], precision: str, config_dir: str | None) -> Costed:
    composed = compose(overrides, config_dir)
    net = network(composed)
    return Costed(composed, net, cost_of(net, precision))


def _print_json(costed: list[Costed]) -> None:
    import json

    objects = [one.name | one.totals() | {"layers": [asdict(layer) for layer in one.cost.layers]} for one in costed]
    typer.echo(json.dumps(objects[0] if len(objects) == 1 else objects))


def _draw(path: Path, costed: Costed) -> None:
    from dsbench.network.draw import draw

    try:
        path.write_text(draw(costed.network, costed.title), encoding="utf-8")
    except OSError as error:
        raise InputError(f"--plot {path}: {error.strerror}") from error
    typer.echo(f"drawn: {path}", err=True)


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
        typer.echo(f"error: {costed.title}: counts differ, {'; '.join(wrong)}", err=True)
        raise typer.Exit(1)
    typer.echo(
        f"fvcore agrees: {counted.macs:,} MACs, {counted.acts:,} activations; torch: {counted.params:,} parameters",
        err=True,
    )
