"""Standard output as people read it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def terminal() -> Console:
    """Standard output: a terminal as wide as it is, a file or pipe without line breaks.

    Text is shown as it stands, since that of others has brackets (`[plain,separable]`) and colons; style is a Text's.
    """
    from rich.console import Console

    plain = partial(Console, highlight=False, markup=False, emoji=False)
    console = plain()
    return console if console.is_terminal else plain(width=200)
