"""Every run is a point, none covers another, and runs in no mean have a panel of their own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_sweeps import Made, four_cells
from synthetic import run

from dsbench.figures import seeds
from dsbench.figures.axes import MOST, swarm

Make = Callable[..., Made]


def drawn(panel: Any, label: str) -> list[tuple[float, float]]:
    lines = [line for line in panel.get_lines() if line.get_label() == label]
    return [(float(x), float(y)) for line in lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


@given(st.lists(st.integers(0, 30).map(float), max_size=40), st.floats(0.5, 5))
def test_no_two_near_points_stand_at_one_height(values: list[float], near: float) -> None:
    heights = swarm(values, near)
    assert all(abs(height) <= MOST + 1e-9 for height in heights)
    for first, second in combinations(range(len(values)), 2):
        assert abs(values[first] - values[second]) >= near or not math.isclose(heights[first], heights[second])


def test_every_run_that_is_done_is_a_point_at_its_accuracy(four: Made) -> None:
    (panel,) = seeds.draw(four.runs, four.cells).axes
    points = drawn(panel, "runs")
    assert [x for x, _ in points] == pytest.approx([100 * value for value in four.runs["test_acc"]])
    assert [round(y) for _, y in points] == [row for row in range(4) for _ in range(3)]
    assert [x for x, _ in drawn(panel, "mean")] == pytest.approx([100 * value for value in four.cells["test_acc_mean"]])


def test_equal_runs_are_all_seen(made: Make) -> None:
    sweep = made([run(seed=seed, test_acc=0.5) for seed in range(8)])
    (panel,) = seeds.draw(sweep.runs, sweep.cells).axes
    assert len(set(drawn(panel, "runs"))) == 8


@pytest.mark.parametrize(
    ("mark", "statuses"),
    [
        (seeds.COLLAPSED, ["collapsed"]),
        (seeds.DIVERGED, ["diverged"]),
        (seeds.BROKEN_OFF, ["failed", "killed", "timeout"]),
        (seeds.UNFINISHED, ["interrupted", "running", "missing", "unreadable"]),
    ],
)
def test_each_status_has_the_mark_of_its_kind(mark: seeds.Mark, statuses: list[str]) -> None:
    assert [seeds.mark(status) for status in statuses] == [mark] * len(statuses)


def test_the_marks_of_kinds_differ_without_their_colours() -> None:
    assert len({mark.marker for mark in seeds.MARKS}) == len(seeds.MARKS)


def test_runs_in_no_mean_are_each_a_mark_in_a_panel_of_their_own_and_counted(made: Make) -> None:
    records = four_cells()
    for record, status in zip(records, ("collapsed", "diverged", "missing", "collapsed", "killed"), strict=False):
        record |= {"status": status}
    sweep = made(records)
    figure = seeds.draw(sweep.runs, sweep.cells)
    panel, excluded = figure.axes
    marks = [(line.get_marker(), line) for line in excluded.get_lines() if line.get_marker() != "None"]
    assert Counter((round(line.get_ydata()[0]), marker) for marker, line in marks) == {
        (0, seeds.COLLAPSED.marker): 1,
        (0, seeds.DIVERGED.marker): 1,
        (0, seeds.UNFINISHED.marker): 1,
        (1, seeds.COLLAPSED.marker): 1,
        (1, seeds.BROKEN_OFF.marker): 1,
    }
    assert {marker for marker, line in marks if line.get_color() == "none"} == {seeds.UNFINISHED.marker}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [mark.name for mark in seeds.MARKS]
    counts = [" ".join(text.get_text().split()) for text in excluded.texts]
    assert counts[:2] == ["1 collapsed, 1 diverged, 1 unfinished", "1 collapsed, 1 killed"]
    assert len(drawn(panel, "runs")) == 12 - 5
    assert [label.get_text().splitlines()[-1] for label in panel.get_yticklabels()] == [
        "n = 0",
        "n = 1",
        "n = 3",
        "n = 3",
    ]


@pytest.mark.parametrize("records", [[run()], [run("missing")], [run("diverged"), run("collapsed", seed=1)]])
def test_one_run_and_none_that_is_done_are_drawn(made: Make, records: list[dict[str, Any]]) -> None:
    sweep = made(records)
    assert seeds.draw(sweep.runs, sweep.cells) is not None
    assert seeds.draw(sweep.runs[:0], sweep.cells[:0]) is None


def test_a_legend_names_the_kinds_that_are_there_alone(made: Make, four: Made) -> None:
    assert not seeds.draw(four.runs, four.cells).legends
    sweep = made([run("timeout", seed=3)])
    (legend,) = seeds.draw(sweep.runs, sweep.cells).legends
    assert [text.get_text() for text in legend.get_texts()] == ["ended without a result"]
