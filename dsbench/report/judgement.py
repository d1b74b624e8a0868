"""A verdict as Python's users have it: an object that prints as its table, in a terminal and in a notebook."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench.report.answers import answer_table
from dsbench.verdict.advice import advice
from dsbench.verdict.sentences import headline, title
from dsbench.verdict.verdict import Comparison, Verdict, as_data

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Judgement:
    """A verdict that prints as its table and sentence; `verdict` has every group with its comparisons, in types."""

    verdict: Verdict

    @property
    def comparisons(self) -> list[Comparison]:
        """Each pair once, those of the headline first; `answers` has each pair's by question, `better` its figures."""
        return self.verdict.comparisons

    @property
    def answers(self) -> pd.DataFrame:
        """A row a comparison: who is compared with whom, and the answer to each question as a word."""
        import pandas as pd

        rows = [
            {"candidate": pair.candidate, "reference": pair.reference, "group": pair.group}
            | {question: str(answer) for question, answer in pair.answers.items()}
            for pair in self.comparisons
        ]
        return pd.DataFrame(rows, columns=["candidate", "reference", "group", *self.verdict.questions])

    @property
    def advice(self) -> str:
        """Which network to take for what; empty where there is nothing to compare."""
        return advice(self.verdict)

    @property
    def headline(self) -> str:
        """What it says in sentences."""
        return " ".join(headline(self.verdict))

    def details(self) -> dict[str, Any]:
        """Every figure as plain data, as `dsbench verdict --json` has it."""
        return as_data(self.verdict)

    def __str__(self) -> str:
        from rich.console import Console

        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            console = Console(
                file=nowhere, width=120, color_system=None, markup=False, emoji=False, force_jupyter=False
            )
            with console.capture() as written:
                console.print(title(self.verdict))
                console.print()
                if self.verdict.groups:
                    console.print(answer_table(self.verdict))
                    console.print()
                for text in filter(None, (self.advice, self.headline)):
                    console.print(text, soft_wrap=True)
        return "\n".join(line.rstrip() for line in written.get().splitlines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from dsbench.report.page import rendered

        table = answer_table(self.verdict) if self.verdict.groups else None
        return rendered(
            "cell.html.j2",
            {"title": title(self.verdict), "table": table, "advice": self.advice, "headline": self.headline},
        )
