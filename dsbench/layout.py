"""A table in a terminal: whole at any width, no word or number broken while there is room for it.

Side by side in full, else in brief, else with heads and words of several lines; where that does not fit either, the
columns stand in blocks one below the other, each beginning with what tells the rows apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.box import Box
from rich.cells import cell_len
from rich.segment import Segment
from rich.table import Table as Grid
from rich.text import Text

from dsbench.numerals import listed
from dsbench.tables import Column, Entry, Kind, Line, Tone, between, is_equal

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

    from dsbench.tables import Table

# A line below the heads. `ascii` keeps rich from replacing it: where it cannot be written, dsbench.console spells it.
_RULE = Box("    \n    \n ── \n    \n    \n    \n    \n    \n", ascii=True)
_GAP = 2  # spaces between columns
_LEGIBLE = 100  # columns above which prose is rather wrapped than shown in one line, however wide a terminal is
_PROSE, _NAME = 24, 20  # columns that a text, and a name, has at the least before its words are wrapped
_STYLES = {Tone.GOOD: "bold green", Tone.BAD: "bold red", Tone.OPEN: "yellow", Tone.NONE: "dim"}


def rendered(table: Table, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
    """The table as rich prints it, without spaces at the ends of lines."""
    for part in _parts(table, options.max_width):
        for line in console.render_lines(part, options, pad=False):
            yield from _trimmed(line)
            yield Segment.line()


def _parts(table: Table, width: int) -> Iterator[Grid | Text]:
    """Title, blocks or rows, note, and what is left out."""
    if table.title:
        yield Text(table.title, style="italic")
    columns = _with_room(table, width)
    blocks = _blocks(columns, width, table.prose)
    if len(blocks) > 1 and any("\n" in text for column in columns for text in column.texts):
        yield from _by_row(table)
    elif len(blocks) > 1 and (turned := _turned(columns, width)):
        yield turned
    else:
        for number, block in enumerate(blocks):
            yield from [Text("")] * bool(number)
            yield _grid(table, *block)
    if table.note:
        yield Text(table.note, style="dim")
    left_out = [column for column in table.columns if column not in columns and column.kind is not Kind.NAME]
    if left_out:
        text = listed(list(map(_left_out, left_out)))
        yield Text(f"without {text}, for want of room; {table.elsewhere}", style="dim")


def _trimmed(line: Sequence[Segment]) -> list[Segment]:
    """The line without the spaces at its end."""
    out = list(line)
    while out:
        text, style, control = out.pop()
        if text.rstrip():
            return [*out, Segment(text.rstrip(), style, control)]
    return []


def _with_room(table: Table, width: int) -> list[Column]:
    """The columns that are shown, so that they stand side by side wherever they can.

    Where room is short and they are elsewhere too, minor ones are left out, the last first, then what is the same in
    each row; then names are folded into one column.
    """
    columns = list(table.columns)
    minor = [column for column in columns if column.minor]
    others = [column for column in columns if not column.minor and column.kind is not Kind.NAME]
    constant = [column for column in others if column.entries[1:] and len(set(column.texts)) == 1]
    for column in [*reversed(minor), *reversed(constant)] if table.elsewhere else []:
        if len(_blocks(columns, width)) == 1:
            break
        columns = [other for other in columns if other is not column]
    named = [column for column in columns if column.kind is Kind.NAME]
    folded = [_folded(named), *(column for column in columns if column.kind is not Kind.NAME)]
    side_by_side = (each for each in (columns, folded if named[1:] else columns) if len(_blocks(each, width)) == 1)
    return next(side_by_side, list(table.columns))


def _folded(named: Sequence[Column]) -> Column:
    """Several columns of names as one."""
    between = "; " if any(", " in text for column in named for text in column.texts) else ", "
    rows = zip(*(column.texts for column in named), strict=True)
    entries = tuple(Entry(between.join(filter(None, row))) for row in rows)
    return Column(between.join(filter(None, (column.heading for column in named))), entries, Kind.NAME)


def _left_out(column: Column) -> str:
    """The heading of a column that is not shown, with its entry where that is the same in every row."""
    texts = set(column.texts)
    return f"{column.heading} ({texts.pop()} in each)" if len(texts) == 1 and column.entries[1:] else column.heading


_Block = tuple[list[Column], list[int], bool]  # columns, the width of each, whether in brief


def _blocks(columns: list[Column], width: int, prose: bool = False) -> list[_Block]:
    """The blocks in which columns fit `width`; one wherever it can be."""
    if not columns:
        return []
    least = [_PROSE if column.kind is Kind.TEXT else None for column in columns]
    for brief in (False, True):
        widths = _shrunk(columns, brief, min(width, _LEGIBLE) if prose else width, least)
        if _total(widths) <= width:
            return [(columns, widths, brief)]
    widths = _shrunk(columns, True, width, [_least(column) for column in columns])
    if _total(widths) <= width:
        return [(columns, widths, True)]
    named, others = _telling_apart(columns)
    leading = _shrunk(named, True, width // 3, [_least(column) for column in named])
    out: list[_Block] = []
    for column in others:
        own = min(_full(column, True), max(_head(column, True), width - _total(leading) - _GAP))
        (own,) = _shrunk([column], True, own, [_least(column)])
        if out and _total([*out[-1][1], own]) <= width:
            out[-1][0].append(column)
            out[-1][1].append(own)
        else:
            out.append(([*named, column], [*leading, own], True))
    return out or [(named, leading, True)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _texts(column: Column, brief: bool) -> list[str]:
    return [(entry.brief or entry.text) if brief else entry.text for entry in column.entries]


def _heading(column: Column, brief: bool) -> str:
    return (column.brief or column.heading) if brief else column.heading


def _longest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _full(column: Column, brief: bool) -> int:
    """The width at which nothing of the column is wrapped."""
    return _longest([_heading(column, brief), *(line for text in _texts(column, brief) for line in text.split("\n"))])


def _head(column: Column, brief: bool) -> int:
    """The width at which no word of the heading is broken."""
    return _longest(_heading(column, brief).split())


def _words(column: Column) -> int:
    """The width at which no word of its entries is broken."""
    return _longest([word for text in _texts(column, True) for word in text.split()])


def _least(column: Column) -> int:
    """The width that a column needs where room is short: numbers and answers stay in one line, words do not break."""
    if column.kind in (Kind.NAME, Kind.TEXT):
        return max(_head(column, True), _words(column), min(_NAME, _full(column, True)))
    lines = [line for text in _texts(column, True) for line in text.split("\n")]
    return max(_head(column, True), _longest(lines))


def _shrunk(columns: Sequence[Column], brief: bool, width: int, least: Sequence[int | None]) -> list[int]:
    """The widths of columns, the widest made narrower until they fit `width`, down to `least`; None: not at all.

    Words are never broken.
    """
    widths = [_full(column, brief) for column in columns]
    floors = [
        own if floor is None else min(own, max(floor, _head(column, brief), _words(column)))
        for column, own, floor in zip(columns, widths, least, strict=True)
    ]
    while _total(widths) > width:
        room = [own - floor for own, floor in zip(widths, floors, strict=True)]
        if not any(room):
            break
        widest = max((index for index, more in enumerate(room) if more), key=lambda index: widths[index])
        widths[widest] -= 1
    return widths


def _telling_apart(columns: Sequence[Column]) -> tuple[list[Column], list[Column]]:
    """The first columns of names that tell the rows apart, and all the others."""
    named: list[Column] = []
    rows = 1
    for column in columns:
        if column.kind is Kind.NAME:
            apart = len(set(zip(*(each.texts for each in [*named, column]), strict=True)))
            if apart > rows or not named:
                named.append(column)
                rows = apart
    return named, [column for column in columns if column not in named]


def _grid(table: Table, columns: Sequence[Column], widths: Sequence[int], brief: bool) -> Grid:
    """Columns side by side, each of its width."""
    heads = [wrap(_heading(column, brief), max(width, 1)) for column, width in zip(columns, widths, strict=True)]
    height = max(map(len, heads), default=1)
    wrapped = any(
        cell_len(line) > width or "\n" in text
        for column, width in zip(columns, widths, strict=True)
        for text in _texts(column, brief)
        for line in text.split("\n")
    )
    out = grid(int(wrapped))
    for column, width, head in zip(columns, widths, heads, strict=True):
        lines = [""] * (height - len(head)) + head
        out.add_column(
            Text("\n".join(lines)), justify="right" if column.kind.right else "left", width=width, overflow="fold"
        )
    for number in range(len(table.rows)):
        if table.total and number == len(table.rows) - 1:
            out.add_section()
        out.add_row(*(shown(column.kind, column.entries[number], brief) for column in columns))
    return out


def _turned(columns: Sequence[Column], width: int) -> Grid | None:
    """A line a column, the rows side by side; None where they do not fit."""
    columns = sorted(columns, key=lambda column: column.kind is not Kind.NAME)
    for brief in (False, True):
        heads = [_heading(column, brief) for column in columns]
        rows = list(zip(*(_texts(column, brief) for column in columns), strict=True))
        if _total([_longest(heads), *map(_longest, rows)]) <= width:
            break
    else:
        return None
    out = grid()
    out.add_column(Text(heads[0]), no_wrap=True)
    for row in rows:
        out.add_column(Text(row[0]), justify="right" if len(rows) > 1 else "left", no_wrap=True)
    for head, column in list(zip(heads, columns, strict=True))[1:]:
        out.add_row(Text(head), *(shown(column.kind, entry, brief) for entry in column.entries))
    return out


def grid(leading: int = 0) -> Grid:
    """A grid of the one style, without columns: a line below bold heads, nothing around."""
    return Grid(box=_RULE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", leading=leading)


def shown(kind: Kind, entry: Entry, brief: bool = False) -> Text:
    """An entry in its colours: answers as they sound, ratios that differ in bold."""
    text = (entry.brief or entry.text) if brief else entry.text
    if kind is Kind.RATIO:
        return Text(text, style="dim" if is_equal(text) else "bold")
    spoken = kind is Kind.ANSWER and text == entry.text  # a brief answer is no line with a tone
    return Text("\n").join(map(_spoken, entry.lines)) if spoken else Text(text)


def _spoken(line: Line) -> Text:
    return Text.assemble((line.answer, _STYLES[line.tone] if line.tone else ""), line.rest)


def _by_row(table: Table) -> Iterator[Grid | Text]:
    """Each row by itself: its names, then a line a column, the lines of an entry side by side."""
    for number, row in enumerate(table.rows):
        if number:
            yield Text("")
        entries = list(zip(table.columns, row, strict=True))
        named = [entry.text.replace("\n", " ") for column, entry in entries if column.kind is Kind.NAME]
        yield Text(", ".join(named), style="bold")
        grid = Grid(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for column, entry in entries:
            if column.kind is Kind.NAME or not entry.text:
                continue
            lines = entry.lines or tuple(Line.of(None, text) for text in entry.text.split("\n"))
            alone = bool(lines[0].answer) and not lines[0].rest  # one answer for all lines
            word, further = (_spoken(lines[0]), lines[1:]) if alone else (Text(""), lines)
            grid.add_row(f"  {column.heading}", word, _joined(further))
        yield grid


def _joined(lines: Sequence[Line]) -> Text:
    """Lines as one."""
    out = Text()
    for number, line in enumerate(lines):
        out.append(between(lines[number - 1], line) if number else "")
        out.append_text(_spoken(line))
    return out
