"""The picture: well-formed, complete, the same every time, with names that can be read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import roofline

from dsbench.roofline.operations import KINDS
from dsbench.roofline.placing import Box, Mark, place
from dsbench.roofline.plot import STYLES, draw, engineering

SVG = "{http://www.w3.org/2000/svg}"
ONE = roofline("first <net>", dense_conv=(50, 90, 40, 1), depthwise=(30, 10, 1, 9), norm=(20, 0, 1, 9))
TWO = roofline("second", pointwise=(50, 90, 40, 1), optimiser=(30, 0, 1, 9), flatten=(1, 0, 0, 3))


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_picture_names_device_roofs_networks_kinds_and_layers() -> None:
    found = "\n".join(texts(draw([ONE, TWO])))
    for part in (
        "A training step on a processor, precision 32, 1 thread",
        "the roofs, 200 GFLOP/s and 40 GB/s, meet at 5.0 FLOP per byte",
        "arithmetic 200 GFLOP/s",
        "memory 40 GB/s",
        "first <net>: 100 ms a step of 32",
        "second: 81.0 ms a step of 32",
        "operations per byte read or written (FLOP per byte)",
        "operations per second (FLOP/s)",
        "one depthwise, 30 %",
        "one optimiser, 37 %",
        "dense conv",
        "pointwise",
        "norm",
    ):
        assert part in found


def test_a_layer_that_computes_nothing_has_no_place_in_the_picture() -> None:
    assert "flatten" not in "".join(texts(draw([TWO])))


def test_picture_is_the_same_every_time_and_holds_no_date() -> None:
    assert draw([ONE, TWO]) == draw([ONE, TWO])
    assert "<dc:date>" not in draw([ONE])


def test_more_networks_than_a_row_holds_wrap() -> None:
    one, five = (draw([replace(ONE, name=f"net {number}") for number in range(count)]) for count in (3, 5))
    assert ET.fromstring(five).get("width") == ET.fromstring(one).get("width")
    found = texts(five)
    assert {f"net {number}: 100 ms a step of 32" for number in range(5)} <= set(found)
    assert found.count("operations per byte read or written (FLOP per byte)") == 3


def test_kinds_differ_in_colour_or_marker_and_in_grey_by_marker() -> None:
    assert set(STYLES) == set(KINDS) - {"flatten"}
    assert len(set(STYLES.values())) == len(STYLES)
    by_marker = {marker: [kind for kind in STYLES if STYLES[kind][1] == marker] for _, marker in STYLES.values()}
    assert [kinds for kinds in by_marker.values() if len(kinds) > 1] == [["pointwise", "sum"], ["linear", "gate"]]


@pytest.mark.parametrize(
    ("number", "text"),
    [(265.9e9, "266 GB/s"), (1.5e12, "1.5 TB/s"), (12.0, "12 B/s"), (989e12, "989 TB/s"), (999.9e9, "1 TB/s")],
)
def test_numbers_have_the_prefix_of_their_size(number: float, text: str) -> None:
    assert engineering(number, "B/s") == text


points = st.tuples(st.floats(60, 540), st.floats(60, 340))


@settings(max_examples=50, deadline=None)
@given(st.lists(points, min_size=1, max_size=5))
def test_few_names_are_placed_apart_inside_the_panel_and_off_the_marks(centres: list[tuple[float, float]]) -> None:
    panel, taken = Box(0, 0, 600, 400), [Box(200, 150, 400, 160)]
    marks = [Mark(centre, 5, (60, 10)) for centre in centres]
    boxes = [box for box in place(marks, taken, panel) if box is not None]
    assert len(boxes) == len(marks)
    spots = [Box.around(centre, 10, 10) for centre in centres]
    assert all(box.shared(spot) == 0 for box in boxes for spot in spots)
    for one, other in combinations([*boxes, *taken], 2):
        assert one.shared(other) == 0
    for box in boxes:
        assert box.shared(panel) == pytest.approx(box.area)


def test_a_mark_without_a_name_gets_no_place() -> None:
    assert place([Mark((10, 10), 3, None)], [], Box(0, 0, 100, 100)) == [None]
