"""The picture: well-formed, complete, the same every time, with names that can be read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from made_up import roofline

from dsbench.figures.roofline import STYLES, draw
from dsbench.figures.style import FAMILIES, rendered
from dsbench.measure.roofline_record import Roofline
from dsbench.measure.traffic import KINDS

SVG = "{http://www.w3.org/2000/svg}"
FIRST = roofline("first <net>", dense_conv=(50, 90, 40, 1), depthwise=(30, 10, 1, 9), norm=(20, 0, 1, 9))
SECOND = roofline("second", pointwise=(50, 90, 40, 1), optimizer=(30, 0, 1, 9), flatten=(1, 0, 0, 3))


def svg(*rooflines: Roofline) -> bytes:
    return rendered(draw(rooflines), "svg")


def texts(picture: bytes) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(picture).iter(f"{SVG}text")]


def test_picture_names_device_roofs_networks_kinds_and_layers() -> None:
    text = " ".join(texts(svg(FIRST, SECOND)))
    for part in (
        "A training step on a processor, precision 32, 1 thread",
        "The roofs, 200 GFLOP/s and 40 GB/s, meet at 5.0 FLOP per byte.",
        "named: slot, layer, share of the step's time.",
        "arithmetic 200 GFLOP/s",
        "memory 40 GB/s",
        "first <net>: 100 ms a step of 32",
        "second: 81.0 ms a step of 32",
        "operations per byte read or written (FLOP per byte)",
        "operations per second (FLOP/s)",
        "one depthwise, 30 %",
        "one optimizer, 37 %",
        "dense conv",
        "pointwise",
        "norm",
        "10G",  # a tick
    ):
        assert part in text
    assert "$" not in text  # names are no formulas, so that no formula is set


def test_points_above_the_memory_roof_are_explained_where_there_are_any() -> None:
    above = roofline("small", depthwise=(5, 10, 1, 9))  # memory alone would take 9 ms
    assert "Above the memory roof: tensors that stay in a cache" in " ".join(texts(svg(FIRST, above)))
    assert "Above the memory roof" not in " ".join(texts(svg(FIRST)))


def test_a_layer_that_computes_nothing_has_no_place_in_the_picture() -> None:
    assert "flatten" not in "".join(texts(svg(SECOND)))


def test_picture_is_the_same_every_time_and_holds_no_date() -> None:
    assert svg(FIRST, SECOND) == svg(FIRST, SECOND)
    assert b"<dc:date>" not in svg(FIRST)


def test_more_networks_than_a_row_holds_wrap() -> None:
    three, five = (svg(*(replace(FIRST, name=f"net {number}") for number in range(count))) for count in (3, 5))
    assert ET.fromstring(five).get("width") == ET.fromstring(three).get("width")
    labels = texts(five)
    assert {f"net {number}: 100 ms a step of 32" for number in range(5)} <= set(labels)
    assert labels.count("operations per byte read or written (FLOP per byte)") == 3


def test_kinds_differ_in_colour_or_marker_and_in_grey_by_marker() -> None:
    assert set(STYLES) == set(KINDS) - {"flatten"}
    assert len(set(STYLES.values())) == len(STYLES)
    by_marker = {marker: [kind for kind in STYLES if STYLES[kind][1] == marker] for _, marker in STYLES.values()}
    assert [kinds for kinds in by_marker.values() if len(kinds) > 1] == [["pointwise", "sum"], ["linear", "gate"]]


def test_a_dense_convolution_has_the_colour_of_cnn_and_a_pointwise_one_that_of_dwsep() -> None:
    assert (STYLES["dense conv"][0], STYLES["pointwise"][0]) == (FAMILIES["cnn"].color, FAMILIES["dwsep"].color)
