"""The first picture: a bar a cost where its ratio is, equal costs without, accuracy with its interval and margin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from made import timed
from made_sweeps import Made, four_cells
from synthetic import run

from dsbench.figures import overview
from dsbench.figures.style import FAMILIES, words
from dsbench.verdict.verdict import Verdict, verdict

Make = Callable[..., Made]
ACCURACIES = {"cnn": (0.9, 0.91, 0.92), "dwsep": (0.85, 0.86, 0.87)}


@pytest.fixture
def sweep(made: Make) -> Made:
    """Two families at one budget, three seeds each: equal parameters, twice the MACs, half the activations."""
    facts = {"cnn": {"macs": 1000, "acts": 1000}, "dwsep": {"macs": 2000, "acts": 500}}
    return made(
        [
            run(model=model, seed=seed, test_acc=accuracy, data="cifar10", params=10_000 + len(model), **facts[model])
            for model, accuracies in ACCURACIES.items()
            for seed, accuracy in enumerate(accuracies)
        ]
    )


def judged(sweep: Made) -> Verdict:
    return verdict(sweep.outputs, sweep.runs)


def drawn(panel: Any, label: str) -> list[list[float]]:
    return [list(line.get_xdata()) for line in panel.get_lines() if line.get_label() == label]


@pytest.mark.parametrize("narrow", [False, True])
def test_bars_reach_from_one_to_the_ratio_and_equal_costs_have_none(sweep: Made, narrow: bool) -> None:
    costs = overview.draw(judged(sweep).comparisons, sweep.cells, narrow=narrow).axes[0]
    assert costs.get_xscale() == "log"
    ends = [sorted((bar.get_x(), bar.get_x() + bar.get_width())) for bar in costs.patches]
    assert ends == [[1, 2], [0.5, 1]]
    assert {bar.get_facecolor() for bar in costs.patches} == {tuple(_rgba(FAMILIES["dwsep"].color))}
    assert drawn(costs, "equal") == [[1], [1]]  # parameters, 2 of 10,003 apart, and bytes
    names = [label.get_text() for label in costs.get_yticklabels()]
    assert names == (["params", "MACs", "acts", "bytes"] if narrow else ["parameters", "MACs", "activations", "bytes"])
    (figures,) = costs.child_axes
    assert [label.get_text() for label in figures.get_yticklabels()] == ["equal", "x 2", "x 0.5", "equal"]


def _rgba(color: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgba

    return to_rgba(color)


def test_accuracy_stands_beside_with_the_verdicts_interval_and_its_margin(sweep: Made) -> None:
    (pair,) = judged(sweep).comparisons
    accuracy = overview.draw(judged(sweep).comparisons, sweep.cells).axes[1]
    assert drawn(accuracy, "mean") == [[pytest.approx(-5)]]
    assert pair.better.interval is not None
    assert drawn(accuracy, "interval") == [
        [pytest.approx(100 * end) for end in (pair.better.interval.low, pair.better.interval.high)]
    ]
    (band,) = (shape.get_paths()[0].vertices[:, 0] for shape in accuracy.collections)
    assert (band.min(), band.max()) == pytest.approx((-1, 1))
    assert accuracy.get_title(loc="right").startswith("worse: -5.0 points")


def test_times_and_memory_have_bars_where_they_were_measured(made: Make) -> None:
    records = [
        timed([run(model=model, seed=seed, peak_memory_bytes=peak)], ms)[0]
        for model, ms, peak in (("cnn", 10.0, 2**20), ("dwsep", 30.0, 2**22))
        for seed in range(3)
    ]
    sweep = made(records)
    (pair,) = judged(sweep).comparisons
    ratios = {bar.name: bar.ratio for bar in overview.bars(pair, _memory(sweep))}
    times = [ratios[name] for name in ("training step", "latency at batch 1", "latency at batch 128")]
    assert times == pytest.approx([3, 3, 3])
    assert ratios["peak memory"] == 4


@pytest.mark.parametrize(("ms", "alpha"), [(1.05, 0), (1.5, 1)])
def test_a_time_that_shows_no_difference_is_a_hollow_bar(made: Make, ms: float, alpha: float) -> None:
    sweep = made(timed([run(model="cnn")], 1.0) + timed([run(model="dwsep")], ms))
    costs = overview.draw(judged(sweep).comparisons, sweep.cells).axes[0]
    assert [bar.get_facecolor()[3] for bar in costs.patches] == [alpha] * 3


def _memory(sweep: Made) -> dict[str, float]:
    return dict(zip(sweep.cells["cell_id"], sweep.cells["peak_memory_bytes"], strict=True))


def test_each_comparison_has_its_row_and_is_told_to_those_who_do_not_see_it(made: Make) -> None:
    sweep = made(four_cells())
    figure = overview.draw(judged(sweep).comparisons, sweep.cells)
    assert len(figure.axes) == 4
    for width in (4, 8):
        assert f"dwsep against cnn at equal width {width}" in words(figure).seen
    assert "worse, -2.00 points" in words(figure).seen


def test_where_nothing_is_compared_there_is_no_picture_and_without_a_run_no_accuracy(made: Make) -> None:
    alone = made([run(), run(seed=1)])
    assert overview.draw(judged(alone).comparisons, alone.cells) is None


def test_a_side_without_a_run_that_is_done_is_said(made: Make) -> None:
    sweep = made([run(), run("missing", model="dwsep")])
    accuracy = overview.draw(judged(sweep).comparisons, sweep.cells).axes[1]
    assert [text.get_text() for text in accuracy.texts] == ["no run is done on a side"]


@pytest.mark.parametrize("narrow", [False, True])
def test_nothing_that_is_written_is_cut_off(made: Make, narrow: bool) -> None:
    costs = {"cnn": 1000, "dwsep": 250}
    sweep = made(
        [
            run(model=model, width=4, seed=seed, **dict.fromkeys(("params", "macs", "acts"), cost))
            for model, cost in costs.items()
            for seed in range(3)
        ]
    )
    figure = overview.draw(judged(sweep).comparisons, sweep.cells, narrow=narrow)
    figure.canvas.draw()
    edges = figure.bbox
    for panel in figure.axes:
        for title in (panel._left_title, panel.title, panel._right_title):
            extent = title.get_window_extent()
            assert edges.x0 <= extent.x0, title.get_text()
            assert extent.x1 <= edges.x1, title.get_text()
