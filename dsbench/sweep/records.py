"""The records of many runs, read from their folders as they are at this moment."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from dsbench.run.lease import in_use

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
