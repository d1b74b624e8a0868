"""Names are placed where there is room."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from dsbench.figures.labels import FRAME, LETTERING, Box, Mark, Spot, covered, names, place

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
    for first, second in combinations([*boxes, *taken], 2):
        assert first.shared(second) == 0
    for box in boxes:
        assert box.shared(panel) == pytest.approx(box.area)


def test_a_mark_without_a_name_gets_no_place() -> None:
    assert place([Mark((10, 10), 3, None)], [], Box(0, 0, 100, 100)) == [None]


def test_a_name_rather_covers_something_than_touches_the_frame_of_its_panel() -> None:
    figure = Figure()
    panel = figure.subplots()
    panel.autoscale(False)
    frame, name = covered(panel), covered(panel.text(0.5, 0.5, "a name", **LETTERING))
    panel.texts[0].remove()
    tall = name.top - name.bottom
    up = frame.top - tall / 2 - 1  # a pixel of room above a name beside the marker
    _, y = panel.transData.inverted().transform((0, up))
    names(panel, [Spot(0.5, y, 1, "a name")], [Box(frame.left, frame.bottom, frame.right, up - tall / 2)])
    (written,) = map(covered, panel.texts)
    assert frame.top - written.top >= FRAME - 0.01
