"""A page written: in HTML and Markdown by templates, and as JSON."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from dsbench.files import write_atomically
from dsbench.report.content import Picture, Report
from dsbench.tables import Table

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
    """Whether a fact on how a sweep was measured is a command: headings of commands begin with `to`."""
    return heading.startswith("to ")


def fact(heading: str, text: str) -> str:
    """A fact on how a sweep was measured, as an item of a Markdown list."""
    return f"- **{escaped(heading)}**: {code(text) if is_command(heading) else escaped(text)}"


def table(content: Table) -> str:
    """A table, its numbers to the right, with its note below."""
    lines = [
        [escaped(column.heading) for column in content.columns],
        ["---:" if column.kind.right else "---" for column in content.columns],
        *([escaped(entry.text) for entry in row] for row in content.rows),
    ]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{rows}\n\n{escaped(content.note)}" if content.note else rows


PICTURES = "figures"  # the folder of those that Markdown shows


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.html, report.md with its pictures, and report.json into `folder`; returns their paths.

    Each file is replaced in one step. Raises OSError where one cannot be written.
    """
    pictures = folder / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    for picture in report.pictures:
        write_atomically(pictures / f"{picture.name}.svg", picture.svg)
    return write_all("report", "report", vars(report), report.data, folder)


def write_all(template: str, name: str, values: Mapping[str, Any], data: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write NAME.html and NAME.md from the templates and NAME.json from `data`; returns their paths. Raises OSError."""
    contents = {
        f"{name}.html": rendered(f"{template}.html.j2", values),
        f"{name}.md": rendered(f"{template}.md.j2", values),
        f"{name}.json": json.dumps(data, indent=1) + "\n",
    }
    for file, content in contents.items():
        write_atomically(folder / file, content)
    return [folder / file for file in contents]


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """A template filled with `values`. Text is escaped: in a page by itself, in Markdown by the filter md."""
    environment = Environment(
        loader=PackageLoader("dsbench.report"),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": escaped, "table": table, "data_uri": _data_uri}
    environment.globals["fact"] = fact
    environment.tests["command"] = is_command
    return environment.get_template(template).render(values, folder=PICTURES)


def _data_uri(picture: Picture) -> str:
    """The picture as a data URI, so that the ids in one SVG cannot clash with those in another."""
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg).decode()}"
