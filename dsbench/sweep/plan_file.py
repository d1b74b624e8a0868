"""The file of what a sweep planned, plan.csv: a row a run, and the way back from rows to records."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.sweep.collect import CODE, COLUMNS, OUTCOMES, TEXT, runs_table

if TYPE_CHECKING:
    import pandas as pd

_WORDS = {"": None, "True": True, "False": False}


def table(planned: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A row a run, of what is known before it begins."""
    return runs_table(planned).drop(columns=[*OUTCOMES, *CODE])


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The rows of the file at `path` by run_id, as records hold them; none where there is no file."""
    if not path.exists():
        return {}
    value = cache(_value)  # most stand in many rows
    out = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            said = {name: (text or None) if COLUMNS.get(name) == TEXT else value(text) for name, text in row.items()}
            settings = {name: said.pop(name) for name in row if name not in COLUMNS}
            out[row["run_id"]] = {**said, "settings": settings}
    return out


def _value(text: str) -> Any:
    """What a cell says: nothing, a truth value, a number, a list or a text."""
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.loads(text)
    except ValueError:
        return text
