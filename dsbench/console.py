"""The console of standard output, and what it does with a character that it cannot write."""

from __future__ import annotations

import codecs
import io
import os
import sys
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_SPELT = {"±": "+-", "─": "-", "━": "-", "…": "...", "²": "2", "≤": "<=", "≥": ">=", "µ": "u"}
_UNBOUNDED = 10_000  # columns


def terminal() -> Console:
    """Standard output: as wide as the terminal, the notebook's cell or COLUMNS; else as wide as what is written needs.

    Text is shown as it is, without markup, since names have brackets (`[plain,separable]`) and colons.
    """
    from rich.console import Console

    plain = partial(Console, highlight=False, markup=False, emoji=False)
    console = plain()
    known = console.is_terminal or console.is_jupyter or "COLUMNS" in os.environ
    return console if known else plain(width=_UNBOUNDED)


def redraws(console: Console) -> bool:
    """Whether what is on it can be drawn again in its place: in a terminal, and in a notebook with ipywidgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


def replace_unwritable() -> None:
    """Have standard output and standard error spell what their encoding lacks (`+-` for `±`), else write `?`.

    Python processes that this one starts write `?`.
    """
    codecs.register_error("dsbench", _spelt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="dsbench")
            if codecs.lookup(stream.encoding).name != "utf-8":
                os.environ["PYTHONIOENCODING"] = f"{stream.encoding}:replace"


def _spelt(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_SPELT.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
