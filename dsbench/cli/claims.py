"""`dsbench claims`: what a published study claims, and what runs of its networks say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsbench.cli.results import OUTPUTS, Outputs

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from dsbench.claims.decide import Outcome

_STYLES = {"holds": "green", "does not hold": "red", "cannot tell": "yellow", "not tested": "dim"}


def claims(
    study: Annotated[str, typer.Argument(help="mnist_7800, cifar10_fc, cifar10_three_way, cifar10_vgg, ...")],
    sweep: Annotated[
        str | None, typer.Argument(help="A sweep's name; without one, the sweep of the study's name, else all runs.")
    ] = None,
    outputs: Outputs = OUTPUTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of objects.")] = False,
) -> None:
    """Print each claim, what the study itself measured, what runs here measured, and whether it holds.

    With two seeds or more the 95 % interval of the mean decides; where it lies across the claim's bound, it cannot be
    told. Runs of a changed recipe count too, and are said to be changed.
    """
    from dsbench.claims.decide import decide
    from dsbench.claims.published import published
    from dsbench.claims.runs import study_runs
    from dsbench.sweep.collect import plain

    known = published(study)
    runs = study_runs(study, plain(_table(study, sweep, outputs)), outputs)
    outcomes = decide(known, runs)
    if as_json:
        typer.echo(json.dumps([one.plain() for one in outcomes]))
        return
    from dsbench.run.progress import terminal

    console = terminal()
    console.print(f"[bold]{study}[/bold]: {known.title}", soft_wrap=True)
    console.print(_shown(outcomes))
    counts = {verdict: sum(one.verdict == verdict for one in outcomes) for verdict in _STYLES}
    console.print(", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number))
    for changed in sorted({str(run.row["study"]) for run in runs if "(modified" in str(run.row["study"])}):
        console.print(f"changed recipe: {changed}", soft_wrap=True, markup=False)


def _table(study: str, sweep: str | None, outputs: Path) -> pd.DataFrame:
    from dsbench.cli.results import runs_of
    from dsbench.sweep.collect import runs_table
    from dsbench.sweep.folder import sweeps
    from dsbench.sweep.records import records

    if sweep is None and study not in sweeps(outputs):
        return runs_table(records(outputs))  # none at all is no error: the claims are shown all the same
    return runs_of(outputs, sweep or study)


def _shown(outcomes: list[Outcome]) -> Table:
    from rich.table import Table

    table = Table(show_lines=True)
    for name in ("claim", "the study", "measured here", "verdict"):
        table.add_column(name)
    for one in outcomes:
        style = _STYLES[one.verdict]
        table.add_row(one.claim.text, one.claim.study, one.measured, f"[{style}]{one.verdict}[/{style}]")
    return table
