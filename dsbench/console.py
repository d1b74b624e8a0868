"""Tables that are complete at any width: side by side where that fits, else stacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_UNBOUNDED = 10_000  # columns
Columns = Mapping[str, Sequence[str]]  # the texts of each column, by its heading


@dataclass(frozen=True)
class Fitting:
    """Shows the first of `choices`, the widest first, that fits, or else the last."""

    choices: tuple[Table, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(max_width=_UNBOUNDED)
        fits = (one for one in self.choices if Measurement.get(console, unbounded, one).maximum <= options.max_width)
        yield next(fits, self.choices[-1])


def side_by_side(names: Columns, figures: Columns, words: Columns) -> Table:
    """A column each, figures to the right."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    columns = [(names, "left"), (figures, "right"), (words, "left")]
    for part, justify in columns:
        for heading in part:
            table.add_column(Text(heading), justify=justify, no_wrap=True)  # type: ignore[arg-type]
    _fill(table, [texts for part, _ in columns for texts in part.values()])
    return table


def stacked(names: Columns, others: Columns) -> Table:
    """The names of a row in one column, a line each; the rest a column each, of as many lines as their texts have."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 1, 1))
    lines = [zip(names, row, strict=True) for row in zip(*names.values(), strict=True)]
    called = ["\n".join(f"{name} {text}" for name, text in row if text) for row in lines]
    if names:
        table.add_column("", overflow="fold")
    for heading in others:
        table.add_column(Text(heading), overflow="fold")
    _fill(table, [*([called] if names else []), *others.values()])
    return table


def _fill(table: Table, columns: Sequence[Sequence[str]]) -> None:
    for row in zip(*columns, strict=True):
        table.add_row(*map(Text, row))  # Text, since brackets would be markup in a string
