"""Accuracy against costs: the points are the table's, the front is the front, names can be read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import cell, timed, verdict
from made_sweeps import Made, four_cells
from synthetic import read, run

from dsbench.figures import tradeoff
from dsbench.figures.axes import COST_AXES
from dsbench.results.cells import cells_table
from dsbench.results.records import runs_table

Make = Callable[..., Made]
grid = st.tuples(st.integers(1, 6).map(float), st.integers(1, 6).map(float))


def points(panel: Any) -> list[tuple[float, float]]:
    markers = [line for line in panel.get_lines() if line.get_label() == "cell"]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in markers]


@given(st.lists(grid, max_size=12))
def test_front_is_every_point_that_none_betters(points: list[tuple[float, float]]) -> None:
    def betters(first: tuple[float, float], second: tuple[float, float]) -> bool:
        return first[0] <= second[0] and first[1] >= second[1] and first != second

    best = [n for n, point in enumerate(points) if not any(betters(first, point) for first in points)]
    front = tradeoff.front(points)
    assert sorted(front) == best
    assert [points[n][0] for n in front] == sorted(points[n][0] for n in front)


@pytest.fixture(scope="module")
def panels(four: Made) -> dict[str, Any]:
    """The panels of one picture of all costs, by cost."""
    return dict(zip(COST_AXES, tradeoff.draw(four.cells).axes, strict=True))


@pytest.mark.parametrize("cost", COST_AXES)
def test_points_are_the_costs_and_mean_accuracies_of_the_table(four: Made, panels: dict[str, Any], cost: str) -> None:
    expected = list(zip(four.cells[COST_AXES[cost].cells_column], 100 * four.cells["test_acc_mean"], strict=True))
    assert points(panels[cost]) == [pytest.approx(point) for point in expected]
    assert panels[cost].get_xlabel() == COST_AXES[cost].axis


def test_intervals_are_those_of_the_table(four: Made, panels: dict[str, Any]) -> None:
    lines = panels["params"].get_lines()
    bars = [line for line in lines if len(set(line.get_xdata())) == 1 and line.get_linewidth() == 1.8]
    assert [list(line.get_ydata()) for line in bars] == [
        pytest.approx([100 * row.test_acc_low, 100 * row.test_acc_high]) for row in four.cells.itertuples()
    ]


def test_the_front_is_drawn_as_the_accuracy_that_a_cost_affords(panels: dict[str, Any]) -> None:
    (line,) = (drawn for drawn in panels["params"].get_lines() if drawn.get_label() == "front")
    # At 4,000 parameters cnn has 84.1 %, less than the 86.1 % of dwsep at 2,000.
    assert list(line.get_xdata()) == [500, 2_000, 2_000, 16_000, 16_000]
    assert list(line.get_ydata()) == pytest.approx([82.1, 82.1, 86.1, 86.1, 88.1])


def test_an_axis_is_logarithmic_where_costs_span_more_than_four_times(panels: dict[str, Any]) -> None:
    scales = {cost: panels[cost].get_xscale() for cost in ("params", "train_seconds")}
    assert scales == {"params": "log", "train_seconds": "linear"}  # 32 and 2 times


@pytest.mark.parametrize("number", [2, 7, 12])
def test_names_of_up_to_twelve_cells_cover_neither_each_other_nor_the_edge(made: Make, number: int) -> None:
    rng = np.random.default_rng(number)
    cells = [
        {"model": model, "width": 2**k, "params": int(500 * 3**k * rng.uniform(1, 3))}
        for model in ("cnn", "hybrid", "dwsep")
        for k in range(4)
    ]
    records = [run(seed=seed, test_acc=rng.uniform(0.9, 1), **cell) for cell in cells[:number] for seed in range(2)]
    figure = tradeoff.draw(made(records).cells, ["params"])
    (panel,) = figure.axes
    boxes = [text.get_window_extent() for text in panel.texts if text.get_text()]
    assert len(boxes) == number
    assert not [1 for first, second in combinations(boxes, 2) if first.overlaps(second)]
    edge = panel.get_window_extent()
    assert all(edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1 for box in boxes)


def test_an_interval_that_would_hide_the_rest_is_cut_and_the_caption_says_so(made: Make) -> None:
    wild = [run(seed=0, test_acc=0.2), run(seed=1, test_acc=0.9), run(params=2000, test_acc=0.6)]
    figure = tradeoff.draw(made(wild).cells, ["params"])
    (panel,) = figure.axes
    assert panel.get_ylim()[1] < 100
    assert len([line for line in panel.get_lines() if line.get_label() == "cut"]) == 2
    assert "An arrowhead: the interval goes on beyond the axis." in " ".join(figure.texts[1].get_text().split())


def test_a_cell_says_how_many_of_its_runs_are_in_no_mean(made: Make) -> None:
    records = four_cells()
    records[0] |= {"status": "collapsed", "test_acc": 0.1}
    (panel,) = tradeoff.draw(made(records).cells, ["macs"]).axes
    assert [text.get_text() for text in panel.texts if "collapsed" in text.get_text()] == [
        "cnn, width 4\n(1 collapsed)"
    ]
    assert points(panel)[0] == pytest.approx((900, 84.15))  # seeds 1 and 2


def test_without_a_run_that_is_done_there_is_no_picture(made: Make) -> None:
    assert tradeoff.draw(made([run("collapsed"), run("missing", seed=1)]).cells) is None


def test_budgets_within_the_tolerance_are_equal_and_those_alone_have_no_panel(made: Make) -> None:
    cells = [("cnn", 18_482, 0.97), ("dwsep", 18_477, 0.96), ("cnn", 7_800, 0.93), ("dwsep", 7_841, 0.94)]
    records = [run(model=model, params=params, test_acc=acc, train_seconds=acc) for model, params, acc in cells]
    (panel,) = tradeoff.draw(made(records).cells, ["params"]).axes
    assert [x for x, _ in points(panel)] == [18_477, 18_477, 7_800, 7_800]
    (line,) = (drawn for drawn in panel.get_lines() if drawn.get_label() == "front")
    assert list(line.get_ydata()) == pytest.approx([94, 94, 97])


def test_a_cost_that_all_have_as_much_of_has_no_panel(made: Make) -> None:
    sweep = made([run(params=1000, macs=10), run(model="dwsep", params=1009, macs=30, train_seconds=8.0)])
    assert tradeoff.draw(sweep.cells, ["params"]) is None
    panels = tradeoff.draw(sweep.cells).axes
    assert [panel.get_xlabel() for panel in panels] == [COST_AXES[cost].axis for cost in ("macs", "train_seconds")]
    assert tradeoff.draw(sweep.cells[:1]) is None


def test_costs_that_do_not_rank_have_no_front_and_the_panel_says_why(four: Made) -> None:
    figure = tradeoff.draw(four.cells, ["params", "train_seconds"], {"train_seconds": "trained 2 at a time"})
    fronts = [[line.get_label() for line in panel.get_lines()].count("front") for panel in figure.axes]
    reasons = [panel.get_title(loc="left") for panel in figure.axes]
    assert fronts == [1, 0]
    assert reasons == ["", "No Pareto front: trained 2 at a time"]
    assert len(points(figure.axes[1])) == 4
    assert "Pareto front" in [text.get_text() for text in figure.legends[0].get_texts()]
    none = tradeoff.draw(
        four.cells, ["params", "macs"], {"accuracy": "accuracies of different data: mnist and cifar10"}
    )
    assert {panel.get_title(loc="left").partition(":")[0] for panel in none.axes} == {"No Pareto front"}
    assert "Pareto front" not in [text.get_text() for text in none.legends[0].get_texts()]


def test_of_many_cells_those_on_the_front_are_named(made: Make) -> None:
    sweep = made([run(width=width, params=1000 * width, test_acc=0.9 - 0.001 * (width % 25)) for width in range(1, 27)])
    figure = tradeoff.draw(sweep.cells, ["params"])
    texts = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert texts == ["width 25", "width 1"]  # 90.0 % at 25,000 parameters, 89.9 % at 1,000
    assert any("on a front alone are named" in " ".join(text.get_text().split()) for text in figure.texts)


def test_families_of_several_sizes_are_joined_and_what_overtakes_is_marked_where_it_does() -> None:
    sizes = ((1000, 1, 0.70, 0.66), (4000, 2, 0.75, 0.79), (16000, 3, 0.78, 0.84))
    cells = [
        cell([at + off for off in (0.0, 0.001, 0.002)], model, width=k, params=n, macs=9, acts=9, data="cifar10")
        for n, k, plain, separable in sizes
        for model, at in (("cnn", plain), ("dwsep", separable))
    ]
    records = read([record for own in cells for record in own])
    table = cells_table(runs_table(records))
    (curves,) = verdict(*cells).curves
    (panel,) = tradeoff.draw(table, curves=[curves]).axes
    lines = {label: [line for line in panel.get_lines() if line.get_label() == label] for label in ("family", "front")}
    assert [list(line.get_xdata()) for line in lines["family"]] == [[1000, 4000, 16000]] * 2
    assert lines["front"] == []
    (mark,) = (line for line in panel.get_lines() if line.get_label() == "overtakes")
    assert list(mark.get_xdata()) == pytest.approx([1000, 2000, 4000])  # the two are 4 points apart on both sides
    assert list(mark.get_ydata()) == pytest.approx([72.6] * 3)
    unjoined = tradeoff.draw(table, curves=[curves], unranked={"accuracy": "of other images"}).axes[0]
    assert "Not joined: of other images" in unjoined.get_title(loc="left")
    assert not [line for line in unjoined.get_lines() if line.get_label() in ("family", "overtakes")]


def test_a_cost_that_is_known_of_one_family_alone_has_the_front() -> None:
    cells = [
        timed(own, 10.0 * k) if model == "cnn" else own
        for model, shift in (("cnn", 0.0), ("dwsep", 0.05))
        for k in (1, 2)
        for own in (cell([0.7 + shift + 0.01 * k, 0.7 + shift], model, width=k, params=1000 * k, macs=9, acts=9),)
    ]
    table = cells_table(runs_table(read([record for own in cells for record in own])))
    figure = tradeoff.draw(table, curves=verdict(*cells).curves)
    by_cost = {panel.get_xlabel(): {str(line.get_label()) for line in panel.get_lines()} for panel in figure.axes}
    assert "family" in by_cost["parameters"]
    assert "front" in by_cost[COST_AXES["latency"].axis]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cnn", "dwsep", "Pareto front"]
