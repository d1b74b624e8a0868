"""A table is whole wherever it is shown."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from dsbench.claims.decide import Decision
from dsbench.numerals import percent
from dsbench.quantities import QUANTITIES
from dsbench.tables import (
    Column,
    Entry,
    Kind,
    Line,
    Said,
    Table,
    Tone,
    answers,
    figures,
    filled,
    names,
    numbers,
    texts,
    written,
)
from dsbench.verdict.rule import Answer

MACS = [2_911_937_152, 490_050_560]
YES, OPEN = Said("yes", Tone.GOOD), Said("cannot tell", Tone.OPEN)
COLUMNS = (
    *names({"model": ["dwsep", "cnn [a]"]}),
    figures(QUANTITIES["macs"], MACS),
    figures(QUANTITIES["acts"], [65_866, None]),
    numbers("off budget", [-0.0012, 0.0], lambda share: percent(share, "+")),
    answers("lighter", [YES, OPEN]),
)


def shown(table: Table, width: int, color: bool = False) -> str:
    file = io.StringIO()
    Console(
        file=file, width=width, highlight=False, force_terminal=color, color_system="standard" if color else None
    ).print(table)
    return file.getvalue()


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_no_number_word_or_head_is_cut_at_any_width(width: int) -> None:
    text = shown(Table("costs", COLUMNS, "a note"), width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert lines == [line.rstrip() for line in lines]
    words = text.split()
    assert {"dwsep", "[a]", "-0.12", "yes", "tell", "lighter", "note"} <= set(words)
    assert {"off", "budget", "MACs"} <= set(words)
    assert "2,911,937,152" in words or "2.91G" in words
    assert "490,050,560" in words or "490M" in words


def heads(table: Table, width: int) -> list[list[str]]:
    """The line above each rule."""
    lines = shown(table, width).splitlines()
    return [lines[number - 1].split() for number, line in enumerate(lines) if set(line) == {"─"}]


def test_counts_are_full_where_there_is_room_then_brief_then_heads_wrap() -> None:
    table = Table("", COLUMNS)
    assert "2,911,937,152" in shown(table, 80)
    assert heads(table, 80) == [["model", "MACs", "activations", "off", "budget", "lighter"]]
    assert heads(table, 52) == [["model", "MACs", "acts", "off", "budget", "lighter"]]
    assert heads(table, 45) == [["model", "MACs", "acts", "budget", "lighter"]]
    assert "2.91G" in shown(table, 45)


def test_columns_that_do_not_fit_stand_in_blocks_that_each_tell_their_rows_apart() -> None:
    many = (*names({"model": ["a", "b", "a"], "same": ["", "", ""], "width": ["8", "8", "16"]}), *COLUMNS[1:1])
    table = Table("", (*many, *(written(f"column {i}", ["1234567890"] * 3) for i in range(6))))
    assert [head[:2] for head in heads(table, 40)] == [["model", "width"]] * len(heads(table, 40))
    assert {word for head in heads(table, 40) for word in head} >= {"same", *map(str, range(6))}
    turned = Table("", (*many, *(written(f"a much longer column {i}", ["1", "2", "3"]) for i in range(4))))
    assert heads(turned, 40) == [["model", "a", "b", "a"]]  # three rows fit side by side


def test_what_is_elsewhere_too_is_left_out_for_want_of_room_and_said_to_be() -> None:
    minor = replace(written("sd", ["0.11", "0.12"]), minor=True)
    columns = (*names({"model": ["a", "b"], "implied": ["x", "x"]}), written("n", ["6", "6"]), minor, *COLUMNS[1:3])
    table = Table("", columns, elsewhere="--csv has all")
    assert heads(table, 60) == [["model", "implied", "n", "sd", "MACs", "activations"]]
    assert heads(table, 29) == [["model", "implied", "MACs", "acts"]]
    assert "without n (6 in each) and sd, for want of room; --csv has all" in " ".join(shown(table, 29).split())


def test_names_are_folded_into_one_column_before_a_table_is_split() -> None:
    columns = names({"model": ["a", "b"], "network": ["a long name", "b long name"], "x": ["one more name"] * 2})
    table = Table("", (*columns, *COLUMNS[1:3]))
    assert heads(table, 40) == [["model,", "network,", "x", "MACs", "acts"]]
    assert heads(table, 60) == [["model", "network", "x", "MACs", "acts"]]


@pytest.mark.parametrize("width", [30, 200])
def test_long_texts_wrap_between_lines(width: int) -> None:
    claims = ["Lighter: it has fewer parameters and fewer operations " * 3, "Faster: a step takes less time"]
    text = shown(Table("", (texts("claim", claims), answers("verdict", [YES, OPEN])), prose=True), width)
    assert max(map(len, text.splitlines())) <= min(width, 100)
    assert {"parameters", "operations", "takes", "yes", "tell"} <= set(text.split())


def test_a_sum_stands_apart() -> None:
    total = Table("", (*names({"layer": ["conv", "total"]}), numbers("MACs", [5, 5], str)), total=True)
    *_, conv, apart, total_row = shown(total, 80).splitlines()
    assert (conv.split(), apart, total_row.split()) == (["conv", "5"], "", ["total", "5"])


def test_an_answer_has_the_colour_of_its_tone_whatever_its_words() -> None:
    assert "\x1b[1;32myes" in shown(Table("", COLUMNS), 80, color=True)
    lines = Entry.said(Line.of(Said("no", Tone.BAD), "yes: it is"), Line.of(None, "no: figures"))
    text = shown(Table("", (Column("", (lines,), Kind.ANSWER),)), 80, color=True)
    assert "\x1b[1;31mno\x1b[0m: yes: it is" in text
    assert "\nno: figures" in text


def test_every_answer_has_a_tone() -> None:
    for answer in (*Answer, *Decision):
        assert isinstance(answer.tone, Tone)


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
