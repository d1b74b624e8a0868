"""The console of standard output."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


_UNBOUNDED = 10_000  # columns


def terminal() -> Console:
    """Standard output: as wide as the terminal, or COLUMNS; in a file or pipe as wide as what is written needs.

    Text is shown as it is, without markup, since names have brackets (`[plain,separable]`) and colons.
    """
    from rich.console import Console

    plain = partial(Console, highlight=False, markup=False, emoji=False)
    console = plain()
    return console if console.is_terminal or "COLUMNS" in os.environ else plain(width=_UNBOUNDED)
