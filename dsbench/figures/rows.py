"""Cells as pictures want them: named, wrapped, with what is said of runs in no mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench.figures.style import Style, style
from dsbench.sweep.cells import besides
from dsbench.sweep.collect import plain
from dsbench.sweep.naming import called, naming

if TYPE_CHECKING:
    import pandas as pd

LETTERS = 26  # of a line of a name


@dataclass(frozen=True)
class Cell:
    """A row of a table of cells: what it is called, in one line, and all of the row as plain data."""

    called: str
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """What it is called, in lines of LETTERS."""
        return wrapped(self.called)

    @property
    def cell_id(self) -> str:
        """The cell's id."""
        return str(self.facts["cell_id"])

    @property
    def model(self) -> str | None:
        """The family."""
        return self.facts["model"]

    @property
    def style(self) -> Style:
        """The family's style."""
        return style(self.model)

    @property
    def besides(self) -> str:
        """The runs that are in no mean, such as `1 collapsed, 2 unfinished`, or an empty text."""
        return besides(self.facts)


def rows(cells: pd.DataFrame) -> list[Cell]:
    """The cells of a table (see cells_table), in order."""
    return [Cell(*row) for row in zip(called(cells), plain(cells), strict=True)] if len(cells) else []


def wrapped(name: str, letters: int = LETTERS) -> str:
    """A name in lines of about that many letters, broken after its parts, and long parts within, after `_` and such."""
    parts = [part for part in re.split(r"(?<=, )", name) if part]
    pieces = [piece for part in parts for piece in (re.split(r"(?<=[ _/.-])", part) if len(part) > letters else [part])]
    lines = [""]
    for piece in pieces:
        if lines[-1] and len((lines[-1] + piece).rstrip()) > letters:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def caption(cells: pd.DataFrame, *sentences: str) -> str:
    """What all cells have in common, in a line of its own, then the sentences that are not empty."""
    context, rest = shared(cells), " ".join(f"{one}." for one in sentences if one)
    return "\n".join(filter(None, (context, rest)))


def shared(cells: pd.DataFrame) -> str:
    """What all cells have in common, in a line."""
    return naming(cells).shared if len(cells) else ""


def families(cells: list[Cell]) -> list[str | None]:
    """The families of the cells, each once, in order."""
    return list(dict.fromkeys(cell.model for cell in cells))
