"""The keys of a YAML file with their values and the comments beside them, as the reference of conf/ shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

_COMMENT = re.compile(r"\s*# ?(.*)")


@dataclass(frozen=True)
class Key:
    """`name` with dots, the source of its `value`, and its `comment`; a mapping of further keys has no value."""

    name: str
    value: str
    comment: str


@dataclass(frozen=True)
class Described:
    """A file: the comment at its head, its `text` below that, and its keys."""

    head: str
    text: str
    keys: tuple[Key, ...]


def described(path: Path) -> Described:
    """What the file at `path` says; Hydra's package line is no comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = []
    while lines and lines[0].startswith("#"):
        head.append(lines.pop(0).lstrip("#").strip())
    text = "\n".join(lines).strip("\n") + "\n"
    words = " ".join(line for line in head if not line.startswith("@package"))
    node = yaml.compose(text)
    found = tuple(_keys(node, text, text.splitlines())) if node is not None else ()
    return Described(words, text, found)


def _keys(node: yaml.Node, text: str, lines: list[str], prefix: str = "") -> Iterator[Key]:
    """The keys of the mapping `node`, the defaults list aside; flow mappings that have keys of their own are values."""
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        name = prefix + key.value
        if name == "defaults":
            continue
        block = isinstance(value, yaml.MappingNode) and not value.flow_style
        last = key.end_mark.line if block else value.end_mark.line
        column = key.end_mark.column + 1 if block else value.end_mark.column
        multiline = isinstance(value, yaml.CollectionNode) and not value.flow_style
        source = "" if multiline else text[value.start_mark.index : value.end_mark.index]
        beside = block or not (multiline or source.startswith(("|", ">")))  # of a list or text of lines it is nowhere
        yield Key(name, source, _comment(lines, last, column) if beside else "")
        if block:
            yield from _keys(value, text, lines, f"{name}.")


def _comment(lines: list[str], line: int, column: int) -> str:
    """The comment after `column` of `line`, and the lines of comment alone that go on with it, in its column."""
    match = _COMMENT.fullmatch(lines[line], column)
    if match is None:
        return ""
    parts, at = [match[1]], lines[line].index("#", column)
    for following in lines[line + 1 :]:
        if following[:at].strip() or following[at : at + 1] != "#":
            break
        parts.append(following[at:].lstrip("# "))
    return " ".join(parts)
