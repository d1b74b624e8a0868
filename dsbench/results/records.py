"""The records of many runs, read from their folders as they are at this moment."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.quantities import COUNTED, QUANTITIES
from dsbench.run.lock import in_use

if TYPE_CHECKING:
    import pandas as pd

# Statuses that no record has but a table may: planned and not begun, and a file that is no record.
MISSING, UNREADABLE = "missing", "unreadable"
STATUSES = (
    *("done", "collapsed", "diverged", "failed", "killed", "timeout", "interrupted", "running"),
    *(MISSING, UNREADABLE),
)
GONE = "its process is gone"  # the error of a killed run whose end nobody has seen
_RUN_ID = re.compile("[0-9a-f]{12}")
_MATRIX = b'"test_confusion": ['


def records(outputs: Path) -> list[dict[str, Any]]:
    """The record of every run under `outputs`, in the order in which they were begun."""
    folder = outputs / "runs"
    ids = [entry.name for entry in os.scandir(folder) if _RUN_ID.fullmatch(entry.name)] if folder.is_dir() else []
    found = [one for one in (record(outputs, run_id) for run_id in ids) if one["status"] != MISSING]
    return sorted(found, key=lambda one: (str(one.get("started") or "~"), one["run_id"]))


def record(outputs: Path, run_id: str) -> dict[str, Any]:
    """The record of a run, without its confusion matrix; where there is none, its id and the status `missing`.

    A file that is no record, which no run leaves, is one of status `unreadable`. A run that its record has running, but
    that no process has, is one of status `killed`; its file stays as it is.
    """
    path = f"{outputs}/runs/{run_id}/result.json"
    try:
        with open(path, "rb") as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return {"run_id": run_id, "status": MISSING}
    try:
        found = _parsed(text)
    except ValueError as error:
        return {"run_id": run_id, "status": UNREADABLE, "error": f"result.json: {error}"}
    if not isinstance(found, dict) or not {"run_id", "status"} <= found.keys():
        return {"run_id": run_id, "status": UNREADABLE, "error": "result.json: not the record of a run"}
    if found["status"] == "running" and not in_use(Path(path).parent):
        return found | {"status": "killed", "error": GONE}
    return found


def _parsed(text: bytes) -> Any:
    """The content of result.json but for the confusion matrix, nine tenths of it, which no table shows."""
    start = text.find(_MATRIX)
    end = text.find(b"\n  ]", start)
    if start >= 0 and end >= 0:
        try:
            return json.loads(text[:start] + b'"test_confusion": null' + text[end + len(b"\n  ]") :])
        except ValueError:
            pass  # written by other hands; as it is, then
    return json.loads(text)


TEXT, WHOLE, REAL = "string", "Int64", "float64"
# What names a run beside its seed; a cell has the same.
NAMES = {
    "study": TEXT,
    "model": TEXT,
    "arch": TEXT,
    "block": TEXT,
    "data": TEXT,
    "classes": WHOLE,
    "split": TEXT,
    "width": WHOLE,
    "fine_width": WHOLE,
    "kernel": TEXT,
}
_KINDS = {quantity.name: WHOLE if quantity.whole else REAL for quantity in QUANTITIES.values()}
COSTS = {cost.name: _KINDS[cost.name] for cost in COUNTED}
ACCURACIES = {name: _KINDS[name] for name in ("best_val_acc", "test_acc")}
MEASURED = {
    name: _KINDS[name]
    for name in (
        *("test_loss", "val_acc", "val_loss", "train_acc", "train_loss"),
        *("epochs", "best_epoch", "train_seconds", "train_macs", "images_per_second"),
    )
}
COMPUTE = {"precision": TEXT, "device": TEXT, "threads": WHOLE, "ranks": WHOLE, "test_weights": TEXT}
REQUESTED = {
    "requested_kind": TEXT,
    "requested_scope": TEXT,
    "requested_match": TEXT,
    "requested_target": REAL,
    "requested_actual": REAL,
    "requested_residual": REAL,
}
CODE = {"git_sha": TEXT, "source_sha256": TEXT}
COURSE = {"started": TEXT, "finished": TEXT, "attempts": WHOLE, "n_jobs": WHOLE, "error": TEXT}
COLUMNS = {
    **{"run_id": TEXT, "cell_id": TEXT, "status": TEXT},
    **NAMES,
    **{"seed": WHOLE},
    **COSTS,
    **ACCURACIES,
    **MEASURED,
    **COMPUTE,
    **REQUESTED,
    **CODE,
    **COURSE,
}
OUTCOMES = ("status", *ACCURACIES, *MEASURED, *COURSE)  # what is known of a run only once it has begun
TIMED = ("latency_ms", "train_step_ms", "peak_memory_bytes")  # what a measured network's record holds, by conditions


def runs_table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a run, in the order given: COLUMNS, then the settings and timings that any of the records holds.

    A record is as in result.json; what it lacks is missing in its row. Accuracies are shares of 1. A kernel of several
    sizes, and any other list, is text such as `[3,5]`. `git_sha` is the commit of the code that made the run. A run
    that is recorded without a cell_id, since its record is old or unreadable, is a cell of its own.
    """
    import pandas as pd

    rows = [_flat(one) for one in records]
    others = dict.fromkeys(key for row in rows for key in row if key not in COLUMNS)
    kinds = {**COLUMNS, **{name: _kind([row[name] for row in rows if name in row]) for name in others}}
    return pd.DataFrame(
        {name: pd.array(_values([row.get(name) for row in rows], kind), dtype=kind) for name, kind in kinds.items()}
    )


def settings(frame: pd.DataFrame) -> list[str]:
    """The columns of a table that hold settings: keys of the configuration, which have a dot."""
    return [name for name in frame.columns if "." in name]


def timings(frame: pd.DataFrame) -> list[str]:
    """The columns of a table that hold timings and the like, by their conditions."""
    return [name for name in frame.columns if name.split("/")[0] in TIMED]


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as plain data, None for what is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without its nesting: requested_kind, optimizer.lr, latency_ms/batch_1/torch (a median)."""
    out = {name: record[name] for name in COLUMNS if name in record}
    out["cell_id"] = record.get("cell_id") or record["run_id"]
    out |= {f"requested_{name}": value for name, value in (record.get("requested") or {}).items()}
    out |= {f"stop.{name}": value for name, value in (record.get("stop") or {}).items()}
    out |= record.get("settings") or {}
    for name in TIMED:
        out |= dict(_medians(name, record.get(name)))
    return out


def _medians(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and "median" not in value:
        for key, inner in value.items():
            yield from _medians(f"{name}/{key}", inner)
    elif value is not None:
        yield name, value["median"] if isinstance(value, Mapping) else value


def _kind(values: Sequence[Any]) -> str:
    """The type of a column whose name alone does not tell it."""
    types = {type(value) for value in values if value is not None}
    if types == {bool}:
        return "boolean"
    if types <= {int}:
        return WHOLE
    return REAL if types <= {int, float} else TEXT


def _values(values: Sequence[Any], kind: str) -> list[Any]:
    if kind == REAL:
        return [float("nan") if value is None else float(value) for value in values]
    return [_text(value) for value in values] if kind == TEXT else list(values)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))
