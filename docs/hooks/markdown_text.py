"""Plain text as Markdown shows it, and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_CODE = re.compile(r"(```.*?```|``.*?``|`[^`]*`)", re.DOTALL)
_ENTITIES = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;"})  # Python-Markdown shows a backslash before these


def escaped(text: str) -> str:
    """`text` with what HTML would take for a tag spelt out, outside of code."""
    parts = _CODE.split(text)
    return "".join(part if i % 2 else part.replace("<", "&lt;") for i, part in enumerate(parts))


def plain(text: str) -> str:
    """`text` as it stands: nothing of it is emphasis, a link, a tag or the border of a cell, but code stays code."""
    parts = _CODE.split(text)
    return "".join(
        part.replace("|", "\\|") if i % 2 else re.sub(r"([\\*_\[\]|])", r"\\\1", part).translate(_ENTITIES)
        for i, part in enumerate(parts)
    )


def code(text: str) -> str:
    """`text` as code in a cell of a table."""
    escaped_bars = text.replace("|", "\\|")
    return f"`{escaped_bars}`" if text else ""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown; cells are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
