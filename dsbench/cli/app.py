"""The `dsbench` command: what train.py and sweep.py do, from any folder, and the rest."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dsbench.cli import data, hydra
from dsbench.cli.bench import bench
from dsbench.cli.claims import claims
from dsbench.cli.clean import clean
from dsbench.cli.commands import added
from dsbench.cli.cost import cost
from dsbench.cli.export import export
from dsbench.cli.map import map
from dsbench.cli.options import OutputsIfGiven
from dsbench.cli.output import print_version
from dsbench.cli.report import figures, report
from dsbench.cli.results import results
from dsbench.cli.verdict import verdict
from dsbench.cli.wandb import dashboard, sync
from dsbench.config.overrides import quoted


def train(context: typer.Context, outputs: OutputsIfGiven = None) -> None:
    """Train one network; --help shows every key."""
    _hydra("train", context.args, outputs)


def sweep(context: typer.Context, outputs: OutputsIfGiven = None) -> None:
    """Train many networks and say which are lighter, faster and better; --help shows every key."""
    _hydra("sweep", context.args, outputs)


def plan(context: typer.Context, outputs: OutputsIfGiven = None) -> None:
    """Show what a sweep would train, what it costs and how long it takes, and train nothing."""
    _hydra("sweep", [*context.args, "plan=true"], outputs, name="plan")


def _hydra(config_name: str, arguments: list[str], outputs: Path | None, name: str = "") -> None:
    """Hand the rest of the command line, Hydra's --config-dir included, to Hydra."""
    given = [f"outputs={quoted(outputs)}"] if outputs else []
    sys.argv = [f"dsbench {name or config_name}", *arguments, *given]
    hydra.run_hydra(config_name)


# In the order of a day: the commands under a heading, each with an example.
_DAY: dict[str, dict[Callable[..., Any] | typer.Typer, str]] = {
    "Train": {
        train: "dsbench train model=dwsep data=cifar10",
        sweep: "dsbench sweep model=cnn,dwsep width=8,16 seeds=5",
        plan: "dsbench plan model=cnn,dwsep width=8,16 seeds=5",
    },
    "Costs": {
        cost: "dsbench cost model=cnn,dwsep width=16",
        bench: "dsbench bench model=cnn,dwsep width=16 --roofline",
        map: "dsbench map --minutes 4 --kernels 3 precision=32",
    },
    "Results": {
        results: "dsbench results --where model=dwsep --sort -test_acc",
        verdict: "dsbench verdict --compare cnn,dwsep",
        report: "dsbench report",
        figures: "dsbench figures --format svg,png",
        claims: "dsbench claims mnist_7800",
        export: "dsbench export outputs/runs/RUN_ID --format tflite --int8",
    },
    "Data, W&B, disk": {
        data.app: "dsbench data get cifar10",
        dashboard: "dsbench dashboard",
        sync: "dsbench sync",
        clean: "dsbench clean --keep best",
    },
}
_PASS_ON: dict[str, Any] = {  # to Hydra, which knows the options of those that train
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    "add_help_option": False,
}


class _Headed(TyperGroup):
    """Commands under their headings, in the order of a day."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        order = [_name(command) for commands in _DAY.values() for command in commands]
        return sorted(self.commands, key=order.index)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each heading, and its commands, each with its first sentence."""
        for heading, commands in _DAY.items():
            with formatter.section(heading):
                named = [self.commands[_name(command)] for command in commands]
                formatter.write_dl([(command.name, command.get_short_help_str()) for command in named])


def _name(command: Callable[..., Any] | typer.Typer) -> str:
    return str(command.info.name) if isinstance(command, typer.Typer) else command.__name__


app = typer.Typer(name="dsbench", cls=_Headed, rich_markup_mode=None, epilog="dsbench COMMAND --help says more.")


@app.callback()
def _dsbench(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """When is a depthwise-separable convolution lighter, faster and better than a conventional one?"""


for _commands in _DAY.values():
    for _command, _example in _commands.items():
        added(app, _command, _example, **(_PASS_ON if _command in (train, sweep, plan) else {}))
