"""The objectives of a search: figures of a run's record, and whether more or less is better. None is of test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dsbench.errors import InputError, choose
from dsbench.run.record import Record

DIRECTIONS = {
    "val_acc": "maximize",
    "macs": "minimize",
    "params": "minimize",
    "acts": "minimize",
    "train_seconds": "minimize",
}
RESULTS = ("done", "collapsed")  # a collapsed network has an accuracy, a diverged one has none that means anything


def objectives(names: Any) -> tuple[str, ...]:
    """The names in `objective`, a text or a list of several. Raises InputError for any other name."""
    names = tuple(names) if isinstance(names, Sequence) and not isinstance(names, str) else (names,)
    for name in names:
        choose("objective", name, DIRECTIONS)
    if not names or len(set(names)) < len(names):
        raise InputError(f"objective {list(names)} must list one or more of {', '.join(DIRECTIONS)}, each once")
    return names


def figures(record: Record, names: Sequence[str]) -> list[float] | None:
    """A run's figures for the objectives `names`; None where it has no result, or had test images for validation."""
    chosen_on_test = record.split == "study" and "val_acc" in names
    if record.status not in RESULTS or record.result is None or chosen_on_test:
        return None
    values = {**vars(record.result), **record.costs, "val_acc": record.result.best_val_acc}
    return [float(values[name]) for name in names]
