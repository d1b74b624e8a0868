"""Records of runs that were never trained, with everything that tables read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import pandas as pd

from dsbench.network.cost import TOTALS
from dsbench.results.records import runs_table
from dsbench.run.record import Record

SETTINGS = {"arch.init": "pytorch", "optimizer.name": "sgd", "optimizer.lr": 0.1, "optimizer.nesterov": True}
MEASURED = {
    "best_val_acc": 0.8,
    "test_acc": 0.75,
    "test_loss": 0.5,
    "train_acc": 0.9,
    "epochs": 3,
    "train_seconds": 9.0,
}


def hexadecimal(*parts: object) -> str:
    """An id such as runs and cells have."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def run(status: str = "done", settings: dict[str, Any] | None = None, **facts: Any) -> dict[str, Any]:
    """A run of `status` as result.json has it; its cell is what `facts` and `settings` say, the seed aside."""
    defaults = {
        "model": "cnn",
        "arch": "plain",
        "block": None,
        "data": "mnist",
        "classes": 10,
        "study": None,
        "width": 8,
        "fine_width": None,
        "kernel": 3,
        "seed": 0,
        **dict.fromkeys(TOTALS, 1000),
        "split": "standard",
        "test_weights": "best",
        "precision": "32",
        "device": "a CPU",
        "threads": 1,
        "requested": None,
    }
    of_the_run = {
        "seed",
        "status",
        "error",
        "remark",
        "test_balanced_acc",
        "git_sha",
        "source_sha256",
        "device",
        "threads",
        "started",
        *MEASURED,
        "n_jobs",
        "fused",
        "latency_ms",
    }
    cell = {key: value for key, value in facts.items() if key not in of_the_run}
    settings = SETTINGS | (settings or {})
    ids = {"cell_id": hexadecimal(cell, settings), "run_id": hexadecimal(cell, settings, facts.get("seed", 0))}
    measured = MEASURED if status in ("done", "collapsed", "diverged") else {}
    if status == "diverged":
        measured = measured | {"best_val_acc": None, "test_acc": None, "test_loss": None}
    course = {"git_sha": "a" * 40, "started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:01:00+00:00"}
    plain = {**ids, **defaults, "settings": settings, "status": status, "attempts": 1, **course, **measured, **facts}
    return Record.of(plain).plain()


def read(records: Iterable[dict[str, Any]]) -> list[Record]:
    """The records that these are in result.json."""
    return [Record.of(record) for record in records]


def table(records: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """The table of the runs that have these records."""
    return runs_table(read(records))
