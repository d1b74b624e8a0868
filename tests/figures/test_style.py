"""What all pictures share: families that can be told apart, bytes that are the same each time."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import combinations

import matplotlib
import pytest
from matplotlib.colors import to_rgb

from dsbench.figures.axes import wrapped
from dsbench.figures.style import DOTS_PER_INCH, FAMILIES, OTHER, canvas, layout, rendered, settle, style, styled


def lightness(color: str) -> float:
    """CIE L* of an sRGB colour, from 0 to 100."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
    luminance = sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return 116 * luminance ** (1 / 3) - 16 if luminance > 216 / 24389 else luminance * 24389 / 27


def test_families_differ_in_colour_marker_line_hatch_and_in_grey() -> None:
    for first, second in combinations([*FAMILIES.values(), OTHER], 2):
        assert first.color != second.color
        assert first.marker != second.marker
        assert first.line != second.line
        assert first.hatch != second.hatch
    for first, second in combinations(FAMILIES.values(), 2):
        assert abs(lightness(first.color) - lightness(second.color)) > 10


def test_what_is_no_family_has_a_style_of_its_own() -> None:
    assert [style(model) for model in (None, float("nan"), "resnet")] == [OTHER] * 3


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_picture_has_the_same_bytes_whatever_the_users_settings(kind: str) -> None:
    @styled
    def draw() -> bytes:
        figure = canvas(3, 2, "A title", "A caption\nof two lines")
        figure.subplots().plot([1, 2], [3, 4])
        settle(figure)
        return rendered(figure, kind)

    first = draw()
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 20, "svg.hashsalt": "mine", "savefig.dpi": 30}):
        second = draw()
    assert first == second
    assert b"date" not in first


def test_a_name_is_no_formula_and_no_markup() -> None:
    name = r"$x_1$ <b> $\\frac &"

    @styled
    def draw() -> bytes:
        figure = canvas(3, 2, "title")
        figure.subplots().set_xlabel(name)
        return rendered(figure, "svg")

    assert name in [element.text for element in ET.fromstring(draw()).iter()]


def test_a_png_has_its_full_resolution() -> None:
    with matplotlib.rc_context():
        figure = canvas(3, 2, "title")
        width, height = figure.get_size_inches()
    content = rendered(figure, "png")
    size = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    assert size == pytest.approx((DOTS_PER_INCH * width, DOTS_PER_INCH * height), abs=1)


@pytest.mark.parametrize(("count", "expected"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3)), (12, (4, 3))])
def test_panels_fill_rows_evenly(count: int, expected: tuple[int, int]) -> None:
    assert layout(count, 3) == expected


def test_names_are_broken_after_their_parts_and_lose_nothing() -> None:
    assert wrapped("cnn, width 8") == "cnn, width 8"
    assert wrapped("dwsep, plain, optimizer.lr 0.01", 20) == "dwsep, plain,\noptimizer.lr 0.01"
    assert wrapped("a_name_that_is_too_long_for_a_line", 12) == "a_name_that_\nis_too_long_\nfor_a_line"
    assert wrapped("x" * 40, 12) == "x" * 40


def test_matplotlib_is_imported_only_where_something_is_drawn() -> None:
    code = (
        "import pkgutil, sys, importlib, dsbench.figures, dsbench.cli.app\n"
        "for one in pkgutil.iter_modules(dsbench.figures.__path__):\n"
        "    importlib.import_module(f'dsbench.figures.{one.name}')\n"
        "sys.exit('matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
