"""The picture of chips: a row a chip, a column a comparison, the number in it and the colour of who is ahead."""

from __future__ import annotations

from typing import Any

from made import budget, cell, verdict
from matplotlib.colors import to_rgb

from dsbench.figures import chips
from dsbench.figures.style import FAMILIES, rendered, words
from dsbench.report.content import Picture
from dsbench.report.page import inlined


def asked(records: list[dict[str, Any]], arena: int, cycles: int) -> list[dict[str, Any]]:
    said = {"tflm": {"int8": {"arena_bytes": arena}}, "u55": {"int8": {"cycles": cycles}}}
    return [record | {"chips": said} for record in records]


def pairs() -> Any:
    before, after = asked(cell([0.9] * 3), 1000, 1000), asked(cell([0.9] * 3, "dwsep"), 2000, 500)
    wide = {"width": 16, "params": 5000}
    after_wide = asked(cell([0.9] * 3, "dwsep", **wide), 2000, 1004)
    return verdict(before, after, asked(cell([0.9] * 3, **wide), 1000, 1000), after_wide).comparisons


def test_a_field_has_the_colour_of_the_family_that_is_ahead_and_none_where_neither_is() -> None:
    figure = chips.draw(pairs())
    assert figure is not None
    (panel,) = figure.axes
    assert [label.get_text() for label in panel.get_yticklabels()] == [
        "tflm int8: arena",
        "u55 int8: cycles (estimate)",
    ]
    heads = [label.get_text().replace("\n", " ") for label in panel.get_xticklabels()]
    assert heads == ["dwsep, width 8 against cnn, width 8, at 1,000 parameters", heads[1]]
    numbers = {tuple(map(round, text.get_position())): text.get_text() for text in panel.texts}
    assert numbers == {(0, 0): "2", (0, 1): "0.5", (1, 0): "2", (1, 1): "1"}
    colours = {
        (round(field.get_x() + 0.48), round(field.get_y() + 0.46)): field.get_facecolor()[:3] for field in panel.patches
    }
    cnn, dwsep = (to_rgb(FAMILIES[family].color) for family in ("cnn", "dwsep"))
    assert colours == {(0, 0): cnn, (0, 1): dwsep, (1, 0): cnn}
    strengths = {field.get_alpha() for field in panel.patches}
    assert len(strengths) == 1  # twice and half are equally far
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cnn is ahead", "dwsep is ahead"]
    assert words(figure).seen.count("tflm int8 x 2") == 2


def test_of_more_comparisons_than_there_is_room_for_the_title_says_how_many_are_drawn() -> None:
    figure = chips.draw(pairs() * 4)
    assert figure is not None
    assert len(figure.axes[0].get_xticklabels()) == 7
    assert words(figure).title == "Where it wins, in 7 of 8 comparisons"
    few = chips.draw(pairs())
    assert few is not None
    assert words(few).title == "Where it wins"


def test_a_field_of_what_the_networks_are_matched_by_says_so_without_a_colour() -> None:
    at_most = budget(2000, "arena_bytes", chip="tflm")
    cells = [asked(cell([0.9] * 3, model, **at_most), arena, 1000) for model, arena in (("cnn", 1500), ("dwsep", 2000))]
    figure = chips.draw(verdict(*cells).comparisons)
    assert figure is not None
    (panel,) = figure.axes
    assert [text.get_text() for text in panel.texts] == ["matched", "1"]
    assert not panel.patches
    assert "tflm int8 matched, u55 int8 x 1" in words(figure).seen


def test_a_page_turns_its_colours_with_its_scheme() -> None:
    figure = chips.draw(pairs())
    assert figure is not None
    svg = str(inlined(Picture("chips", rendered(figure, "svg"), words(figure))))
    assert "var(--blue)" in svg
    assert "var(--orange)" in svg
    assert "#0072b2" not in svg


def test_without_chips_there_is_no_picture() -> None:
    assert chips.draw(verdict(cell([0.9] * 3), cell([0.9] * 3, "dwsep")).comparisons) is None
