"""The keys of YAML files with their values and the comments beside them, for `--help` and the reference of conf/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

PLUMBING = ("hydra", "name", "family", "_target_", "backend", "cluster")  # what names the option, and what no user sets
SHARED = {"block": "separable.yaml", "data": "images.yaml"}  # what each file of a group begins with
EXPLAINED = {"arch": "plain.yaml"}  # the file of a group whose comments are those of all
_COMMENT = re.compile(r"\s*# ?(.*)")


@dataclass(frozen=True)
class Key:
    """`name` with dots, the source of its `value`, and its `comment`; a mapping of further keys has no value."""

    name: str
    value: str
    comment: str


@dataclass(frozen=True)
class Described:
    """A file: the comment at its head, its `text` below that, its keys, and the groups that its defaults list chooses.

    Of these `name` is the group and `value` the choice.
    """

    head: str
    text: str
    keys: tuple[Key, ...]
    groups: tuple[Key, ...]


@cache  # the files of conf/ do not change under a process, and one explains several
def described(path: Path) -> Described:
    """What the file at `path` says; Hydra's package line is no comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = []
    while lines and lines[0].startswith("#"):
        head.append(lines.pop(0).lstrip("#").strip())
    text = "\n".join(lines).strip("\n") + "\n"
    words = " ".join(line for line in head if not line.startswith("@package"))
    node = yaml.compose(text)
    if node is None:
        return Described(words, text, (), ())
    body = text.splitlines()
    return Described(words, text, tuple(_keys(node, text, body)), tuple(_groups(node, body)))


def keys_with_meaning(conf: Path, path: Path) -> tuple[Key, ...]:
    """The keys of a file that are no plumbing, a missing comment taken from the one that explains its group."""
    group = path.parent.name
    explained = conf / SHARED[group] if group in SHARED else conf / group / EXPLAINED.get(group, path.name)
    meant = {key.name: key.comment for key in described(explained).keys} if explained.is_file() else {}
    kept = [key for key in described(path).keys if key.name.split(".")[0] not in PLUMBING]
    return tuple(Key(key.name, key.value, key.comment or meant.get(key.name, "")) for key in kept)


def _groups(node: yaml.Node, lines: list[str]) -> Iterator[Key]:
    """The choices of the defaults list of the mapping `node` that have a comment: those that are for the user."""
    for key, value in node.value:
        if key.value != "defaults":
            continue
        for one in (pair for entry in value.value if isinstance(entry, yaml.MappingNode) for pair in entry.value):
            group, choice = one
            comment = _comment(lines, choice.end_mark.line, choice.end_mark.column)
            if comment:
                yield Key(group.value.removeprefix("override "), choice.value, comment)


def _keys(node: yaml.Node, text: str, lines: list[str], prefix: str = "") -> Iterator[Key]:
    """The keys of the mapping `node`, the defaults list aside; flow mappings that have keys of their own are values."""
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        name = prefix + key.value
        if name == "defaults":
            continue
        mapping = isinstance(value, yaml.MappingNode) and not value.flow_style
        block = isinstance(value, yaml.CollectionNode) and not value.flow_style
        source = "" if block else text[value.start_mark.index : value.end_mark.index]
        last = key.end_mark.line if block else value.end_mark.line
        column = key.end_mark.column + 1 if block else value.end_mark.column
        of_lines = source.startswith(("|", ">"))  # text, beside which no comment stands
        yield Key(name, source, "" if of_lines else _comment(lines, last, column))
        if mapping:
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
