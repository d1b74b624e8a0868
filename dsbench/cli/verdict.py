"""`dsbench verdict`: whether separable networks were lighter, faster and better, with the evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

import typer

from dsbench.cli.options import OUTPUTS, Margin, Outputs
from dsbench.cli.output import show
from dsbench.tables import Table


def verdict(
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name or folder; without one, all runs.")] = None,
    outputs: Outputs = OUTPUTS,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Only whether B is lighter, faster and better than A, names as in the tables."
        ),
    ] = None,
    margin: Margin = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with every figure: an object.")] = False,
) -> None:
    """Say of each two cells that match whether one is lighter, faster and better: yes, no, or cannot tell.

    Cells match where data, recipe and a budget are the same, to within 1 %; those of equal width are compared apart.
    Accuracies are paired by seed; p is that of the sign-flip test, adjusted by Holm over the pairs of a group. What is
    faster is measured by dsbench bench.
    """
    from dsbench.report.answers import verdict_tables
    from dsbench.results.query import runs_of, sweep_folder
    from dsbench.sweep.looks import rule_of
    from dsbench.verdict.sentences import paragraphs
    from dsbench.verdict.verdict import as_data, verdict

    runs, where = runs_of(outputs, sweep)
    judged = verdict(where, runs, compare, rule_of(None if sweep is None else sweep_folder(outputs, sweep), margin))
    sentences = paragraphs(judged, where)
    if as_json:
        typer.echo(json.dumps(as_data(judged) | {"said": sentences}))
        return
    tables = verdict_tables(judged)
    notes = " ".join(table.note for table in tables if table.note)
    for table in tables:
        show(replace(table, note=""), "")
    if tables:
        show(Table("", (), notes), "")
    show("\n\n".join(sentences))
