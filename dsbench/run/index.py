"""The index of runs, `outputs/runs/index.csv`: what is in which folder, for people and spreadsheets.

Tables of runs bring it up to date, and from then on a run adds its line when it ends. The records are the truth: what
is read from it are the lines that it keeps, and nothing fails for it, be the folder read-only.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dsbench.files import write_atomically
from dsbench.run.folder import RUN_ID
from dsbench.run.record import Record, short_label

# Of a table of runs (see dsbench.results.records); `label` and `sweeps` are the index's own.
FACTS = ("run_id", "model", "data", "width", "fine_width", "seed", "status", "test_acc", "started", "finished", "study")
COLUMNS = ("run_id", "label", *FACTS[1:], "sweeps")


def file_of(outputs: Path) -> Path:
    """The index of the runs under `outputs`."""
    return outputs / "runs" / "index.csv"


def add(outputs: Path, record: Record) -> None:
    """Add the line of a run that has ended, where there is an index; of several lines of a run the last one counts.

    One call of the system, whatever the number of runs: processes do not write into each other's lines.
    """
    facts = {name: getattr(record, name, None) for name in FACTS} | {"study": str(record.label)}
    facts["test_acc"] = record.result.test_acc if record.result else None
    with suppress(OSError):
        file = os.open(file_of(outputs), os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, _text([_row(facts, "")]).encode())
        finally:
            os.close(file)


def write(outputs: Path, runs: Iterable[Mapping[str, Any]], sweeps: Mapping[str, Iterable[str]]) -> None:
    """Write the index of all runs, with FACTS of each in order, and the names of the `sweeps` that a run_id is in.

    A run that has ended since they were read keeps its line.
    """
    rows = {run["run_id"]: _row(run, " ".join(sweeps.get(run["run_id"], ()))) for run in runs}
    with suppress(OSError, ValueError, csv.Error):
        old = _lines(outputs)
        _replace(outputs, rows | {run_id: line for run_id, line in old.items() if run_id not in rows})


def update(outputs: Path, runs: Iterable[Mapping[str, Any]], sweep: str) -> None:
    """Bring the lines of the runs of a sweep up to date, FACTS of each, and add those that lack; others stay."""
    with suppress(OSError, ValueError, csv.Error):
        lines = _lines(outputs)
        for run in runs:
            earlier = lines[run["run_id"]][-1].split(" ") if run["run_id"] in lines else []
            lines[run["run_id"]] = _row(run, " ".join(dict.fromkeys(filter(None, [*earlier, sweep]))))
        _replace(outputs, lines)


def _lines(outputs: Path) -> dict[str, list[Any]]:
    """The last line of each run whose record is there, by run_id."""
    path = file_of(outputs)
    if not path.exists():
        return {}
    lines = {line[0]: line for line in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))) if line}
    there = (run_id for run_id in lines if RUN_ID.fullmatch(run_id) and (path.parent / run_id / "result.json").exists())
    return {run_id: lines[run_id] for run_id in there if len(lines[run_id]) == len(COLUMNS)}


def _replace(outputs: Path, rows: Mapping[str, Sequence[Any]]) -> None:
    path, text = file_of(outputs), _text([COLUMNS, *rows.values()])
    if path.parent.is_dir() and not (path.exists() and path.read_text(encoding="utf-8") == text):
        write_atomically(path, text)


def _row(facts: Mapping[str, Any], sweeps: str) -> list[Any]:
    names = {name: facts[name] for name in ("run_id", "model", "width", "fine_width", "seed")}
    return [facts["run_id"], short_label(**names), *(facts[name] for name in FACTS[1:]), sweeps]


def _text(rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
