"""One table for a terminal, where it is complete at any width, for a page in HTML or Markdown, and as plain data.

Rich prints it as it is; dsbench.report.page writes it in HTML and Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from dsbench.quantities import Quantity

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


class Tone(StrEnum):
    """How an answer sounds."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"
    NONE = "none"


class Toned(Protocol):
    """An answer: its text, and how that sounds."""

    def __str__(self) -> str: ...

    @property
    def tone(self) -> Tone:
        """How it sounds."""
        ...


@dataclass(frozen=True)
class Said:
    """An answer that is no member of an enumeration."""

    text: str
    tone: Tone

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Line:
    """A line of an entry: the answer that it begins with, how that sounds, and the `rest`."""

    answer: str
    tone: Tone | None
    rest: str

    @classmethod
    def of(cls, answer: Toned | None, figures: str = "") -> Line:
        """An answer before the figures that are its own, or either alone."""
        if answer is None:
            return cls("", None, figures)
        return cls(str(answer), answer.tone, f": {figures}" if figures else "")

    def __str__(self) -> str:
        return self.answer + self.rest


class Kind(StrEnum):
    """The kind of a column's entries: names of the rows, words, answers (coloured), to the right numbers and ratios.

    Of ratios those that are equal, matched, or do not decide, are grey, the others bold.
    """

    NAME = "name"
    NUMBER = "number"
    TEXT = "text"
    ANSWER = "answer"
    RATIO = "ratio"

    @property
    def right(self) -> bool:
        """Whether its entries stand to the right."""
        return self in (Kind.NUMBER, Kind.RATIO)


@dataclass(frozen=True)
class Entry:
    """An entry of a table; it is sorted by `value`, else by its text; `brief` is the text where room is short.

    `lines` are those of its text, where they say answers.
    """

    text: str
    value: Any = None
    brief: str = ""
    lines: tuple[Line, ...] = ()

    @classmethod
    def said(cls, *lines: Line) -> Entry:
        """An entry of lines with answers; it is sorted by the first where that is an answer alone."""
        value = lines[0].answer if lines and not lines[0].rest else ""
        return cls("\n".join(map(str, lines)), value, lines=lines)


@dataclass(frozen=True)
class Column:
    """Entries under a heading; `brief` is the heading where room is short; a `minor` one is missed least there."""

    heading: str
    entries: tuple[Entry, ...]
    kind: Kind = Kind.TEXT
    brief: str = ""
    minor: bool = False

    @property
    def texts(self) -> list[str]:
        """The texts of its entries."""
        return [entry.text for entry in self.entries]


def names(columns: Mapping[str, Sequence[str]]) -> list[Column]:
    """Columns with the names of the rows."""
    return [Column(heading, tuple(map(Entry, texts)), Kind.NAME) for heading, texts in columns.items()]


def texts(heading: str, texts: Sequence[str]) -> Column:
    """A column of words."""
    return Column(heading, tuple(map(Entry, texts)))


def numbers(heading: str, values: Sequence[Any], write: Callable[[Any], str], brief: str = "") -> Column:
    """A column of numbers, written by `write`; None is an empty entry."""
    entries = tuple(Entry("" if value is None else write(value), value) for value in values)
    return Column(heading, entries, Kind.NUMBER, brief)


def figures(quantity: Quantity, values: Sequence[Any], heading: str = "") -> Column:
    """A column of a quantity with its own heading, or `heading`, and its own way of writing."""
    entries = tuple(Entry(quantity.write(value), value, quantity.write_brief(value)) for value in values)
    return Column(heading or quantity.heading, entries, Kind.NUMBER, quantity.brief)


def written(heading: str, texts: Sequence[str], brief: str = "") -> Column:
    """A column of numbers that are written already."""
    return Column(heading, tuple(map(Entry, texts)), Kind.NUMBER, brief)


def answers(heading: str, answers: Sequence[Toned]) -> Column:
    """A column of answers, each in its colour."""
    return Column(heading, tuple(Entry.said(Line.of(answer)) for answer in answers), Kind.ANSWER)


def filled(columns: Iterable[Column]) -> list[Column]:
    """The columns without those in which every row is empty; without rows all of them."""
    return [column for column in columns if not column.entries or any(column.texts)]


@dataclass(frozen=True)
class Table:
    """Columns of equally many entries, with a title above and a note below; with `total` the last row is a sum.

    dsbench.layout shows it in a terminal. `elsewhere` says where every column is to be found, if that is so: minor ones
    are then left out where room is short. Of `prose` no line is longer than can be read, however wide a terminal is.
    """

    title: str
    columns: tuple[Column, ...]
    note: str = ""
    total: bool = False
    elsewhere: str = ""
    prose: bool = False

    def without_note(self) -> Table:
        """The same, without what is written below."""
        return replace(self, note="")

    @property
    def rows(self) -> list[tuple[Entry, ...]]:
        """The entries of each row."""
        return list(zip(*(column.entries for column in self.columns), strict=True))

    @property
    def texts(self) -> dict[str, list[str]]:
        """The texts of each column by its heading."""
        return {column.heading: column.texts for column in self.columns}

    def plain(self) -> list[dict[str, str]]:
        """The texts of each row by heading, as JSON has them."""
        headings = [column.heading for column in self.columns]
        return [{name: entry.text for name, entry in zip(headings, row, strict=True)} for row in self.rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from dsbench.layout import rendered

        yield from rendered(self, console, options)


def between(before: Line, after: Line) -> str:
    """What stands between two lines that are written as one; what is in brackets belongs to the line before."""
    if after.answer:
        return "; "
    if before.answer and not before.rest:
        return ": "
    return " " if after.rest.startswith("(") else ", "


def is_equal(text: str) -> bool:
    """Whether a ratio is equal, matched, or in brackets since it decides nothing."""
    return text.startswith(("equal", "matched", "("))
