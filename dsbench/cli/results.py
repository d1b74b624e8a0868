"""`dsbench results`: the results of all runs, or of those of a sweep."""

from __future__ import annotations

import json
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsbench.cli.options import OUTPUTS, Outputs, Where
from dsbench.cli.output import remark, show, write
from dsbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def results(
    sweep: Annotated[
        str | None, typer.Argument(help="A sweep's name or folder, or its runs.csv; without one, all runs.")
    ] = None,
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
    if parquet is not None and find_spec("pyarrow") is None:
        raise InputError("--parquet needs pyarrow; pip install 'dsbench[parquet]'")
    from dsbench.results.query import arranged, cell_column, runs_of, selection
    from dsbench.results.records import plain

    words = [*([sweep] if sweep is not None else []), *([] if outputs == OUTPUTS else ["--outputs", str(outputs)])]
    asked = shlex.join([*words, *(["--runs"] if as_runs else [])])
    all_runs, outputs = runs_of(outputs, sweep)
    runs, shown = selection(all_runs, where or [], as_runs)
    if sort is not None:
        sign, column = ("-", sort[1:]) if sort.startswith("-") else ("", sort)
        shown = arranged(shown, sign + cell_column(column, shown.columns))
    if as_csv:
        typer.echo(shown.to_csv(index=False, lineterminator="\n"), nl=False)
    elif as_json:
        typer.echo(json.dumps(plain(shown)))
    elif parquet is not None:
        write(parquet, shown.to_parquet(engine="pyarrow", index=False))
        remark(f"written: {parquet}")
    else:
        _print(runs, shown, as_runs, asked, failures_in=outputs if sweep is not None and not as_runs else None)


def _print(runs: pd.DataFrame, shown: pd.DataFrame, as_runs: bool, asked: str, failures_in: Path | None) -> None:
    """The table, the versions of the code, and the runs that are in no mean, whose logs lie in `failures_in`."""
    from dsbench.results import tables

    if shown.empty:
        show("no run meets these conditions")
        return
    versions = tables.versions(runs)
    show(tables.runs(shown, asked) if as_runs else tables.cells(shown, asked), *([versions] if versions else []))
    if failures_in is not None and (runs["status"] != "done").any():
        show(tables.failures(runs, failures_in))
