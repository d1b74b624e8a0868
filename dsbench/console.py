"""The console of standard output."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def terminal() -> Console:
    """Standard output: as wide as the terminal or the notebook's cell, or 200 columns in a file or pipe.

    Text is shown as it is, without markup, since names have brackets (`[plain,separable]`) and colons.
    """
    from rich.console import Console

    plain = partial(Console, highlight=False, markup=False, emoji=False)
    console = plain()
    return console if console.is_terminal or console.is_jupyter else plain(width=200)


def redraws(console: Console) -> bool:
    """Whether what is on it can be drawn again in its place: in a terminal, and in a notebook with ipywidgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
