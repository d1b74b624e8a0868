"""A query of runs: those of a sweep or all, the rows that meet conditions such as model=dwsep, and their order."""

from __future__ import annotations

import difflib
import operator
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.errors import InputError
from dsbench.results.cells import cells_table
from dsbench.results.folder import RunsFile, SweepFolder, natural, sweeps, sweeps_of_runs, with_hash
from dsbench.results.records import OUTCOMES, plain, records, runs_table, timings
from dsbench.run import index
from dsbench.run.record import short_label

if TYPE_CHECKING:
    import pandas as pd

_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_MOST_NAMES = 12  # in a message
_CONDITION = re.compile(r"\s*([^<>=!\s]+)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*")


@dataclass(frozen=True)
class Condition:
    """A column, how it is compared (=, !=, <, >, <=, >=), and with what."""

    column: str
    comparison: str
    value: str

    def on(self, column: str) -> Condition:
        """The same condition on another column."""
        return replace(self, column=column)

    def __str__(self) -> str:
        return f"{self.column}{self.comparison}{self.value}"


def condition(text: str) -> Condition:
    """Read a condition. Raises InputError."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InputError(f"where: {text!r} is no condition; write it as model=dwsep, width!=8 or macs<=1e6")
    return Condition(match[1], "=" if match[2] == "==" else match[2], match[3])


def selected(frame: pd.DataFrame, conditions: Sequence[Condition]) -> pd.DataFrame:
    """The rows that meet all `conditions`.

    Numbers are compared as numbers and other values as text; `=` and `!=` take several values (`model=cnn,dwsep`) and
    `null` for what is missing, which meets no other condition but `!=`. Raises InputError for a column that is not
    there and for an order that makes no sense.
    """
    for each in conditions:
        frame = frame[_met(frame[checked(each.column, frame.columns)], each)]
    return frame


def selection(runs: pd.DataFrame, where: Sequence[str], as_runs: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs that meet the conditions, and these or their cells, each with its label.

    Conditions on what was asked for select the runs of which cells are made; those on results select cells by their
    figures, since a mean over runs chosen by their result would be no mean. Raises InputError.
    """
    conditions = [condition(text) for text in where]
    if as_runs:
        runs = selected(labelled(runs), conditions)
        return runs, runs
    planned = [name for name in runs.columns if name not in (*OUTCOMES, *timings(runs))]
    on_runs = [each for each in conditions if each.column in planned]
    on_cells = [each for each in conditions if each.column not in planned]
    cells = labelled(cells_table(runs))
    names = cells.columns
    for each in on_cells:
        if each.column in runs.columns and cell_column(each.column, names) not in names:
            raise InputError(f"{each.column} is a run's, not a cell's; ask for runs (--runs)")
        checked(cell_column(each.column, names), [*names, *planned])
    if on_runs:
        runs = selected(runs, on_runs)
        cells = labelled(cells_table(runs))
    cells = selected(cells, [each.on(cell_column(each.column, names)) for each in on_cells])
    return runs[runs["cell_id"].isin(cells["cell_id"])], cells


def cell_column(name: str, names: Collection[str]) -> str:
    """The column of a table of cells for a run's: test_acc is test_acc_mean."""
    return f"{name}_mean" if name not in names and f"{name}_mean" in names else name


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """A table of runs, or of cells, with the short label of each behind its id; that of a cell has no seed."""
    names = [name for name in ("model", "width", "fine_width", "seed") if name in table]
    labels = [short_label(id, **row) for id, row in zip(table.iloc[:, 0], plain(table[names]), strict=True)]
    out = table.copy()
    out.insert(1, "label", labels)
    return out


def arranged(frame: pd.DataFrame, key: str | None) -> pd.DataFrame:
    """The rows in order of a column, with `-` before its name the largest first; missing values come last.

    Numbers in texts are in order of their size.
    """
    if key is None:
        return frame
    column = checked(key.removeprefix("-"), frame.columns)
    keys = _numbers(frame[column])
    keys = frame[column].astype("string").map(natural, na_action="ignore") if keys is None else keys
    order = keys.sort_values(ascending=not key.startswith("-"), kind="stable", na_position="last").index
    return frame.loc[order]


def checked(name: str, names: Sequence[str], what: str = "column") -> str:
    """`name`, if it is one of `names`. Raises InputError with the nearest of them."""
    if name in names:
        return name
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    listed = ", ".join(list(names)[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    raise InputError(f"unknown {what} {name!r}; " + (f"did you mean {close[0]!r}?" if close else f"there are {listed}"))


def _met(column: pd.Series, wanted: Condition) -> pd.Series:
    numbers = _numbers(column)
    if wanted.comparison in _ORDERS:
        if numbers is None:
            met = _ORDERS[wanted.comparison](column.astype("string"), wanted.value)
        else:
            met = _ORDERS[wanted.comparison](numbers, _number(wanted))
        return met.fillna(False).astype(bool)
    values = [wanted.value.replace(" ", "")] if wanted.value.startswith("[") else wanted.value.split(",")
    equal = column.isna() & ("null" in values)
    equal |= column.astype("string").str.lower().isin([value.lower() for value in values])
    if numbers is not None and column.dtype != "string":
        equal |= numbers.isin([float(value) for value in values if _is_number(value)])
    return equal if wanted.comparison == "=" else ~equal


def _numbers(column: pd.Series) -> pd.Series | None:
    """The column as numbers, None where a value is none."""
    import pandas as pd

    if column.dtype == "boolean":
        return None
    numbers = pd.to_numeric(column, errors="coerce").astype("Float64")
    return None if (numbers.isna() & column.notna()).any() else numbers


def _number(wanted: Condition) -> float:
    if not _is_number(wanted.value):
        raise InputError(f"where: {wanted}: {wanted.value!r} is not a number, and {wanted.column} is one")
    return float(wanted.value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def run_folder(outputs: Path, run: str) -> Path:
    """The folder of a run: by its path, by its id or the beginning of that, or by what it is called (`dwsep w8 s0`).

    Raises InputError where no run or several in `outputs` are meant.
    """
    ways = "give a run's folder, its id or the beginning of that, or its name such as 'dwsep w8 s0'"
    if not run.strip():
        raise InputError(f"the name of a run is empty; {ways}")
    for path in (outputs / "runs" / run, Path(run)):
        if path.is_dir() or (os.sep in run and path == Path(run)):
            return path
    known = records(outputs)
    meant = [record for record in known if record.run_id.startswith(run)] or [
        record for record in known if run in (record.short_label, str(record.label))
    ]
    if len(meant) == 1:
        return outputs / "runs" / meant[0].run_id
    if meant:
        ids = [f"{record.run_id} ({record.short_label} on {record.data})" for record in meant]
        listed = ", ".join(ids[:_MOST_NAMES]) + (", ..." if len(ids) > _MOST_NAMES else "")
        raise InputError(f"{run!r} means {len(meant)} runs in {outputs / 'runs'}: {listed}; give one's id")
    raise InputError(f"no run {run!r} in {outputs / 'runs'}; {ways}")


def sweep_folder(outputs: Path, sweep: str | None) -> SweepFolder:
    """The folder of a sweep by its name, the hash of its cells, its path or its runs.csv; without one the last written.

    Raises InputError where there is none.
    """
    if sweep is not None and sweep.endswith(".csv"):
        return RunsFile.at(Path(sweep))
    if sweep is not None and (Path(sweep) / "sweep.yaml").is_file():
        return _in_place(Path(sweep))
    names = sweeps(outputs)
    if not names:
        raise InputError(f"no sweeps in {outputs / 'sweeps'}; outputs takes the folder that outputs= sets")
    if sweep is not None:
        found = None if sweep in names else with_hash(outputs, sweep)
        return found or SweepFolder(outputs / "sweeps" / checked(sweep, names, "sweep"))
    folders = [SweepFolder(outputs / "sweeps" / name) for name in names]
    return max(folders, key=lambda folder: folder.sweep_file.stat().st_mtime)


def runs_of(outputs: Path, sweep: str | None) -> tuple[pd.DataFrame, Path]:
    """The table of the sweep's runs, or of all under `outputs`, and the folder of results that they lie in.

    The index of runs is brought up to date on the way. Raises InputError where there are none of either.
    """
    if sweep is None:
        all_runs = records(outputs)
        if not all_runs:
            raise InputError(f"no runs in {outputs / 'runs'}; outputs takes the folder that outputs= sets")
        runs = runs_table(all_runs)
        index.write(outputs, plain(runs[list(index.FACTS)]), sweeps_of_runs(outputs))
        return runs, outputs
    if "=" in sweep:
        raise InputError(f"{sweep!r} is no sweep but a condition; give it as one of where (--where {sweep})")
    folder = sweep_folder(outputs, sweep)
    return (folder.collect() if os.access(folder.path, os.W_OK) else folder.read())[0], folder.outputs


def _in_place(path: Path) -> SweepFolder:
    """The sweep in the folder `path`, by its absolute path, from which its name and the folder of its runs follow.

    Raises InputError where the folder is not in OUTPUTS/sweeps: all of its runs would be missing.
    """
    absolute = Path(os.path.abspath(path))
    for place in (absolute, absolute.resolve()):  # a link may stand for the sweep, or lie where sweeps do
        if place.parent.name == "sweeps":
            return SweepFolder(place)
    raise InputError(f"the sweep in {absolute} is not in its place, OUTPUTS/sweeps/NAME, with its runs in OUTPUTS/runs")
