"""`dsbench clean`: remove checkpoints to free their space."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from dsbench.cli.options import OUTPUTS, Outputs, Where
from dsbench.errors import InputError


def clean(
    outputs: Outputs = OUTPUTS,
    keep: Annotated[
        str, typer.Option(metavar="tested|best|last|none", help="What stays; tested: best or last, as was tested.")
    ] = "tested",
    where: Where = None,
    status: Annotated[str | None, typer.Option(help="Only of runs with this status: done, or done,collapsed.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only say what would go.")] = False,
) -> None:
    """Remove checkpoints of runs that are done, diverged or collapsed; records, metrics and logs stay.

    Runs that would be trained on when asked for again keep all of theirs, and so do those that a process trains now.
    """
    from dsbench.results.query import checked, condition, labelled, selected
    from dsbench.results.records import records, runs_table
    from dsbench.run.folder import RunFolder
    from dsbench.run.record import Status
    from dsbench.run.retention import KEEP, spare

    checked(keep, KEEP, "--keep")
    conditions = list(where or [])
    if status is not None:
        for name in status.split(","):
            checked(name, [str(each) for each in Status], "status")
        conditions.append(f"status={status}")
    runs = runs_table(records(outputs))
    if runs.empty:
        raise InputError(f"no runs in {outputs / 'runs'}; outputs takes the folder that outputs= sets")
    run_ids = selected(labelled(runs), [condition(text) for text in conditions])["run_id"]
    try:
        cleaned = [spare(RunFolder(outputs / "runs" / run_id), keep, remove=yes) for run_id in run_ids]
    except OSError as error:
        raise InputError(f"cannot remove checkpoints in {outputs / 'runs'}: {error.strerror}") from None
    freed = [run for run in cleaned if run.files]
    names = Counter("half-written" if path.name.startswith(".") else path.name for run in freed for path in run.files)
    files = ", ".join(f"{number} {name}" for name, number in sorted(names.items(), reverse=True)) or "nothing"
    typer.echo(
        f"{'freed' if yes else 'would free'} {sum(run.size for run in freed) / 1e6:.1f} MB: {files}, "
        f"of {len(freed)} of {len(run_ids)} runs"
    )
    for reason, number in Counter(run.left for run in cleaned if run.left).items():
        typer.echo(f"left alone: {number} {'run' if number == 1 else 'runs'} {reason}")
    if freed and not yes:
        typer.echo("--yes removes them")
