"""The tables of a verdict hold what it rests on, and its summary an answer to each question."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import scipy.stats
from made import budget, cell, timed, verdict
from rich.console import Console

from dsbench.report.answers import answer_lines, answer_table, verdict_tables
from dsbench.tables import Table
from dsbench.verdict.sentences import headline

BEFORE = [0.98, 0.981, 0.982, 0.983, 0.984, 0.985, 0.986, 0.987]
AFTER = [
    round(score - by, 4)
    for score, by in zip(BEFORE, (0.003, 0.003, 0.003, 0.003, 0.003, 0.004, 0.004, 0.012), strict=True)
]


def row(tables: list[Table], title: str) -> dict[str, str]:
    """The first row of the table whose title ends so."""
    (table,) = (table for table in tables if table.title.endswith(title))
    return {name: texts[0] for name, texts in table.texts.items()}


def test_better_stands_on_scipys_welch_interval_and_p() -> None:
    better = row(verdict_tables(verdict(cell(BEFORE), cell(AFTER, "dwsep"))), "accuracy")
    test = scipy.stats.ttest_ind(AFTER, BEFORE, equal_var=False)
    low, high = test.confidence_interval(0.95)
    assert better["interval"] == f"({100 * low:+.2f} to {100 * high:+.2f})"
    assert better["points"] == f"{100 * np.mean(AFTER) - 100 * np.mean(BEFORE):+.2f}"
    assert better["p"] == f"{test.pvalue:.2g}"
    assert (better["better"], better["n"], better["level"], better["margin"]) == ("worse", "8, 8", "0.95", "0.20")


def test_the_summary_has_an_answer_to_each_question_with_its_figures() -> None:
    table = answer_table(verdict(timed(cell(BEFORE), 1.0), timed(cell(AFTER, "dwsep"), 2.0)))
    answers = {name: texts[0].split("\n")[0] for name, texts in table.texts.items() if name}
    assert answers == {"lighter": "equal", "faster": "slower", "better": "worse", "reliable": "no difference seen"}
    assert "step x 2 (2 to 2)" in table.texts["faster"][0]
    assert "0 of 8 and 0 of 8 failed" in table.texts["reliable"][0]


def test_many_comparisons_have_a_line_each_that_fits_an_old_terminal() -> None:
    cells = [
        cell(scores, model, width=width, params=1000 * width, macs=9000 * width, **budget(1000 * width))
        for width in (4, 8, 16)
        for model, scores in (("cnn", BEFORE), ("dwsep", AFTER))
    ]
    table = answer_lines(verdict(*cells), most=2)
    assert table.texts[""][1] == "dwsep, width 8 against cnn, width 8"
    assert table.texts["at"] == ["4,000 parameters", "8,000 parameters"]
    assert [table.texts[name][0] for name in ("faster", "better", "reliable")] == [
        "not measured",
        "worse",
        "no difference seen",
    ]
    assert float(table.texts["points"][0]) == pytest.approx(100 * (np.mean(AFTER) - np.mean(BEFORE)), abs=0.005)
    console = Console(file=io.StringIO(), width=80)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    first, _, *rows, more = console.file.getvalue().splitlines()  # a rule below the heads
    assert more.strip() == "and 1 more pair"
    assert [row.split()[:4] for row in rows] == [["dwsep", "against", "cnn", f"{width},000"] for width in (4, 8)]
    assert max(map(len, (first, *rows))) <= 80


def test_times_that_do_not_compare_stand_in_brackets_and_equal_costs_as_a_word() -> None:
    tables = verdict_tables(verdict(timed(cell(BEFORE), 1.0), timed(cell(AFTER, "dwsep"), 2.0, threads=2)))
    assert row(tables, "times")["training step"] == "(x 2)"
    assert row(tables, "costs")["MACs"] == "equal"


def test_a_factorial_and_regimes_have_tables() -> None:
    ends = [{"stop": {"by": "epochs", "target": target}} for target in (3.0, 9.0)]
    by_regime = verdict(*(cell(BEFORE[:2], settings={f"stop.{k}": v for k, v in end["stop"].items()}) for end in ends))
    assert tuple(verdict_tables(by_regime)[-1].texts.keys()) == ("network", "3 epochs", "9 epochs")
    four = [
        cell(BEFORE, model, arch=arch, acts=acts, width=acts, **budget(1000))
        for acts, (model, arch) in enumerate([(m, a) for m in ("cnn", "dwsep") for a in ("shallow", "deep")], 1)
    ]
    tables = {table.title: table for table in verdict_tables(verdict(*four))}
    assert tables["1,000 parameters: block and topology apart"].texts["effect"] == [
        "block",
        "topology",
        "interaction",
    ]


@pytest.mark.parametrize("pairs", [1, 2])
def test_a_family_that_fails_in_some_trainings_has_that_in_its_row(pairs: int) -> None:
    after: list[Any] = [*AFTER[:5], "collapsed", "collapsed", "failed"]
    cells = [
        cell(scores, model, width=size, params=size, macs=size, acts=size)
        for size in (1000, 2000)[:pairs]
        for model, scores in (("cnn", BEFORE), ("dwsep", after))
    ]
    judged = verdict(*cells)
    for text in answer_table(judged).texts["reliable"]:
        assert "2 of 7 and 0 of 8 failed" in text
    assert headline(judged)[-1].startswith(f"{pairs} of {16 * pairs} runs ha")
    assert len(headline(verdict(cell(BEFORE), cell(AFTER, "dwsep")))) == 1
