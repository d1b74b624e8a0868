"""`dsbench sync` and `dsbench dashboard`: upload offline runs to W&B, browse runs in the terminal or in W&B."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsbench.cli.options import OUTPUTS, Outputs
from dsbench.cli.output import remark, show
from dsbench.errors import InputError
from dsbench.numerals import counted
from dsbench.tables import Table, names, texts

if TYPE_CHECKING:
    from dsbench.publish.offline import OfflineRun


def sync(
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name; without one, all offline runs.")] = None,
    outputs: Outputs = OUTPUTS,
    at_once: Annotated[int, typer.Option(min=1, metavar="N", help="Upload so many runs at a time.")] = 4,
    again: Annotated[bool, typer.Option("--again", help="Upload also what has been uploaded before.")] = False,
) -> None:
    """Upload offline runs of W&B, once each: the same command goes on where it was stopped.

    A run keeps its id, so that a second upload is no second run. Runs that are being trained are left for later.
    """
    from dsbench.publish import offline
    from dsbench.run.interrupts import interruptible
    from dsbench.tracking import server

    runs = offline_runs_of(outputs, sweep)
    server.check_credentials()
    free = [run for run in runs if _is_free(outputs, run)]
    waiting = [run for run in free if again or not run.marker.exists()]
    if waiting:
        remark(f"uploading {counted(len(waiting), 'run')} to {server.way()}")
        server.check_reachable()
    if again:
        offline.forget(waiting)
    with interruptible():
        failed = _upload(waiting, at_once)
    _report(len(waiting) - len(failed), len(free) - len(waiting), len(runs) - len(free), failed)
    if failed:
        raise SystemExit(1)


def offline_runs_of(outputs: Path, sweep: str | None) -> list[OfflineRun]:
    """The offline runs of the sweep, its summary included, or all. Raises InputError where there is none."""
    from dsbench.publish.offline import offline_runs, summary_id
    from dsbench.results.query import sweep_folder

    offline = offline_runs(outputs)
    if not offline:
        raise InputError(f"no offline runs of W&B in {outputs / 'wandb'}; runs with logger=wandb leave them")
    if sweep is None:
        return offline
    folder = sweep_folder(outputs, sweep)
    run_ids = {*folder.run_ids(), summary_id(folder.name)}
    offline = [run for run in offline if run.run_id in run_ids]
    if not offline:
        raise InputError(
            f"no offline runs of the sweep {folder.name} in {outputs / 'wandb'}; it ran without logger=wandb"
        )
    return offline


def _is_free(outputs: Path, run: OfflineRun) -> bool:
    """Whether no process is training the run: half of it would be marked as uploaded."""
    from dsbench.run.lock import locked_if_free

    with locked_if_free(outputs / "runs" / run.run_id) as free:
        return free


def _upload(runs: Sequence[OfflineRun], at_once: int) -> dict[str, str]:
    """Upload `runs` behind a progress bar; returns the reasons of those that failed, by id."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from dsbench.publish.offline import uploads

    columns = (TextColumn("uploading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    failed = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(runs))
        for run, reason in uploads(runs, at_once):
            bar.advance(task)
            if reason is not None:
                failed[run.run_id] = reason
    return failed


def _report(uploaded: int, before: int, in_training: int, failed: dict[str, str]) -> None:
    parts = [f"uploaded: {uploaded}", f"uploaded before: {before}"]
    show(", ".join([*parts, *([f"in training, left for later: {in_training}"] if in_training else [])]))
    if failed:
        columns = (*names({"run": list(failed)}), texts("reason", list(failed.values())))
        show(Table(f"{len(failed)} not uploaded", columns))


def dashboard(
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name: show its runs.")] = None,
    outputs: Outputs = OUTPUTS,
    online: Annotated[bool, typer.Option("--online", help="Save a view, and a sweep's report, in W&B.")] = False,
    project: Annotated[str, typer.Option(help="With --online: as logger.project sets it.")] = "dsbench",
    entity: Annotated[str | None, typer.Option(help="With --online: account or team; by default your login's.")] = None,
) -> None:
    """Print a table of cells and browse runs in the terminal, in W&B's own `wandb leet`; or, with --online, in W&B.

    Without a name the table is that of the last sweep. In leet f filters runs, by name or tags:SWEEP, space selects
    them, n turns pages, h helps, q quits.
    """
    if online:
        _online(sweep, outputs, project, entity)
        return
    from dsbench.publish import leet

    shown = {run.run_id for run in offline_runs_of(outputs, sweep)} if sweep is not None else None
    if not leet.runs(outputs):
        raise InputError(f"no runs of W&B in {outputs / 'wandb'}; runs with logger=wandb leave them")
    show(*_cells(outputs, sweep))
    folder = leet.arrange(outputs, shown)
    if sys.stdout.isatty() and sys.stdin.isatty():
        sys.stdout.flush()
        leet.launch(folder)
    show(f"curves, in a terminal: wandb leet {shlex.quote(str(folder))}")


def _cells(outputs: Path, sweep: str | None) -> list[Table]:
    """The cells of the sweep, or of the last one, or of all runs where there is no sweep; nothing without records."""
    from dsbench.results import tables
    from dsbench.results.cells import cells_table
    from dsbench.results.folder import sweeps
    from dsbench.results.query import runs_of, sweep_folder

    folder = sweep_folder(outputs, sweep) if sweep is not None or sweeps(outputs) else None
    if folder is None and not any((outputs / "runs").glob("*/result.json")):
        return []
    cells = cells_table(runs_of(outputs, folder.name if folder else None)[0])
    asked = shlex.quote(folder.argument) if folder else shlex.join(["--outputs", str(outputs)])
    return [replace(tables.overview(cells, asked), title=f"sweep {folder.name}" if folder else "all runs")]


def _online(sweep: str | None, outputs: Path, project: str, entity: str | None) -> None:
    from dsbench.publish.online import check_installed, default_entity, save_report, save_view, saving
    from dsbench.tracking.server import check_credentials

    check_installed()
    check_credentials()
    from dsbench.publish.online import workspace
    from dsbench.publish.page import page
    from dsbench.report.content import report
    from dsbench.results.query import sweep_folder

    folder = sweep_folder(outputs, sweep) if sweep is not None else None
    name, run_ids = (folder.name, folder.run_ids()) if folder is not None else (None, None)
    content = report(folder) if folder is not None else None
    memory = outputs / "wandb" / "online.json"
    with saving():
        owner = entity or default_entity()
        typer.echo(f"view: {save_view(workspace(owner, project, name, run_ids), memory)}")
        if content is not None and run_ids is not None:
            typer.echo(f"report: {save_report(page(owner, project, content, run_ids), memory)}")
