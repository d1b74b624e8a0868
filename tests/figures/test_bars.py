"""Bars: as long as the table says, from zero, in the family's colour."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from made_sweeps import Made
from matplotlib.colors import to_hex
from synthetic import run

from dsbench.figures import bars
from dsbench.figures.style import FAMILIES
from dsbench.results.cells import cells_table

Make = Callable[..., Made]


@pytest.mark.parametrize(("what", "column"), [("parameters", "params"), ("flops", "flops")])
def test_a_bar_is_as_long_as_the_cost_in_the_familys_colour(four: Made, what: str, column: str) -> None:
    (panel,) = bars.draw(four.runs, four.cells, what).axes
    assert [bar.get_width() for bar in panel.patches] == four.cells[column].tolist()
    assert {bar.get_x() for bar in panel.patches} == {0}
    assert panel.get_xlim()[0] == 0
    assert [to_hex(bar.get_facecolor()) for bar in panel.patches] == [FAMILIES[m].color for m in four.cells["model"]]
    assert [text.get_text() for text in panel.texts] == [f"{value:,}" for value in four.cells[column]]


def test_training_time_is_the_mean_with_every_run_as_a_point(four: Made) -> None:
    (panel,) = bars.draw(four.runs, four.cells, "train_time").axes
    assert [bar.get_width() for bar in panel.patches] == pytest.approx([4.1, 8.1, 4.1, 8.1])
    points = [x for line in panel.get_lines() for x in line.get_xdata()]
    assert points == pytest.approx(four.runs["train_seconds"].tolist())


def test_only_runs_that_are_done_have_a_time(made: Make) -> None:
    sweep = made([run(train_seconds=2.0), run("diverged", seed=1, train_seconds=9.0), run("missing", model="dwsep")])
    (panel,) = bars.draw(sweep.runs, sweep.cells, "train_time").axes
    assert [bar.get_width() for bar in panel.patches] == [2]
    assert [x for line in panel.get_lines() for x in line.get_xdata()] == [2]
    nothing = sweep.runs[sweep.runs["status"] != "done"]
    assert bars.draw(nothing, cells_table(nothing), "train_time") is None


@pytest.mark.parametrize(("n_jobs", "mentioned"), [(1, False), (2, True), (None, True)])
def test_the_caption_speaks_of_neighbours_where_there_may_have_been_some(
    made: Make, n_jobs: int | None, mentioned: bool
) -> None:
    sweep = made([run(n_jobs=n_jobs), run("missing", seed=1)])
    figure = bars.draw(sweep.runs, sweep.cells, "train_time")
    assert any("side by side" in text.get_text() for text in figure.texts) == mentioned
