"""Texts, commands and tables in Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsbench.report.table import Table

# What can begin or end emphasis, code, a link or a table's cell. An underscore between letters or digits is none of
# these.
_SPECIAL = re.compile(r"[\\`*\[\]|]|(?<![^\W_])_|_(?![^\W_])")
# HTML, entities and struck text: Python-Markdown, with which MkDocs reads, shows a backslash before these.
_ENTITIES = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", "~": "&#126;"})


def escaped(text: str) -> str:
    """Text in which nothing is Markdown or HTML, in one line."""
    return _SPECIAL.sub(r"\\\g<0>", text).translate(_ENTITIES).replace("\n", " ")


def code(text: str) -> str:
    """Text as it is, to be copied: within more backticks than it has in a row."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    inner = f" {text} " if "`" in text else text
    return f"{fence}{inner}{fence}"


def is_command(heading: str) -> bool:
    """Whether a line of how a sweep was measured is a command: those that say how `to` do something are."""
    return heading.startswith("to ")


def fact(heading: str, text: str) -> str:
    """A line of how a sweep was measured."""
    return f"- **{escaped(heading)}**: {code(text) if is_command(heading) else escaped(text)}"


def table(one: Table) -> str:
    """A table, its numbers to the right, with its note below."""
    lines = [
        [escaped(heading) for heading in one.headings],
        ["---:" if kind == "number" else "---" for kind in one.kinds],
        *([escaped(entry.text) for entry in row] for row in one.rows),
    ]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{rows}\n\n{escaped(one.note)}" if one.note else rows
