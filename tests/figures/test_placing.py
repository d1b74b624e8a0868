"""Names are placed where there is room."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.figures.placing import Box, Mark, place

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
