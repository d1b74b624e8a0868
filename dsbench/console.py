"""The console of standard output."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def terminal() -> Console:
    """Standard output: as wide as the terminal, or 200 columns in a file or pipe.

    Text is shown as it is, without markup, since names have brackets (`[plain,separable]`) and colons.
    """
    from rich.console import Console

    plain = partial(Console, highlight=False, markup=False, emoji=False)
    console = plain()
    return console if console.is_terminal else plain(width=200)
