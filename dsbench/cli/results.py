"""`dsbench results`: what all runs, or those of one sweep, came to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dsbench.cli.options import OUTPUTS, Outputs, Where
from dsbench.cli.output import remark, show, write
from dsbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def results(
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name or folder; without one, all runs.")] = None,
    outputs: Outputs = OUTPUTS,
    where: Where = None,
    sort: Annotated[str | None, typer.Option(metavar="COLUMN", help="In this order; -COLUMN: largest first.")] = None,
    as_runs: Annotated[bool, typer.Option("--runs", help="A row a run, not a cell.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with every column.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with every column: a list of objects.")] = False,
    parquet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every column into this file.")] = None,
) -> None:
    """Print results: a row a cell, that is all runs that differ only in their seed, or a row a run.

    Everything is read from the runs' records. A sweep's runs.csv and cells.csv are made anew on the way. Test accuracy
    is the mean over the runs that are done; those that collapsed, diverged or failed are counted beside it.
    """
    if as_csv + as_json + (parquet is not None) > 1:
        raise InputError("--csv, --json and --parquet exclude each other; give one")
    if parquet is not None:
        _require_pyarrow()
    from dsbench.results.query import arranged, runs_of
    from dsbench.results.records import plain

    found, outputs = runs_of(outputs, sweep)
    runs, shown = _selected(found, where or [], as_runs)
    shown = arranged(shown, _resolved(sort, shown) if sort else None)
    if as_csv:
        typer.echo(shown.to_csv(index=False, lineterminator="\n"), nl=False)
    elif as_json:
        typer.echo(json.dumps(plain(shown)))
    elif parquet is not None:
        write(parquet, shown.to_parquet(engine="pyarrow", index=False))
        remark(f"written: {parquet}")
    else:
        _print(runs, shown, as_runs, failures_in=outputs if sweep is not None and not as_runs else None)


def _selected(runs: pd.DataFrame, where: list[str], as_runs: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs that conditions leave, and these or their cells.

    Cells are made of the runs that conditions on what was asked for leave; a condition on what came of them is one on
    the cell's figures, since a mean over runs chosen by their result would be no mean.
    """
    from dsbench.results.cells import cells_table
    from dsbench.results.query import condition, known, selected
    from dsbench.results.records import OUTCOMES, timings

    conditions = [condition(text) for text in where]
    if as_runs:
        runs = selected(runs, conditions)
        return runs, runs
    asked = [name for name in runs.columns if name not in (*OUTCOMES, *timings(runs))]
    before = [one for one in conditions if one.column in asked]
    after = [one for one in conditions if one not in before]
    names = cells_table(runs).columns
    for one in after:
        if one.column in runs.columns and _cell_column(one.column, names) not in names:
            raise InputError(f"{one.column} is a run's, not a cell's; add --runs")
        known(_cell_column(one.column, names), [*names, *asked])
    runs = selected(runs, before)
    cells = selected(cells_table(runs), [one.of(_cell_column(one.column, names)) for one in after])
    return runs[runs["cell_id"].isin(cells["cell_id"])], cells


def _cell_column(name: str, names: Any) -> str:
    """test_acc, of cells, is test_acc_mean."""
    return f"{name}_mean" if name not in names and f"{name}_mean" in names else name


def _resolved(sort: str, shown: pd.DataFrame) -> str:
    sign, name = ("-", sort[1:]) if sort.startswith("-") else ("", sort)
    return sign + _cell_column(name, shown.columns)


def _print(runs: pd.DataFrame, shown: pd.DataFrame, as_runs: bool, failures_in: Path | None) -> None:
    """The table, what made its runs and, with the folder of their logs, which runs are in no mean."""
    from dsbench.results import tables

    if shown.empty:
        show("no run meets these conditions")
        return
    versions = tables.versions(runs)
    show(tables.runs(shown) if as_runs else tables.cells(shown), *([versions] if versions else []))
    if failures_in is not None and (runs["status"] != "done").any():
        show(tables.failures(runs, failures_in))


def _require_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise InputError("--parquet needs pyarrow; pip install 'dsbench[parquet]'") from None
