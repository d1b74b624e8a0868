"""A table is whole wherever it is shown."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console

from dsbench.numerals import percent
from dsbench.quantities import QUANTITIES
from dsbench.tables import Table, answers, figures, filled, names, numbers, texts

MACS = [2_911_937_152, 490_050_560]
COLUMNS = (
    *names({"model": ["dwsep", "cnn [a]"]}),
    figures(QUANTITIES["macs"], MACS),
    figures(QUANTITIES["acts"], [65_866, None]),
    numbers("off budget", [-0.0012, 0.0], lambda share: percent(share, "+")),
    answers("lighter", ["yes", "cannot tell"]),
)


def shown(table: Table, width: int, color: bool = False) -> str:
    file = io.StringIO()
    Console(
        file=file, width=width, highlight=False, force_terminal=color, color_system="standard" if color else None
    ).print(table)
    return file.getvalue()


@pytest.mark.parametrize("look", ["plain", "ruled"])
@pytest.mark.parametrize("width", [40, 60, 200])
def test_no_number_is_cut_at_any_width(look: str, width: int) -> None:
    text = shown(Table("costs", COLUMNS, "a note", look=look), width)  # type: ignore[arg-type]
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for word in ("dwsep", "[a]", "-0.12", "note"):
        assert word in text
    assert "2,911,937,152" in text or "2.91G" in text
    assert "490,050,560" in text or "490M" in text


def test_counts_are_full_where_there_is_room_then_brief_then_below_each_other() -> None:
    table = Table("", COLUMNS)
    assert "2,911,937,152" in shown(table, 80)
    assert "activations" in shown(table, 80)
    head, first, *_ = shown(table, 50).splitlines()
    assert head.split() == ["model", "MACs", "acts", "off", "budget", "lighter"]
    assert first.split() == ["dwsep", "2.91G", "65.9k", "-0.12", "%", "yes"]
    head, first, *_ = (line.split() for line in shown(table, 45).splitlines() if line.strip())
    assert head == ["costs"]
    assert first == ["model", "dwsep", "MACs", "2.91G", "lighter", "yes"]


@pytest.mark.parametrize("width", [30, 200])
def test_long_texts_wrap_between_lines(width: int) -> None:
    claims = ["Lighter: it has fewer parameters and fewer operations", "Faster: a step takes less time"]
    text = shown(Table("", (texts("claim", claims), answers("verdict", ["holds", "not tested"]))), width)
    assert max(map(len, text.splitlines())) <= width
    words = text.replace("│", " ").split()
    assert {"parameters", "operations", "takes", "holds", "tested"} <= set(words)


def test_a_sum_stands_apart_and_answers_have_their_color() -> None:
    total = Table("", (*names({"layer": ["conv", "total"]}), numbers("MACs", [5, 5], str)), total=True)
    *_, conv, apart, total_row, _ = shown(total, 80).splitlines()
    assert (conv.split(), apart.strip(), total_row.split()) == (["conv", "5"], "", ["total", "5"])
    assert "\x1b[1;32myes" in shown(Table("", COLUMNS), 80, color=True)


def test_columns_without_a_text_are_left_out_unless_there_is_no_row() -> None:
    assert [column.heading for column in filled([texts("a", ["", ""]), texts("b", ["", "x"]), texts("c", [])])] == [
        "b",
        "c",
    ]


def test_a_table_is_plain_data_by_its_headings() -> None:
    assert Table("", COLUMNS[:2]).plain() == [
        {"model": "dwsep", "MACs": "2,911,937,152"},
        {"model": "cnn [a]", "MACs": "490,050,560"},
    ]


def test_whoever_makes_a_table_needs_no_rich() -> None:
    code = "import sys; import dsbench.tables, dsbench.console; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
