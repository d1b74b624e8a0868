"""A page written: in HTML and Markdown by templates, and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from dsbench.figures.style import CAPTION, HEADING, PALETTE
from dsbench.files import write_atomically
from dsbench.report.content import Picture, Report
from dsbench.report.sources import PICTURES
from dsbench.tables import Entry, Kind, Table, between, is_equal

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
    """A table, its numbers to the right, ratios that differ in bold, with its note below."""
    columns = content.columns
    lines = [
        [escaped(column.heading) for column in columns],
        ["---:" if column.kind.right else "---" for column in columns],
        *([_entry(column.kind, entry) for column, entry in zip(columns, row, strict=True)] for row in content.rows),
    ]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{rows}\n\n{escaped(content.note)}" if content.note else rows


def _entry(kind: Kind, entry: Entry) -> str:
    if kind is Kind.RATIO and entry.text and not is_equal(entry.text):
        return f"**{escaped(entry.text)}**"
    if not entry.lines:
        return escaped(entry.text)
    further = (f"{between(before, line)}{line}" for before, line in pairwise(entry.lines))
    return escaped("".join([str(entry.lines[0]), *further]))


def write(report: Report, folder: Path, made_of: str | None = None) -> list[Path]:
    """Write report.html, report.md with its pictures, and report.json into `folder`; returns their paths.

    Each file is replaced in one step, report.json as the last; it keeps `made_of` (see dsbench.report.sources). Raises
    OSError where one cannot be written.
    """
    drawn = {picture.name: picture for picture in report.pictures}
    write_pictures(report.pictures, folder)
    return write_all("report", "report", vars(report) | {"drawn": drawn}, stamped(report.data, made_of), folder)


def write_pictures(pictures: Sequence[Picture], folder: Path) -> None:
    """Write the pictures that have a file of their own. Raises OSError."""
    own = [picture for picture in pictures if picture.of_its_own]
    if own:
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    for picture in own:
        write_atomically(folder / PICTURES / f"{picture.name}.svg", picture.svg)


def stamped(data: Mapping[str, Any], made_of: str | None) -> dict[str, Any]:
    """The plain data of a page with what it is `made_of`, where that is known (see dsbench.report.sources)."""
    return {**data, **({} if made_of is None else {"made_of": made_of})}


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
    environment.filters |= {"md": escaped, "table": table, "inlined": inlined}
    environment.globals |= {"fact": fact, "palette": PALETTE}
    environment.tests |= {"command": is_command, "equal_ratio": is_equal}
    return environment.get_template(template).render(values, folder=PICTURES)


_ID = re.compile(r'(\bid="|href="#|url\(#)')
_COLOR = re.compile(rf"(?<=[ :\"])({'|'.join(PALETTE.values())})(?=[;\"])")
_NAMES = {color: f"var(--{name})" for name, color in PALETTE.items()}
_SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')


def inlined(picture: Picture) -> Markup:
    """The picture as an element of a page, without its title and caption, which the page has itself.

    Its colours are the page's, so that they follow its scheme; a picture with shades in it keeps its own, and the
    page's style sheet turns them. Its ids begin with its name, so that they clash with no other's.
    """
    _, _, text = picture.svg.decode().partition("<svg")
    head, _, body = text.partition(">")
    size = _SIZE.search(head)
    assert size is not None, "matplotlib's SVG has a viewBox"
    width, height, above = float(size[1]), float(size[2]), 72 * picture.words.above
    body = re.sub(r"<(metadata|defs)>\s*<(rdf:RDF|style).*?</\1>", "", body, count=2, flags=re.DOTALL)
    body = re.sub(rf'<g id="({HEADING}|{CAPTION})">\s*(<text.*?</text>\s*)*</g>', "", body, flags=re.DOTALL)
    body = re.sub(r'(<image\b[^>]*?) id="\w+"', r"\1", body)  # equal ones have the same
    body = _ID.sub(rf"\g<1>{picture.name}-", body)
    shades = "<image" in body
    if not shades:
        body = _COLOR.sub(lambda found: _NAMES[found[1]], body)
    seen = escape(picture.words.seen)
    opening = (
        f'<svg{" class=shades" * shades} role="img" aria-label="{seen}" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" width="{width:g}pt" height="{height - above:.6g}pt" '
        f'viewBox="0 {above:.6g} {width:g} {height - above:.6g}">'
    )
    return Markup(opening + body)
