"""Cells as pictures want them: named, wrapped, with what is said of runs in no mean."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench.figures.style import Style, style
from dsbench.sweep.cells import COUNTS
from dsbench.sweep.collect import plain
from dsbench.sweep.naming import called, naming

if TYPE_CHECKING:
    import pandas as pd

LETTERS = 26  # of a line of a name


@dataclass(frozen=True)
class Cell:
    """A row of a table of cells: `facts` is all of it as plain data, `name` may have several lines."""

    name: str
    facts: dict[str, Any]

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
        counts = {name.removeprefix("n_"): self.facts[name] for name in COUNTS[2:]}
        said = ((number, "unfinished" if name == "other" else name) for name, number in counts.items())
        return ", ".join(f"{number} {word}" for number, word in said if number)


def rows(cells: pd.DataFrame) -> list[Cell]:
    """The cells of a table (see cells_table), in order."""
    names = ("\n".join(textwrap.wrap(name, LETTERS)) for name in called(cells)) if len(cells) else ()
    return [Cell(name, facts) for name, facts in zip(names, plain(cells), strict=True)]


def shared(cells: pd.DataFrame) -> str:
    """What all cells have in common, in a line."""
    return naming(cells).shared if len(cells) else ""


def families(cells: list[Cell]) -> list[str | None]:
    """The families of the cells, each once, in order."""
    return list(dict.fromkeys(cell.model for cell in cells))
