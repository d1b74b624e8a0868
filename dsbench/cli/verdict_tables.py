"""The tables of `dsbench verdict`, complete at any width."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from dsbench.console import Fitting, side_by_side, stacked
from dsbench.report.answers import verdict_tables
from dsbench.report.table import Table
from dsbench.run.progress import terminal
from dsbench.verdict.verdict import Verdict

_NAMES = ("this", "against", "effect", "on test accuracy", "network")  # the columns that say what a row is


def print_verdict(verdict: Verdict, said: Sequence[str]) -> None:
    """The tables of each group, accuracies by regime, and all of it in words."""
    console = terminal()
    tables = verdict_tables(verdict)
    for table in tables:
        _print(console, table)
    if tables:
        console.print(Text(" ".join(table.note for table in tables if table.note), style="dim"))
    for number, paragraph in enumerate(said):
        if number or tables:
            console.print()
        console.print(paragraph, soft_wrap=True)


def _print(console: Console, table: Table) -> None:
    """A table side by side where that fits, else with the figures of a row under each other."""
    names = {name: texts for name, texts in table.columns.items() if name in _NAMES}
    figures = {name: texts for name, texts in table.columns.items() if name not in _NAMES}
    rows = zip(*figures.values(), strict=True)
    heap = ["\n".join(f"{name} {text}" for name, text in zip(figures, row, strict=True) if text) for row in rows]
    console.print(Text(table.title, style="italic"))
    console.print(Fitting((side_by_side(names, figures, {}), stacked(names, {"": heap}))))
    console.print()
