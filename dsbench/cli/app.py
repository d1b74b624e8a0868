"""The `dsbench` command: what train.py and sweep.py do, from any folder, and the rest."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from dsbench.cli import data, hydra
from dsbench.cli.bench import bench
from dsbench.cli.claims import claims
from dsbench.cli.clean import clean
from dsbench.cli.cost import cost
from dsbench.cli.options import OutputsIfGiven
from dsbench.cli.report import figures, report
from dsbench.cli.results import results
from dsbench.cli.verdict import verdict
from dsbench.cli.wandb import dashboard, sync
from dsbench.config.compose import quoted

app = typer.Typer(
    help="When is a depthwise-separable convolution lighter, faster and better than a conventional one?",
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.command()(cost)
app.command()(bench)
app.command()(results)
app.command()(claims)
app.command()(verdict)
app.command()(figures)
app.command()(report)
app.command()(dashboard)
app.command()(sync)
app.command()(clean)

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_PASS_ON, add_help_option=False)
def train(context: typer.Context, outputs: OutputsIfGiven = None) -> None:
    """Train one network: dsbench train model=dwsep data=cifar10 (--help shows every key)."""
    _hydra("train", context, outputs)


@app.command(context_settings=_PASS_ON, add_help_option=False)
def sweep(context: typer.Context, outputs: OutputsIfGiven = None) -> None:
    """Train many networks: dsbench sweep -m model=cnn,dwsep width=8,16."""
    _hydra("sweep", context, outputs)


def _hydra(config_name: str, context: typer.Context, outputs: Path | None) -> None:
    """Hand the rest of the command line, Hydra's --config-dir included, to Hydra."""
    sys.argv = [f"dsbench {config_name}", *context.args, *([f"outputs={quoted(outputs)}"] if outputs else [])]
    hydra.run_hydra(config_name)
