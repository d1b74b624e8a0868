"""One table for a terminal, where it is complete at any width, for a page in HTML or Markdown, and as plain data.

Rich prints it as it is; dsbench.report.page writes it in HTML and Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from dsbench.quantities import Quantity

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table as RichTable
    from rich.text import Text

_UNBOUNDED = 10_000  # columns of letters
_STYLES = {  # of answers; page.css has the same
    **{"yes": "green", "no": "red", "holds": "green", "does not hold": "red"},
    **{"cannot tell": "yellow", "not tested": "dim"},
}


class Kind(StrEnum):
    """The kind of a column's entries: names of the rows, numbers (to the right), words, or answers (coloured)."""

    NAME = "name"
    NUMBER = "number"
    TEXT = "text"
    ANSWER = "answer"


@dataclass(frozen=True)
class Entry:
    """An entry of a table; it is sorted by `value`, else by its text; `brief` is the text where room is short."""

    text: str
    value: Any = None
    brief: str = ""


@dataclass(frozen=True)
class Column:
    """Entries under a heading; `brief` is the heading where room is short.

    Where columns do not fit side by side, those of one `pile` stand in one column under its name, an entry a line.
    """

    heading: str
    entries: tuple[Entry, ...]
    kind: Kind = Kind.TEXT
    brief: str = ""
    pile: str = ""

    @property
    def texts(self) -> list[str]:
        """The texts of its entries."""
        return [entry.text for entry in self.entries]


def names(columns: Mapping[str, Sequence[str]]) -> list[Column]:
    """Columns with the names of the rows."""
    return [Column(heading, tuple(map(Entry, texts)), Kind.NAME) for heading, texts in columns.items()]


def texts(heading: str, texts: Sequence[str], pile: str = "") -> Column:
    """A column of words."""
    return Column(heading, tuple(map(Entry, texts)), pile=pile)


def numbers(
    heading: str, values: Sequence[Any], write: Callable[[Any], str], brief: str = "", pile: str = ""
) -> Column:
    """A column of numbers, written by `write`; None is an empty entry."""
    entries = tuple(Entry("" if value is None else write(value), value) for value in values)
    return Column(heading, entries, Kind.NUMBER, brief, pile)


def figures(quantity: Quantity, values: Sequence[Any], heading: str = "", pile: str = "") -> Column:
    """A column of a quantity with its own heading, or `heading`, and its own way of writing."""
    entries = tuple(Entry(quantity.write(value), value, quantity.write_brief(value)) for value in values)
    return Column(heading or quantity.heading, entries, Kind.NUMBER, quantity.brief, pile)


def written(heading: str, texts: Sequence[str], brief: str = "", pile: str = "") -> Column:
    """A column of numbers that are written already."""
    return Column(heading, tuple(map(Entry, texts)), Kind.NUMBER, brief, pile)


def answers(heading: str, answers: Sequence[object]) -> Column:
    """A column of answers, each in its colour."""
    return Column(heading, tuple(Entry(str(answer), str(answer)) for answer in answers), Kind.ANSWER)


def filled(columns: Iterable[Column]) -> list[Column]:
    """The columns without those in which every row is empty; without rows all of them."""
    return [column for column in columns if not column.entries or any(column.texts)]


@dataclass(frozen=True)
class Table:
    """Columns of equally many entries, with a title above and a note below; with `total` the last row is a sum.

    A terminal shows it without lines (plain), with one below the headings (ruled) or between all rows (grid, of texts
    that wrap): side by side, in brief where that alone fits, else with the figures of a row under each other. `margin`
    is a space at both of its sides, which by default a plain one lacks.
    """

    title: str
    columns: tuple[Column, ...]
    note: str = ""
    look: Literal["plain", "ruled", "grid"] = "plain"
    total: bool = False
    margin: bool | None = None

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
        from rich.measure import Measurement
        from rich.text import Text

        def fits(table: RichTable) -> bool:
            width = Measurement.get(console, options.update(max_width=_UNBOUNDED), table)
            return (width.minimum if self.look == "grid" else width.maximum) <= options.max_width

        if self.title:
            yield Text(self.title, style="italic")
        if self.columns:
            yield next(filter(fits, self._side_by_side()), None) or self._stacked()
        if self.note:
            yield Text(self.note, style="dim")

    def _side_by_side(self) -> list[RichTable]:
        """In full, and in brief where that is another table."""
        has_brief = any(entry.brief != entry.text for column in self.columns for entry in column.entries if entry.brief)
        return [self._wide(brief=False), *([self._wide(brief=True)] if has_brief else [])]

    def _wide(self, brief: bool) -> RichTable:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as RichTable
        from rich.text import Text

        margin = self.look != "plain" if self.margin is None else self.margin
        if self.look == "grid":
            table = RichTable(show_lines=True, pad_edge=margin)
        else:
            table = RichTable(box=SIMPLE_HEAD if self.look == "ruled" else None, header_style="bold", pad_edge=margin)
        for column in self.columns:
            heading = Text(column.brief if brief and column.brief else column.heading)
            right = column.kind is Kind.NUMBER
            table.add_column(heading, justify="right" if right else "left", no_wrap=self.look != "grid")
        for number, row in enumerate(self.rows, 1):
            if self.total and number == len(self.rows):
                table.add_section()
            entries = zip(self.columns, row, strict=True)
            table.add_row(*(_shown(column.kind, _brief(entry) if brief else entry.text) for column, entry in entries))
        return table

    def _stacked(self) -> RichTable:
        """The names of a row in one column, a line each, then its piles."""
        from rich.table import Table as RichTable
        from rich.text import Text

        piles: dict[tuple[bool, str], list[Column]] = {}
        for column in sorted(self.columns, key=lambda column: column.kind is not Kind.NAME):
            piles.setdefault((column.kind is Kind.NAME, column.pile), []).append(column)
        table = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 1, 1))
        for columns in piles.values():
            table.add_column(Text(columns[0].pile), overflow="fold")
        for row in range(len(self.rows)):
            table.add_row(
                *(Text("\n".join(filter(None, (_line(column, row) for column in pile)))) for pile in piles.values())
            )
        return table


def _line(column: Column, row: int) -> str:
    """An entry of a pile, after its heading where that is not the pile's."""
    text = _brief(column.entries[row])
    return f"{column.heading} {text}" if text and column.heading != column.pile else text


def _brief(entry: Entry) -> str:
    return entry.brief or entry.text


def _shown(kind: Kind, text: str) -> Text:
    from rich.text import Text

    return Text(text, style=_STYLES.get(text, "") if kind is Kind.ANSWER else "")
