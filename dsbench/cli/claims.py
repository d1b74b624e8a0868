"""`dsbench claims`: the claims of a published study, decided by runs of its networks."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsbench.cli.options import OUTPUTS, Outputs
from dsbench.cli.output import show
from dsbench.tables import Table, answers, texts

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.claims.decide import Outcome


def claims(
    study: Annotated[str, typer.Argument(help="mnist_7800, cifar10_fc, cifar10_three_way, cifar10_vgg, ...")],
    sweep: Annotated[
        str | None,
        typer.Argument(help="A sweep's name or folder, or its runs.csv; without one, the study's latest, else all."),
    ] = None,
    outputs: Outputs = OUTPUTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of objects.")] = False,
) -> None:
    """Print each claim, what the study itself measured, what runs here measured, and whether it holds.

    The 95 % interval of the mean over seeds decides, of two models that of the difference of their means, unpaired;
    where it lies across the claim's bound, and by fewer than three runs a model, it cannot be told. One run is enough
    for what is counted and for a digit of the study's own log. Times are those of the verdict. Runs of a changed recipe
    count too, and are named; runs on other data do not.
    """
    from dsbench.claims.decide import decide
    from dsbench.claims.published import changed, published, study_runs

    claimed = published(study)
    table, outputs = _runs_of(study, sweep, outputs)
    runs = study_runs(study, table, outputs)
    outcomes = decide(claimed, runs)
    if as_json:
        typer.echo(json.dumps([outcome.plain() for outcome in outcomes]))
        return
    if not runs:
        elsewhere = "" if outputs == OUTPUTS else f" --outputs {shlex.quote(str(outputs))}"
        trains = f"dsbench sweep{elsewhere} sweep={study}"
        show(f"{study}: {claimed.title}", _claimed(outcomes), f"no run tests these yet; this trains them: {trains}")
        return
    counts = Counter(outcome.verdict for outcome in outcomes)
    show(
        f"{study}: {claimed.title}",
        _table(outcomes),
        ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common()),
        *(f"changed recipe: {recipe}" for recipe in changed(run.label for run in runs)),
    )


def _runs_of(study: str, sweep: str | None, outputs: Path) -> tuple[pd.DataFrame, Path]:
    """The table of the runs that are asked for, and the folder of results that they lie in."""
    from dsbench.results.query import runs_of, sweep_folder
    from dsbench.results.records import records, runs_table
    from dsbench.sweep.design import refuse_explored

    name = sweep or _latest(study, outputs)
    if name is None:
        return runs_table(records(outputs)), outputs  # none at all is no error: the claims are shown all the same
    if "=" not in name:  # which runs_of refuses
        refuse_explored(sweep_folder(outputs, name))
    return runs_of(outputs, name)


def _latest(study: str, outputs: Path) -> str | None:
    """The name of the sweep last written to that has runs of the study, and judges them."""
    from dsbench.results import folder
    from dsbench.results.folder import SweepFolder, sweeps
    from dsbench.sweep.design import explores

    folders = [SweepFolder(outputs / "sweeps" / name) for name in sweeps(outputs)]
    for sweep in sorted(folders, key=lambda sweep: sweep.sweep_file.stat().st_mtime, reverse=True):
        has = any(run.label.study == study for run in folder.read(sweep.plan_file).values())
        if has and not explores(sweep):
            return sweep.name
    return None


def _claimed(outcomes: list[Outcome]) -> Table:
    """The claims alone, as long as nothing has tested them."""
    claims = [outcome.claim for outcome in outcomes]
    return Table(
        "", (texts("claim", [c.text for c in claims]), texts("the study", [c.study for c in claims])), prose=True
    )


def _table(outcomes: list[Outcome]) -> Table:
    columns = (
        texts("claim", [outcome.claim.text for outcome in outcomes]),
        texts("the study", [outcome.claim.study for outcome in outcomes]),
        texts("measured here", [outcome.measured for outcome in outcomes]),
        answers("verdict", [outcome.verdict for outcome in outcomes]),
    )
    return Table("", columns, prose=True)
