"""`dsbench dashboard`: browse runs in the terminal, or build the project's view in W&B."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dsbench.cli.options import OUTPUTS, Outputs
from dsbench.cli.sync import chosen
from dsbench.errors import InputError


def dashboard(
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name: show its runs.")] = None,
    outputs: Outputs = OUTPUTS,
    online: Annotated[bool, typer.Option("--online", help="Save a view, and a sweep's report, in W&B.")] = False,
    project: Annotated[str, typer.Option(help="With --online: as logger.project sets it.")] = "dsbench",
    entity: Annotated[str | None, typer.Option(help="With --online: account or team; by default your login's.")] = None,
) -> None:
    """Browse runs in the terminal, in W&B's own `wandb leet`; with --online in W&B, where `dsbench sync` puts them.

    In the terminal f filters runs, by name or tags:SWEEP, space selects them, n turns pages, h helps, q quits.
    """
    if online:
        _online(sweep, outputs, project, entity)
        return
    from dsbench.tracking import leet
    from dsbench.tracking.offline import offline_runs

    shown = {run.run_id for run in chosen(outputs, sweep)} if sweep is not None else None
    runs = offline_runs(outputs)
    if not any((outputs / "wandb").glob("*run-*/run-*.wandb")):  # online runs are here, too
        raise InputError(f"no runs of W&B in {outputs / 'wandb'}; runs with logger=wandb leave them")
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise InputError("dsbench dashboard needs a terminal; without one: dsbench results, or --csv, --json of it")
    leet.arrange(outputs / "wandb", runs, shown)
    leet.launch(outputs / "wandb")


def _online(sweep: str | None, outputs: Path, project: str, entity: str | None) -> None:
    from dsbench.tracking.online import check_installed, default_entity, save_report, save_view, saving
    from dsbench.tracking.wandb import check_credentials

    check_installed()
    check_credentials()
    from dsbench.report.content import report
    from dsbench.sweep.find import sweep_folder
    from dsbench.tracking.page import page
    from dsbench.tracking.view import workspace

    folder = sweep_folder(outputs, sweep) if sweep is not None else None
    name, run_ids = (folder.name, folder.run_ids()) if folder is not None else (None, None)
    content = report(folder) if folder is not None else None
    memory = outputs / "wandb" / "online.json"
    with saving():
        owner = entity or default_entity()
        typer.echo(f"view: {save_view(workspace(owner, project, name, run_ids), memory)}")
        if content is not None and run_ids is not None:
            typer.echo(f"report: {save_report(page(owner, project, content, run_ids), memory)}")
