"""Text in Markdown, as other readers of Markdown take it: of CommonMark, and the one that MkDocs reads with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape, unescape

import pytest
from markdown import markdown
from markdown_it import MarkdownIt

from dsbench.numerals import percent
from dsbench.report.page import code, escaped, fact, table
from dsbench.tables import Table, names, numbers, texts

Reader = Callable[[str], str]
READERS: tuple[Reader, ...] = (
    MarkdownIt("commonmark").enable(["table", "strikethrough"]).render,
    partial(markdown, extensions=["tables"]),
)
both = pytest.mark.parametrize("read", READERS, ids=["CommonMark", "Python-Markdown"])


@both
@pytest.mark.parametrize(
    "text",
    [
        "__x__ and _x_, __a_b__, a__b",
        "~~x~~ about ~5",
        "p < 0.0001 & n > 5",
        "&lt;b&gt; &amp; &#35;",
        "*x* **x** `x` ``x``",
        "<script>alert(1)</script> <a@b.c>",
        "[a](b) ![a](b) [a]: b",
        r"\ \\ \* a\_b",
        "mnist_7800/dwsep_same_width (modified: train.max_epochs)",
        "ä_ö_ü _ä_",
    ],
)
def test_text_is_read_as_it_was_written(text: str, read: Reader) -> None:
    assert unescape(read(escaped(text))).rstrip() == f"<p>{text}</p>"


def test_a_name_with_underscores_stays_legible() -> None:
    assert escaped("mnist_7800/dwsep_same_width") == "mnist_7800/dwsep_same_width"


@both
@pytest.mark.parametrize("text", ["python sweep.py -m 'width=4,8' a=[1,2] *_x_* <y>", "echo `date`", "``", "` x"])
def test_a_command_can_be_copied_as_it_stands(text: str, read: Reader) -> None:
    assert read(code(text)).rstrip() == f"<p><code>{escape(text, quote=False)}</code></p>"


def test_of_the_facts_the_commands_are_code() -> None:
    assert fact("to repeat it", "python sweep.py a_=[1]") == "- **to repeat it**: `python sweep.py a_=[1]`"
    assert fact("code", "a_[1]") == r"- **code**: a\_\[1\]"


def test_a_table_has_its_numbers_to_the_right() -> None:
    columns = (*names({"cell": ["cnn|w2"]}), numbers("accuracy", [0.9], percent))
    assert table(Table("Cells", columns, "n = 3")) == (
        "| cell | accuracy |\n| --- | ---: |\n| cnn\\|w2 | 90.00 % |\n\nn = 3"
    )


@both
def test_what_stands_in_a_table_is_text(read: Reader) -> None:
    columns = (texts("cell", ["cnn|w2", "`a|b`"]), texts("p", ["< 0.0001", "~1 & [2]"]))
    html = unescape(read(table(Table("Cells", columns))))
    assert html.count("<td") == 4
    for column in columns:
        for text in column.texts:
            assert f"<td>{text}</td>" in html
