"""The tables of a sweep for a terminal: its cells, its runs, and those of its runs that are in no mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.numerals import counted, mean_percent, percent, points
from dsbench.quantities import COUNTED_BUDGETS, QUANTITIES, Quantity
from dsbench.results.cells import not_in_means
from dsbench.results.naming import naming, short_names
from dsbench.results.records import plain
from dsbench.tables import Column, Table, figures, filled, names, numbers, texts, written

if TYPE_CHECKING:
    import pandas as pd

REASONS = {
    "collapsed": "learnt nothing, answers one class",
    "diverged": "a loss that is no number",
    "running": "not ended",
    "missing": "not started",
}
_LEGEND = "mean of the n runs that are done, ± half of its 95 % interval (Student's t); sd over seeds"
_MIXED_CODE = "mixed code"
_LATENCY, _TIME = QUANTITIES["latency_ms"], QUANTITIES["train_seconds"]
_BALANCED = QUANTITIES["test_balanced_acc"]
_ACCURACIES = (QUANTITIES["test_acc"], QUANTITIES["best_val_acc"])  # a table of what explores has the second alone


def cells(frame: pd.DataFrame, asked: str = "") -> Table:
    """A table of cells (see cells_table): names, test accuracy, costs, time, and runs in no mean.

    What all have in common is in a line above. Where room is short counts are rounded to three digits; what else
    there is says `dsbench results`, which was `asked` for these cells.
    """
    named, rows = naming(frame), plain(frame)
    score = _score(frame)
    balanced = [_balanced(row[f"{score.name}_mean"], row.get("test_balanced_acc_mean")) for row in rows]
    scores = (
        numbers("n", [row["n_done"] for row in rows], str),
        written(score.heading, _means(score, rows), brief=score.brief),
        replace(numbers("sd", [row[f"{score.name}_sd"] for row in rows], points), minor=True),
        *filled([figures(_BALANCED, balanced)]),
    )
    costs = [figures(cost, [row[cost.name] for row in rows]) for cost in COUNTED_BUDGETS]
    off = [row["requested_residual"] for row in rows]
    measured = [
        replace(numbers("off budget", off, lambda share: percent(share, "+")), minor=True),
        figures(_LATENCY, [row.get(_LATENCY.cells_column) for row in rows]),
        _train_times(rows, _TIME.cells_column),
    ]
    excluded = texts("not in the mean", [_not_in_the_mean(row) for row in rows])
    mixed = any(_MIXED_CODE in text for text in excluded.texts)
    legend = f"{score.heading}: {_LEGEND}"
    legend += f"; {_MIXED_CODE}: the seeds of a cell were not made by the same code" * mixed
    return Table(
        named.shared,
        (*names(named.columns), *scores, *costs, *filled([*measured, excluded, _remarks(rows)])),
        "; ".join(filter(None, (legend, _of_groups(rows)))),
        elsewhere=_elsewhere(asked),
    )


def overview(frame: pd.DataFrame, asked: str = "") -> Table:
    """A table of cells in brief: one name each, test accuracy, counted costs, latency or time of training.

    How many runs of a cell are done is said where not all are, or cells differ in it.
    """
    rows = plain(frame)
    latency = figures(_LATENCY, [row.get(_LATENCY.cells_column) for row in rows])
    seconds = _train_times(rows, _TIME.cells_column)
    done = [f"{row['n_done']}/{row['n_runs']}" for row in rows]
    alike = len(set(done)) == 1 and all(row["n_done"] == row["n_runs"] for row in rows)
    columns = (
        *names({"": short_names(frame)}),
        *([] if alike else [written("done", done)]),
        written(_score(frame).heading, _means(_score(frame), rows)),
        *(figures(cost, [row[cost.name] for row in rows]) for cost in COUNTED_BUDGETS),
        *(filled([latency]) or filled([seconds])),
        *filled([texts("not in the mean", [_not_in_the_mean(row) for row in rows])]),
        *filled([_remarks(rows)]),
    )
    return Table("", columns, "" if filled([latency]) else _of_groups(rows), elsewhere=_elsewhere(asked))


def _score(frame: pd.DataFrame) -> Quantity:
    """The accuracy by which a table of cells tells them apart."""
    return next(score for score in _ACCURACIES if f"{score.name}_mean" in frame)


def _means(score: Quantity, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [mean_percent(row[f"{score.name}_mean"], row[f"{score.name}_high"]) for row in rows]


def _elsewhere(asked: str) -> str:
    return f"{' '.join(filter(None, ('dsbench results', asked, '--csv')))} has every column"


def runs(frame: pd.DataFrame, asked: str = "") -> Table:
    """A table of runs (see runs_table), one row a run."""
    named, rows = naming(frame), plain(frame)
    scores = [score for score in _ACCURACIES if score.name in frame]
    balanced = [_balanced(row[scores[0].name], row.get("test_balanced_acc")) for row in rows]
    named_runs = named.columns | {"seed": ["" if row["seed"] is None else str(row["seed"]) for row in rows]}
    columns = (
        *(figures(score, [row[score.name] for row in rows], score.brief) for score in scores),
        *filled([figures(_BALANCED, balanced)]),
        _train_times(rows, _TIME.name),
        texts("status", [row["status"] for row in rows]),
        *filled([_remarks(rows)]),
        texts("run", [row["run_id"] for row in rows]),
    )
    return Table(named.shared, (*names(named_runs), *columns), _of_groups(rows), elsewhere=_elsewhere(asked))


def failures(frame: pd.DataFrame, outputs: Path | str = "outputs", most: int = 20) -> Table:
    """Of a table of runs those that are in no mean, `most` of them, with the reason and the path of the log.

    It goes with a table of cells, which says what they have in common.
    """
    excluded = [number for number, status in enumerate(frame["status"]) if status != "done"]
    shown = excluded[:most]
    rows = plain(frame.iloc[shown])
    named = {name: [column[number] for number in shown] for name, column in naming(frame).columns.items()}
    logs = ["" if row["status"] == "missing" else f"{Path(outputs)}/runs/{row['run_id']}/run.log" for row in rows]
    columns = (
        texts("not in a mean because", [_reason(row["status"], row["error"]) for row in rows]),
        texts("log", logs),
    )
    more = f"and {len(excluded) - most} more" if len(excluded) > most else ""
    seeds = {"seed": [str(row["seed"]) for row in rows]}
    return Table("", (*names(named | seeds), *columns), more)


def best(objectives: Sequence[str], trials: Sequence[tuple[Sequence[str], Sequence[float]]]) -> Table:
    """The best trials of a search, none of which another beats: their overrides and figures for the `objectives`."""
    if not trials:
        return Table("no trial counts", ())
    keys = [override.split("=")[0] for override in trials[0][0]]
    chosen = {key: [overrides[i].split("=", 1)[1] for overrides, _ in trials] for i, key in enumerate(keys)}
    scores = [numbers(name, [values[i] for _, values in trials], "{:.6g}".format) for i, name in enumerate(objectives)]
    title = f"not beaten by another in {' and '.join(objectives)} at once:" if len(objectives) > 1 else "best:"
    return Table(title, (*names(chosen), *scores))


def versions(frame: pd.DataFrame) -> str:
    """One line where the runs of a table were made by several versions of the code, else an empty text.

    A version is the hash of the code that computes, with its commits; a record without the hash has only these.
    """
    made = frame[~frame["status"].isin(["missing", "unreadable"])]
    commits = made["git_sha"].fillna("unknown").map(lambda sha: f"{sha[:7]}{'+' if sha.endswith('+') else ''}")
    counts = made["source_sha256"].fillna(commits).value_counts()
    if len(counts) < 2:
        return ""
    listed = []
    for version, number in counts.items():
        at = commits[made["source_sha256"].fillna(commits) == version].unique()
        source = f"source {version[:7]}, " if version not in at else ""
        listed.append(f"{' and '.join(at)} ({source}{counted(number, 'run')})")
    return f"made by {len(counts)} versions of the code: {', '.join(listed)}"


def _not_in_the_mean(row: Mapping[str, Any]) -> str:
    mixed = _MIXED_CODE if ", " in (row["source_sha256"] or "") else ""
    return ", ".join(filter(None, (not_in_means(row), mixed)))


def _balanced(accuracy: float | None, balanced: float | None) -> float | None:
    """The balanced accuracy, where the classes are so unequal that it is another."""
    return None if accuracy is None or balanced is None or abs(accuracy - balanced) < 0.01 else balanced


def _train_times(rows: Sequence[Mapping[str, Any]], column: str) -> Column:
    """In brackets where they are those of a group of runs."""
    plainly = figures(_TIME, [row.get(column) for row in rows])
    entries = (
        replace(entry, text=f"({entry.text})", brief=f"({entry.brief})") if entry.text and _in_group(row) else entry
        for entry, row in zip(plainly.entries, rows, strict=True)
    )
    return replace(plainly, entries=tuple(entries))


def _of_groups(rows: Sequence[Mapping[str, Any]]) -> str:
    return "train time in brackets: of seeds trained as one program" if any(map(_in_group, rows)) else ""


def _in_group(row: Mapping[str, Any]) -> bool:
    """Whether the run of a row, or any of its cell's, was trained with others as one program."""
    return row.get("fused") not in (None, 1, "1")


def _remarks(rows: Sequence[Mapping[str, Any]]) -> Column:
    return texts("remark", [row.get("remark") or "" for row in rows])


def _reason(status: str, error: str | None) -> str:
    """A status and its reason, which may begin with the status itself."""
    reason = error or REASONS.get(status)
    return reason if reason and reason.startswith(status) else ": ".join(filter(None, (status, reason)))
