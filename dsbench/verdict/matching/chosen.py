"""Two cells that are asked for by name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from dsbench.errors import InputError
from dsbench.verdict.cells import DATA, Cell, differing
from dsbench.verdict.matching.groups import ASKED, Group


def chosen(cells: Sequence[Cell], text: str) -> Group:
    """The group of the two cells that `text`, "A,B", names, the reference first.

    A name is a label, a study's model (mnist_7800/cnn, changed or not), a family that has only one cell, or a cell_id.
    Raises InputError where it names no cell, one twice, or cells of different data, whose accuracies have nothing in
    common.
    """
    commas = [index for index, letter in enumerate(text) if letter == ","]  # names may have commas of their own
    parts = [(text[:index].strip(), text[index + 1 :].strip()) for index in commas]
    if not parts:
        raise InputError(f"--compare {text!r} names one cell; write it as A,B, the reference first")
    whole = [(one, other) for one, other in parts if _named(cells, one) and _named(cells, other)]
    names = whole[0] if whole else parts[0]
    reference, candidate = (_one(cells, name) for name in names)
    if reference is candidate:
        raise InputError(f"--compare {text!r} names one cell twice; choose two of {_labels(cells)}")
    for name in DATA:
        values = [cell.recipe.get(name) for cell in (reference, candidate)]
        differ = f"{name} differs ({values[0]} and {values[1]})"
        if values[0] != values[1]:
            raise InputError(f"--compare {text!r}: {differ}; choose cells that share it")
    others = differing([reference.recipe, candidate.recipe])
    recipe = {name: [cell.recipe.get(name) for cell in (reference, candidate)] for name in others}
    return Group(ASKED, (reference, candidate), recipe=recipe)


def _one(cells: Sequence[Cell], name: str) -> Cell:
    found = _named(cells, name)
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"--compare: {name!r} is {len(found)} cells: {_labels(found)}")
    close = difflib.get_close_matches(name, [cell.label for cell in cells], n=1, cutoff=0.5)
    said = f"did you mean {close[0]!r}?" if close else f"there are {_labels(cells)}"
    raise InputError(f"--compare: no cell {name!r}; {said}")


def _named(cells: Sequence[Cell], name: str) -> list[Cell]:
    """The cells with this label; where there is none, with this study's name, family or id."""
    exact = [cell for cell in cells if cell.label == name]
    return exact or [cell for cell in cells if name in (_study(cell), cell.names["model"], cell.cell_id)]


def _study(cell: Cell) -> str:
    """What its study calls it, changed or not."""
    return str(cell.names["study"]).partition(" (")[0]


def _labels(cells: Sequence[Cell]) -> str:
    some = [cell.label for cell in cells[:12]]
    return "; ".join(some) + ("; ..." if len(cells) > len(some) else "")
