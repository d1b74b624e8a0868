"""The names of cells side by side: what all share in one line, and the fewest columns in which all differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from dsbench.results.records import labels, plain, settings
from dsbench.run.record import Label, width

if TYPE_CHECKING:
    import pandas as pd

# A column for each of these in which cells differ; of the settings only those without which two have the same name.
_NAMES = ("study", "model", "arch", "block", "data", "split", "width", "kernel", "budget")
_COMPUTE = ("precision", "device", "threads")
_SELF_EXPLAINING = (
    "study",
    "model",
    "arch",
    "block",
    "data",
    "budget",
    "device",
)  # shown without the name of the column


@dataclass(frozen=True)
class Naming:
    """`shared` is what all rows have in common, `columns` the texts of each row by the name of the column."""

    shared: str
    columns: dict[str, list[str]]


def naming(frame: pd.DataFrame) -> Naming:
    """The names of the rows of a table of cells or of runs; runs of one cell have the same."""
    names = {name: _texts(frame, name) for name in (*_NAMES, *_COMPUTE)}
    shown = {name: texts for name, texts in names.items() if len(set(texts)) > 1}
    cells = frame["cell_id"].tolist()
    for name in ("test_weights", *settings(frame)):
        if not _ambiguous(shown, cells):
            break
        wider = shown | {name: _texts(frame, name)}
        if len(_groups(wider, cells)) > len(_groups(shown, cells)):
            shown = wider
    if _ambiguous(shown, cells):
        shown["cell"] = [str(cell) for cell in cells]
    shared = ", ".join(f"{name} {texts[0]}" for name, texts in names.items() if name not in shown and any(texts))
    return Naming(shared, shown)


def short_names(frame: pd.DataFrame) -> list[str]:
    """A short name for each row of a table of cells, such as `dwsep, width 8`, of the fewest columns that it takes.

    The model is in it wherever models differ, unless the names of studies differ in all rows. Where nothing differs it
    is the model, or `cell` where that is unknown.
    """
    columns = naming(frame).columns
    if "study" in columns:
        columns["study"] = _brief(labels(frame))
    if not columns:
        return [text or "cell" for text in _texts(frame, "model")]
    chosen = {name: columns[name] for name in _fewest(columns)}
    rows = [[_entry(name, texts[row]) for name, texts in chosen.items() if texts[row]] for row in range(len(frame))]
    return [", ".join(words) or "cell" for words in rows]


def _fewest(columns: dict[str, list[str]]) -> tuple[str, ...]:
    """The fewest columns whose texts differ wherever those of all columns do, the model first, then in order."""
    whole = len(set(zip(*columns.values(), strict=True)))
    for chosen in _choices(columns):
        if len(set(zip(*(columns[name] for name in chosen), strict=True))) == whole:
            return chosen
    return tuple(columns)


def _choices(columns: dict[str, list[str]]) -> Iterator[tuple[str, ...]]:
    always = ("model",) if "model" in columns else ()
    further = [name for name in columns if name not in (*always, "study")]
    if always:
        yield always
    if all(columns.get("study", [""])):
        yield ("study",)
    for size in range(1, len(further) + 1):
        for chosen in combinations(further, size):
            yield (*always, *chosen)


def _brief(labels: Sequence[Label]) -> list[str]:
    """The labels without what is the same in all: their study, and what was modified."""
    texts = [str(label) for label in labels]
    studies = {(label.experiment or "").rpartition("/")[0] for label in labels}
    common = set.intersection(*(set(label.modified) for label in labels))
    brief = [
        str(
            Label(
                label.experiment and label.experiment.rpartition("/")[2],
                tuple(key for key in label.modified if key not in common),
            )
        )
        for label in labels
    ]
    return brief if len(studies) == 1 and len(set(brief)) == len(set(texts)) else texts


def _entry(name: str, text: str) -> str:
    return text if name in _SELF_EXPLAINING else f"{name} {text}"


def _groups(columns: dict[str, list[str]], cells: Sequence[Any]) -> dict[tuple[str, ...], set[Any]]:
    """The cells that have the same texts in `columns`, by these."""
    out: dict[tuple[str, ...], set[Any]] = {}
    for row, cell in enumerate(cells):
        out.setdefault(tuple(texts[row] for texts in columns.values()), set()).add(cell)
    return out


def _ambiguous(columns: dict[str, list[str]], cells: Sequence[Any]) -> bool:
    return any(len(group) > 1 for group in _groups(columns, cells).values())


def _texts(frame: pd.DataFrame, name: str) -> list[str]:
    if name == "width":
        rows = plain(frame[["width", "fine_width"]])
        return ["" if row["width"] is None else width(**row) for row in rows]
    if name == "budget":
        kinds, targets, scopes = (frame[f"requested_{key}"] for key in ("kind", "target", "scope"))
        chips = frame.get("requested_chip", [None] * len(frame))
        return list(map(_budget, kinds, targets, scopes, chips))
    return ["" if row[name] is None else str(row[name]) for row in plain(frame[[name]])]


def _budget(kind: Any, target: float, scope: Any, chip: Any) -> str:
    if not isinstance(kind, str):
        return ""
    on_chip = f" on {chip}" if isinstance(chip, str) else ""
    return f"{target:,.10g} {kind}{' (slots)' if scope == 'conv' else ''}{on_chip}"
