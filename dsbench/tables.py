"""One table for a terminal, where it is complete at any width, for a page in HTML or Markdown, and as plain data.

Rich prints it as it is; dsbench.report.page writes it in HTML and Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from dsbench.quantities import Quantity

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table as RichTable
    from rich.text import Text

_UNBOUNDED = 10_000  # columns of letters
_TONES = {  # of answers
    "good": ("yes", "better", "as good", "no worse", "lighter", "faster", "more reliable", "holds", "identical"),
    "bad": ("no", "worse", "heavier", "slower", "less reliable", "does not hold"),
    "open": ("cannot tell", "too few runs", "mixed"),
    "none": ("equal", "as fast", "no difference seen", "not measured", "not comparable", "not tested"),
}
_TONE = {answer: tone for tone, of_tone in _TONES.items() for answer in of_tone}
_STYLES = {"good": "bold green", "bad": "bold red", "open": "yellow", "none": "dim"}


def tone(line: str) -> str:
    """How an answer sounds, good, bad, open or none, by the word that a line is, or that stands before its colon.

    Empty where the line has no answer.
    """
    return _TONE.get(line.partition(":")[0], "")


class Kind(StrEnum):
    """The kind of a column's entries: names of the rows, words, answers (coloured), to the right numbers and ratios.

    Of ratios those that are equal, or do not decide, are grey, the others bold.
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
        from rich.measure import Measurement
        from rich.text import Text

        def fits(table: RichTable) -> bool:
            width = Measurement.get(console, options.update(max_width=_UNBOUNDED), table)
            return (width.minimum if self.look == "grid" else width.maximum) <= options.max_width

        if self.title:
            yield Text(self.title, style="italic")
        if self.columns:
            table = next(filter(fits, self._side_by_side()), None)
            if table is None and any("\n" in text for column in self.columns for text in column.texts):
                yield from self._by_row()
            else:
                yield table or self._stacked()
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
            right = column.kind.right
            table.add_column(heading, justify="right" if right else "left", no_wrap=self.look != "grid")
        for number, row in enumerate(self.rows, 1):
            if self.total and number == len(self.rows):
                table.add_section()
            entries = zip(self.columns, row, strict=True)
            table.add_row(*(_shown(column.kind, _brief(entry) if brief else entry.text) for column, entry in entries))
        return table

    def _by_row(self) -> Iterator[RichTable | Text]:
        """Each row by itself: its names, then a line a column, the lines of an entry side by side."""
        from rich.table import Table as RichTable
        from rich.text import Text

        for row in range(len(self.rows)):
            name = ", ".join(
                column.texts[row].replace("\n", " ") for column in self.columns if column.kind is Kind.NAME
            )
            yield Text(name, style="bold")
            lines = RichTable(box=None, show_header=False, pad_edge=False)
            lines.add_column(no_wrap=True)
            lines.add_column(no_wrap=True)
            lines.add_column(overflow="fold")
            for column in self.columns:
                first, *rest = column.texts[row].split("\n")
                if column.kind is not Kind.NAME and first:
                    answer, text = (first, rest) if tone(first) and ":" not in first else ("", [first, *rest])
                    lines.add_row(f"  {column.heading}", _shown(column.kind, answer), _shown(column.kind, joined(text)))
            yield lines

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


def joined(lines: Sequence[str]) -> str:
    """Lines as one; what is in brackets belongs to the line before."""
    return ", ".join(lines).replace(", (", " (")


def _line(column: Column, row: int) -> str:
    """An entry of a pile, after its heading where that is not the pile's."""
    text = _brief(column.entries[row])
    return f"{column.heading} {text}" if text and column.heading != column.pile else text


def _brief(entry: Entry) -> str:
    return entry.brief or entry.text


def _shown(kind: Kind, text: str) -> Text:
    from rich.text import Text

    if kind is Kind.RATIO:
        return Text(text, style="dim" if is_equal(text) else "bold")
    out = Text(text)
    if kind is Kind.ANSWER:
        start = 0
        for line in text.split("\n"):
            if style := _STYLES.get(tone(line)):
                out.stylize(style, start, start + len(line.partition(":")[0]))
            start += len(line) + 1
    return out


def is_equal(text: str) -> bool:
    """Whether a ratio is equal, or in brackets since it decides nothing."""
    return text.startswith(("equal", "("))
