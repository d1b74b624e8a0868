"""The picture of a map: the colour of the faster slot on either side of a line at the channels where both are equal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.colors import to_hex

from dsbench.config.compose import compose
from dsbench.figures.map import draw
from dsbench.figures.style import BLUE, INK, ORANGE, PAPER
from dsbench.measure.map import Area, Map, Where
from dsbench.measure.map_words import Words
from dsbench.measure.roofline_record import Rates
from dsbench.measure.slot_pairs import PHASES, Fillings, Point
from dsbench.measure.store import Store
from dsbench.training.device import Compute

EQUAL = {(8, "training"): 40, (16, "training"): 20, (8, "inference"): 20, (16, "inference"): 10}


@pytest.fixture(scope="module")
def panels() -> dict[str, Any]:
    area = Area.of((3,), (1, 32), (8, 16), (4, 6, 8, 12, 16, 24, 32, 48, 64))
    slots = Fillings(block=vars(compose([]).config.block))
    pairs = {point: slots.pair(point) for point in area.points()}
    repeats: dict[Point, Any] = {}
    for point in area.points():
        spread = 1.0 if point.channels == 64 and point.batch == 1 else 0.01
        ratios = {phase: EQUAL[point.side, phase] / point.channels for phase in PHASES}
        repeats[point] = [
            {phase: [1.0, ratio * math.exp(off * spread)] for phase, ratio in ratios.items()} for off in (-1, 0, 1)
        ]
    compute = Compute(torch.device("cpu"), "a CPU", "32", 1)
    where, store, rates = Where("cpu", "32", 1), Store(Path("nowhere")), Rates(1e11, 2e11, 4e10)
    figure = draw(Words(Map(area, slots, pairs, where, compute, store, repeats, rates), "mobilenet"))
    return {panel.get_title(): panel for panel in figure.axes}


def test_each_phase_and_batch_has_its_panel(panels: dict[str, Any]) -> None:
    assert list(panels) == [f"{phase}, {batch}" for phase in PHASES for batch in ("1 image", "32 images")]


def test_the_line_is_where_both_are_equally_fast(panels: dict[str, Any]) -> None:
    for phase in PHASES:
        lines = [line for line in panels[f"{phase}, 32 images"].lines if line.get_linewidth() == 2.0]
        ((x, y),) = [(line.get_xdata(), line.get_ydata()) for line in lines]
        assert list(x) == [0, 1]  # the places of 8 and 16 pixels
        assert list(y) == pytest.approx([EQUAL[8, phase], EQUAL[16, phase]])


def test_the_colour_is_that_of_the_faster_slot(panels: dict[str, Any]) -> None:
    for field in panels["training, 32 images"].patches:
        side = (8, 16)[round(field.get_x() + 0.48)]
        middle = math.sqrt(field.get_y() * (field.get_y() + field.get_height()))
        if abs(math.log(middle / EQUAL[side, "training"])) > 0.3:
            assert to_hex(field.get_facecolor()) == (BLUE if middle < EQUAL[side, "training"] else ORANGE)


def test_points_that_are_not_decided_are_empty(panels: dict[str, Any]) -> None:
    points = [line for line in panels["training, 1 image"].lines if line.get_marker() == "o"]
    fills = {(line.get_xdata()[0], line.get_ydata()[0]): line.get_markerfacecolor() for line in points}
    assert {fills[place, 64] for place in (0, 1)} == {PAPER}
    assert {fill for (_, channels), fill in fills.items() if channels != 64} == {INK}
