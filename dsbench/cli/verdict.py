"""`dsbench verdict`: whether separable networks were lighter, faster and better, with the evidence."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dsbench.cli.options import OUTPUTS, Margin, Outputs
from dsbench.cli.output import show


def verdict(
    sweep: Annotated[
        str | None, typer.Argument(help="A sweep's name or folder, or its runs.csv; without one, all runs.")
    ] = None,
    outputs: Outputs = OUTPUTS,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Only whether B is lighter, faster and better than A, names as in the tables."
        ),
    ] = None,
    with_details: Annotated[
        bool, typer.Option("--details", help="Print the evidence too: levels, p, costs, times, reliability.")
    ] = False,
    margin: Margin = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with every figure: an object.")] = False,
) -> None:
    """Say of each two cells that match whether one is lighter, faster, better and more reliable, and by how much.

    Cells match where data, recipe and a budget are the same; those of equal width are compared apart. Accuracies are
    means over all runs that are done; each family of comparisons shares a chance of 5 % of a false claim. What is
    faster is measured by dsbench bench.
    """
    from dsbench.report.answers import answer_table, overtaking, verdict_tables, where_it_wins
    from dsbench.results.query import runs_of, sweep_folder
    from dsbench.sweep.looks import rule_of
    from dsbench.verdict.advice import advice
    from dsbench.verdict.details import details, missing
    from dsbench.verdict.sentences import headline, title, winners
    from dsbench.verdict.verdict import as_data, verdict

    runs, where = runs_of(outputs, sweep)
    folder = None if sweep is None else sweep_folder(outputs, sweep)
    judged = verdict(where, runs, compare, rule_of(folder, margin))
    if as_json:
        said = {"title": title(judged), "advice": advice(judged), "headline": headline(judged)}
        typer.echo(json.dumps(said | as_data(judged)))
        return
    show(title(judged), "")
    if judged.groups:
        show(answer_table(judged), "")
    show(*filter(None, [advice(judged)]), *headline(judged))
    along = overtaking(judged)
    if along:
        show("", along if with_details else along.without_note())
    chips = where_it_wins(judged)
    if chips:
        show("", chips if with_details else chips.without_note(), "", *winners(judged))
    if not with_details:
        show("", "details: the same with --details")
        return
    for table in verdict_tables(judged):
        show("", table)
    show("", *details(judged), *missing(judged, where, folder.name if folder else None))
