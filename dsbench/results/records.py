"""The records of many runs, read from their folders as they are at this moment, and the table of runs made of them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.errors import InputError, first_line
from dsbench.numerals import percent
from dsbench.quantities import COUNTED, OF_TRAINING, Quantity
from dsbench.run.folder import RUN_ID, RunFolder
from dsbench.run.lock import in_use
from dsbench.run.record import Label, Record, Status
from dsbench.training.history import balanced_accuracy, shows_learning

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

log = logging.getLogger("dsbench")

GONE = "its process is gone"  # the error of a killed run that left none
_WITHOUT = (Status.MISSING, Status.UNREADABLE)  # a record


def correct_images(outputs: Path, runs: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Which test images each run that is done got right, by run_id, in the order of the test set; and what is damaged.

    A file that does not hold as many bits as there are test images, or other numbers of right ones than the accuracy
    says, is damaged; a run without one is in neither.
    """
    correct, damaged = {}, {}
    for run_id, accuracy in runs.loc[runs["status"] == "done", ["run_id", "test_acc"]].itertuples(index=False):
        folder = RunFolder(outputs / "runs" / run_id)
        try:
            bits = folder.correct()
        except InputError as error:
            damaged[run_id] = str(error)
            continue
        if bits is None:
            continue
        if abs(int(bits.sum()) - len(bits) * accuracy) < 0.5:
            correct[run_id] = bits
        else:
            damaged[run_id] = (
                f"{folder.correct_file} is damaged: {int(bits.sum()):,} of its {len(bits):,} images are right, "
                f"which is not the test accuracy, {accuracy:.6g}"
            )
    return correct, damaged


def misjudged(record: Record, confusion: Sequence[Sequence[int]]) -> str | None:
    """One sentence where the confusion matrix of a run's test images says otherwise than its status, else None.

    Statuses of older records are those of older rules: a network could be perfect on very unequal classes and be called
    collapsed, and one that learnt and fell be called done.
    """
    images = sum(map(sum, confusion))
    if record.status == Status.COLLAPSED and shows_learning(confusion):
        right, largest = sum(row[i] for i, row in enumerate(confusion)), max(map(sum, confusion))
        return (
            f"run {record.run_id} is recorded as collapsed, but gets {right:,} of {images:,} test images right, where "
            f"answering the largest class gets {largest:,} (balanced accuracy {percent(balanced_accuracy(confusion))})"
        )
    one_answer = max(map(sum, zip(*confusion, strict=True))) == images
    if record.status == Status.DONE and record.remark is None and one_answer:
        return f"run {record.run_id} is recorded as done, but answers one class to all {images:,} test images"
    return None


def records(outputs: Path) -> list[Record]:
    """The record of every run under `outputs`, in the order in which they were started, of one second in that of seeds.

    One that cannot be read is named in the log and left out.
    """
    folder = outputs / "runs"
    ids = [entry.name for entry in os.scandir(folder) if RUN_ID.fullmatch(entry.name)] if folder.is_dir() else []
    runs = [run for run in (record(outputs, run_id) for run_id in ids) if run.status not in _WITHOUT]
    return sorted(runs, key=lambda run: (run.started or "~", run.cell_id or "", run.seed or 0, run.run_id))


def record(outputs: Path, run_id: str) -> Record:
    """The record of a run; where there is none, one of status `missing` that has its id alone.

    A damaged file is a record of status `unreadable`. A run whose record says `running`, though no process trains it,
    has the status `killed`; its file stays as it is.
    """
    path = f"{outputs}/runs/{run_id}/result.json"
    try:
        with open(path, "rb") as file:
            run = Record.from_json(file.read())
        if run.run_id != run_id:
            raise ValueError(f"it is the record of run {run.run_id}")
    except (FileNotFoundError, NotADirectoryError):
        return Record(run_id=run_id, status=Status.MISSING)
    except (ValueError, OSError) as error:
        how = error.strerror or first_line(error) if isinstance(error, OSError) else first_line(error)
        _name(path, how)
        return Record(run_id=run_id, status=Status.UNREADABLE, error=f"result.json: {how}")
    if run.status == Status.RUNNING and not in_use(Path(path).parent):
        return replace(run, status=Status.KILLED, error=GONE)
    return run


@cache  # once a process, however often it is read
def _name(path: str, how: str) -> None:
    log.warning("the record %s cannot be read and is left out: %s", path, how)


TEXT, WHOLE, REAL = "string", "Int64", "float64"
# The names of a run but for its seed; a cell has the same.
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


def _columns(quantities: Iterable[Quantity]) -> dict[str, str]:
    return {quantity.name: WHOLE if quantity.whole else REAL for quantity in quantities}


RESULTS = _columns(OF_TRAINING)
COMPUTE = {
    **{"precision": TEXT, "device": TEXT, "threads": WHOLE, "ranks": WHOLE, "graph": "boolean"},
    **{"test_weights": TEXT},
}
REQUESTED = {
    "requested_kind": TEXT,
    "requested_scope": TEXT,
    "requested_match": TEXT,
    "requested_target": REAL,
    "requested_actual": REAL,
    "requested_residual": REAL,
    "requested_tolerance": REAL,
    "requested_multiple": WHOLE,
    "requested_chip": TEXT,
}
CODE = {"git_sha": TEXT, "source_sha256": TEXT}
COURSE = {
    **{"started": TEXT, "finished": TEXT, "attempts": WHOLE, "n_jobs": WHOLE, "fused": WHOLE},
    **{"error": TEXT, "remark": TEXT},
}
COLUMNS = {
    **{"run_id": TEXT, "cell_id": TEXT, "status": TEXT},
    **NAMES,
    **{"seed": WHOLE},
    **_columns(COUNTED),
    **RESULTS,
    **COMPUTE,
    **REQUESTED,
    **CODE,
    **COURSE,
}
_FIELDS = tuple(field.name for field in fields(Record) if field.name in COLUMNS)
OUTCOMES = ("status", *RESULTS, *COURSE)  # which a run has only once it has started
# Columns in which some run of a table has a value.
RARE = ("test_balanced_acc", "requested_tolerance", "requested_multiple", "requested_chip", "fused", "remark", "graph")
TIMED = ("latency_ms", "train_step_ms", "peak_memory_bytes", "chips")  # measured apart from training, by conditions

# Attributes of a table of what a design has chosen: roles by cell_id, and settings that each network has its own of.
ROLES, OWN = "roles", "own"


def runs_table(records: Iterable[Record]) -> pd.DataFrame:
    """One row a run, in the order given: COLUMNS, then the settings and timings that any of the records holds.

    What a record lacks is missing in its row; a column of RARE that no record has a value for is left out. Accuracies
    are shares of 1. A kernel of several sizes, and any other list, is text such as `[3,5]`. `git_sha` is the commit of
    the code that made the run. A run that is recorded without a cell_id, since its record is old or unreadable, is a
    cell of its own. Which columns are settings and timings, and what the labels in `study` consist of, are attributes
    of the table.
    """
    import pandas as pd

    runs = list(records)
    settings = [_settings(run) for run in runs]
    timings = [
        {key: median for name in TIMED for key, median in _medians(name, run.measured.get(name))} for run in runs
    ]
    rows = [_flat(run) | own | timed for run, own, timed in zip(runs, settings, timings, strict=True)]
    further = [name for name in _keys(rows) if name not in COLUMNS]
    empty = {name for name in RARE if all(row.get(name) is None for row in rows)}
    kinds = {name: kind for name, kind in COLUMNS.items() if name not in empty}
    kinds |= {name: _kind([row[name] for row in rows if name in row]) for name in further}
    frame = pd.DataFrame(
        {name: pd.array(_values([row.get(name) for row in rows], kind), dtype=kind) for name, kind in kinds.items()}
    )
    labels = {str(run.label): [run.label.experiment, list(run.label.modified)] for run in runs}
    # Plain data, since a Parquet file keeps them too
    frame.attrs = {"settings": list(_keys(settings)), "timings": list(_keys(timings)), "labels": labels}
    return frame


def without_test(runs: pd.DataFrame) -> pd.DataFrame:
    """A table of runs without the columns that tell what test images said: nothing can be chosen by these."""
    said = [name for name in runs if (name in OUTCOMES and name.startswith("test_")) or "/test_acc" in name]
    out = runs.drop(columns=said)
    out.attrs = runs.attrs
    return out


def settings(frame: pd.DataFrame) -> list[str]:
    """The columns of a table that hold settings, keys of the configuration such as `optimizer.lr`."""
    return _named(frame, "settings")


def timings(frame: pd.DataFrame) -> list[str]:
    """The columns of a table that hold timings and the like, by their conditions (latency_ms/batch_1/torch)."""
    return _named(frame, "timings")


def labels(frame: pd.DataFrame) -> list[Label]:
    """The experiment of each row of a table, and in what it was modified."""
    by_text = {text: Label(experiment, tuple(keys)) for text, (experiment, keys) in frame.attrs["labels"].items()}
    return [by_text[text] for text in frame["study"].fillna("")]


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as plain data, None for what is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def tested_val_acc(row: Mapping[str, Any]) -> float | None:
    """The validation accuracy of the weights that were tested, of a row of a table of runs (see plain)."""
    accuracy: float | None = row["best_val_acc" if row["test_weights"] == "best" else "val_acc"]
    return accuracy


def _named(frame: pd.DataFrame, attribute: str) -> list[str]:
    names = set(frame.attrs[attribute])
    return [name for name in frame.columns if name in names]


def _keys(rows: Iterable[Mapping[str, Any]]) -> dict[str, None]:
    return dict.fromkeys(key for row in rows for key in row)


def _flat(record: Record) -> dict[str, Any]:
    """The values of a record in COLUMNS; those of its budget are requested_kind and so on."""
    out = {**{name: getattr(record, name) for name in _FIELDS}, **record.costs}
    out["cell_id"] = record.cell_id or record.run_id
    out |= {"status": str(record.status), "study": str(record.label) or None}
    if record.requested is not None:
        out |= {f"requested_{name}": value for name, value in vars(record.requested).items()}
    if record.result is not None:
        out |= {name: getattr(record.result, name) for name in RESULTS}
    return out


def _settings(record: Record) -> dict[str, Any]:
    """The settings of a record by key, with stop.by and stop.target."""
    stop = {} if record.stop is None else {f"stop.{name}": value for name, value in vars(record.stop).items()}
    return {**stop, **record.settings}


def _medians(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and "median" not in value:
        for key, inner in value.items():
            if key != "versions":
                yield from _medians(f"{name}/{key}", inner)
    elif value is not None and not isinstance(value, str):
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
