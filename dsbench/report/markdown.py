"""Text in Markdown."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"[\\`*\[\]<>|]|\b_|_\b")  # an underscore within a word is none


def escaped(text: str) -> str:
    """Text in which nothing is Markdown or HTML, in one line."""
    return _SPECIAL.sub(r"\\\g<0>", text).replace("\n", " ")
