"""A table of a page: texts to read, values to sort by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One cell of a table; `value` is what it is sorted by, `kind` a number, a text or an answer."""

    text: str
    value: Any = None
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """Headings and rows of equal length."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    note: str = ""

    @classmethod
    def of(cls, title: str, columns: Mapping[str, Sequence[Entry]], note: str = "") -> Table:
        """The table of these columns, but for those in which there are rows and none has a text."""
        some = {name: found for name, found in columns.items() if not found or any(entry.text for entry in found)}
        return cls(title, tuple(some), tuple(zip(*some.values(), strict=True)), note)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each column: that of its first entry."""
        return tuple(entry.kind for entry in self.rows[0]) if self.rows else ("text",) * len(self.headings)

    @property
    def columns(self) -> dict[str, list[str]]:
        """The texts of each column."""
        return {name: [row[index].text for row in self.rows] for index, name in enumerate(self.headings)}

    def plain(self) -> list[dict[str, str]]:
        """The texts of each row by heading, as JSON has them."""
        return [{name: entry.text for name, entry in zip(self.headings, row, strict=True)} for row in self.rows]


def number(value: Any, write: Callable[[Any], str]) -> Entry:
    """A number as `write` has it, or an empty entry."""
    return Entry("" if value is None else write(value), value, "number")


def answer(said: object) -> Entry:
    """An answer, which is coloured by what it says."""
    return Entry(str(said), str(said), "answer")
