"""What cells are called within their sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsbench.sweep.naming import brief, naming

if TYPE_CHECKING:
    import pandas as pd


def labels(table: pd.DataFrame) -> list[str]:
    """The shortest name of each cell that tells it apart: its study's, else its model and what it takes besides.

    What the names of all studies share is left out: `cnn` is mnist_7800/cnn where nothing else is meant.
    """
    columns = dict(naming(table).columns)
    studies = columns.pop("study", [])
    if studies and all(studies) and len(set(studies)) == len(studies):
        return brief(studies)
    models = [str(model) for model in table["model"].fillna("?")]
    taken = {"model": models}
    columns.pop("model", None)
    while columns:
        most = max(columns, key=lambda name: len(_told_apart([*taken.values(), columns[name]])))  # the first of equals
        if len(_told_apart([*taken.values(), columns[most]])) == len(_told_apart(list(taken.values()))):
            break
        taken[most] = columns.pop(most)
    others = [name for name in taken if name != "model"]
    return [
        " ".join([model, *(_said(name, taken[name][row]) for name in others if taken[name][row])])
        for row, model in enumerate(models)
    ]


def _said(name: str, text: str) -> str:
    return text if name in ("arch", "block", "data", "budget", "device") else f"{name} {text}"


def _told_apart(columns: Sequence[Sequence[str]]) -> set[tuple[str, ...]]:
    return set(zip(*columns, strict=True))
