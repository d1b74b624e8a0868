"""The tables of a sweep for a terminal: its cells, its runs, and those of its runs that are in no mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from dsbench.console import Fitting, side_by_side, stacked
from dsbench.numerals import mean_percent, milliseconds, percent, points, quantity, rounded, seconds
from dsbench.results.cells import not_in_means
from dsbench.results.naming import naming
from dsbench.results.records import plain

if TYPE_CHECKING:
    import pandas as pd

REASONS = {
    "collapsed": "learnt nothing, answers one class",
    "diverged": "a loss that is no number",
    "running": "not ended",
    "missing": "not begun",
}
_LEGEND = "test accuracy: mean of the n runs that are done, ± half of its 95 % interval (Student's t); sd over seeds"
_COSTS = {"params": "params", "MACs": "macs", "acts": "acts"}
_FULL = {"acts": "activations", "time": "train time"}  # headings where there is room


def cells(frame: pd.DataFrame) -> RenderableType:
    """A table of cells (see cells_table): what tells them apart, test accuracy, costs, time, and runs in no mean.

    What all have in common stands in a line above. Where the terminal is too narrow for counts in full they are
    rounded to three digits, and below that the figures of a cell stand in several lines.
    """
    names, rows = naming(frame), plain(frame)
    n = [str(row["n_done"]) for row in rows]
    accuracy = [mean_percent(row["test_acc_mean"], row["test_acc_high"]) for row in rows]
    sd = [points(row["test_acc_sd"]) for row in rows]
    exact, short = (
        {name: [write(row[key]) for row in rows] for name, key in _COSTS.items()} for write in (quantity, rounded)
    )
    extra = _present(
        {
            "off budget": [percent(row["requested_residual"], "+") for row in rows],
            "latency": [milliseconds(row.get("latency_ms/batch_1/torch")) for row in rows],
            "time": [seconds(row["train_seconds_mean"]) for row in rows],
        }
    )
    lost = _present({"besides": [_besides(row) for row in rows]})
    full = {"n": n, "test accuracy": accuracy, "sd": sd, **_renamed(exact | extra)}
    brief = {"n": n, "test": accuracy, "sd": sd, **short, **extra}
    heaps = {
        "test accuracy": _heap(("", accuracy), ("sd ", sd), ("n ", n), *(("", texts) for texts in lost.values())),
        "costs": _heap(*((f"{name} ", texts) for name, texts in _renamed(short | extra).items())),
    }
    tables = (
        side_by_side(names.columns, full, lost),
        side_by_side(names.columns, brief, lost),
        stacked(names.columns, heaps),
    )
    mixed = ", and where the seeds of a cell were not made by the same code" if "mixed code" in str(lost) else ""
    legend = f"{_LEGEND}; besides: runs in no mean{mixed}" if lost else _LEGEND
    return Group(*_line(names.shared), Fitting(tables), Text(legend, style="dim"))


def runs(frame: pd.DataFrame) -> RenderableType:
    """A table of runs (see runs_table), one row a run."""
    names, rows = naming(frame), plain(frame)
    figures = {
        "seed": [_text(row["seed"]) for row in rows],
        "test": [percent(row["test_acc"]) for row in rows],
        "validation": [percent(row["best_val_acc"]) for row in rows],
        "train time": [seconds(row["train_seconds"]) for row in rows],
    }
    words = {name: [row[key] for row in rows] for name, key in {"status": "status", "run": "run_id"}.items()}
    choices = (side_by_side(names.columns, figures, words), stacked(names.columns, figures | words))
    return Group(*_line(names.shared), Fitting(choices))


def failures(frame: pd.DataFrame, outputs: Path | str = "outputs", most: int = 20) -> RenderableType:
    """Of a table of runs those that are in no mean, `most` of them, with the reason and the path of the log.

    It goes with a table of cells, which says what they have in common.
    """
    names, rows = naming(frame), plain(frame)
    lost = [index for index, row in enumerate(rows) if row["status"] != "done"]
    shown = [rows[index] for index in lost[:most]]
    called = {name: [texts[index] for index in lost[:most]] for name, texts in names.columns.items()}
    seed = {"seed": [_text(row["seed"]) for row in shown]}
    why = [_why(row["status"], row["error"]) for row in shown]
    logs = ["" if row["status"] == "missing" else f"{Path(outputs) / 'runs' / row['run_id']}/run.log" for row in shown]
    words = {"not in a mean because": why, "log": logs}
    both = {"not in a mean because": _heap(("", why), ("log ", logs))}
    choices = (side_by_side(called, seed, words), stacked(called | seed, both))
    more = f"and {len(lost) - most} more" if len(lost) > most else ""
    return Group(Fitting(choices), *_line(more))


def best(names: Sequence[str], found: Sequence[tuple[Sequence[str], Sequence[float]]]) -> RenderableType:
    """The trials of a search that no other beats: the overrides and figures of each, the figures called `names`."""
    if not found:
        return Text("no trial counts")
    keys = [one.split("=")[0] for one in found[0][0]]
    chosen = {key: [row[i].split("=", 1)[1] for row, _ in found] for i, key in enumerate(keys)}
    figures = {name: [f"{values[i]:.6g}" for _, values in found] for i, name in enumerate(names)}
    said = f"not beaten by another in {' and '.join(names)} at once:" if len(names) > 1 else "best:"
    return Group(Text(said), side_by_side(chosen, figures, {}))


def versions(frame: pd.DataFrame) -> str:
    """One line where the runs of a table were made by several versions of the code, else an empty text.

    What counts is the code that computes, by its hash; commits say where to find it. A record without it has only them.
    """
    made = frame[~frame["status"].isin(["missing", "unreadable"])]
    commits = made["git_sha"].fillna("unknown").map(_commit)
    counts = made["source_sha256"].fillna(commits).value_counts()
    if len(counts) < 2:
        return ""
    listed = []
    for version, number in counts.items():
        at = commits[made["source_sha256"].fillna(commits) == version].unique()
        source = f"source {version[:7]}, " if version not in at else ""
        listed.append(f"{' and '.join(at)} ({source}{number} {'run' if number == 1 else 'runs'})")
    return f"made by {len(counts)} versions of the code: {', '.join(listed)}"


def _present(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: texts for name, texts in columns.items() if any(texts)}


def _renamed(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    return {_FULL.get(name, name): texts for name, texts in columns.items()}


def _heap(*said: tuple[str, list[str]]) -> list[str]:
    """For each row its texts, a line each, with what stands before them."""
    lines = [[f"{before}{text}" if text else "" for text in texts] for before, texts in said]
    return ["\n".join(filter(None, row)) for row in zip(*lines, strict=True)]


def _line(text: str) -> list[Text]:
    return [Text(text)] if text else []


def _besides(row: dict[str, Any]) -> str:
    mixed = "mixed code" if ", " in (row["source_sha256"] or "") else ""
    return ", ".join(filter(None, (not_in_means(row), mixed)))


def _why(status: str, error: str | None) -> str:
    """A status and its reason, which may begin with the status itself."""
    reason = error or REASONS.get(status)
    return reason if reason and reason.startswith(status) else ": ".join(filter(None, (status, reason)))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _commit(sha: str) -> str:
    return f"{sha[:7]}{'+' if sha.endswith('+') else ''}"
