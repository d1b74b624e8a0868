"""A report as files: one HTML page that needs nothing else, Markdown with pictures beside it, JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from dsbench.report.content import Picture, Report
from dsbench.report.markdown import escaped, fact, is_command, table
from dsbench.run.folder import write_atomically

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
    """The picture within its address: the names inside of one SVG cannot meet those of another."""
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg).decode()}"
