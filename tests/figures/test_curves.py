"""Learning curves: medians and bands of what metrics.csv holds, runs that ended early, runs that are not done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_sweeps import Made
from synthetic import run

from dsbench.figures import curves
from dsbench.figures.axes import rows
from dsbench.figures.curves import course, histories

Make = Callable[..., Made]


def caption(figure: Any) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def lines(panel: Any, label: str) -> list[tuple[list[float], list[float]]]:
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in panel.get_lines() if line.get_label() == label]


@pytest.mark.parametrize("quartiles", [True, False])
def test_course_is_numpys_median_and_band_at_each_epoch(quartiles: bool) -> None:
    values = np.random.default_rng(0).normal(size=(7, 4))
    rows = [
        {"run_id": f"{n}", "epoch": epoch + 1.0, "val_acc": values[n, epoch]}
        for n in range(7)
        for epoch in range(4 if n < 5 else 2)
    ]
    curve = course(pd.DataFrame(rows), "val_acc", quartiles)
    assert curve["runs"].tolist() == [7, 7, 5, 5]
    for epoch, row in enumerate(curve.itertuples()):
        left = values[: row.runs, epoch]
        band = np.percentile(left, (25, 75)) if quartiles else (left.min(), left.max())
        assert (row.median, row.low, row.high) == pytest.approx((np.median(left), *band))


def test_a_panel_has_training_and_validation_in_percent(made: Make) -> None:
    records = [run(model=model, seed=seed, test_acc=0.5 + seed / 10) for model in ("cnn", "dwsep") for seed in range(3)]
    sweep = made(records)
    figure = curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "acc")
    (panel,) = figure.axes
    validation, training = lines(panel, "cnn")[1], lines(panel, "cnn")[0]
    assert validation == ([1, 2, 3], pytest.approx([60, 60, 60]))
    assert training == ([1, 2, 3], pytest.approx([30, 45, 52.5]))
    assert len(lines(panel, "dwsep")) == 2
    bands = [band.get_paths()[0].vertices[:, 1] for band in panel.collections]
    assert (bands[1].min(), bands[1].max()) == pytest.approx((50, 70))
    assert "band: from the least to the greatest of them" in caption(figure)


def test_four_runs_a_cell_have_quartiles_and_the_caption_says_so(made: Make) -> None:
    sweep = made([run(seed=seed, test_acc=0.1 * seed) for seed in range(1, 6)])
    figure = curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "acc", ["val"])
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((20, 40))
    assert "band: their middle half (quartiles)" in caption(figure)


def test_two_cells_of_one_family_have_a_panel_each(four: Made) -> None:
    assert not curves.together(rows(four.cells))
    figure = curves.draw(histories(four.runs, four.outputs), four.cells, "loss")
    assert [panel.get_title() for panel in figure.axes] == [
        "cnn, width 4",
        "cnn, width 8",
        "dwsep, width 4",
        "dwsep, width 8",
    ]


def test_where_runs_end_early_those_left_are_counted(made: Make) -> None:
    sweep = made([run(seed=seed) for seed in range(3)], epochs=lambda record: 3 + record["seed"])
    figure = curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "acc")
    _, strip = figure.axes
    (steps,) = strip.get_lines()
    assert list(steps.get_xdata(orig=True)) == [1, 2, 3, 4, 5]
    assert list(steps.get_ydata(orig=True)) == [3, 3, 3, 2, 1]
    assert "of the runs left, counted below" in caption(figure)


def test_runs_that_are_not_done_are_thin_lines_in_no_median(made: Make) -> None:
    records = [run(seed=seed, test_acc=0.6) for seed in range(3)]
    records[2] |= {"status": "collapsed", "test_acc": 0.1}
    sweep = made([*records, run("diverged", seed=3), run("missing", seed=4)])
    figure = curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "acc", ["val"])
    (panel,) = figure.axes
    assert lines(panel, "cnn") == [([1, 2, 3], pytest.approx([60, 60, 60]))]
    assert len(lines(panel, "not done")) == 2
    assert "not done (1 collapsed, 1 diverged)" in caption(figure)


def legend(figure: Any) -> list[str]:
    return [text.get_text() for box in figure.legends for text in box.get_texts()]


def test_runs_that_end_off_the_axis_are_an_arrowhead_at_its_edge_that_says_how_many(made: Make) -> None:
    records = [run(model=model, seed=seed, test_acc=0.9) for model in ("cnn", "dwsep") for seed in range(5)]
    for number in (2, 3, 8):
        records[number] |= {"status": "collapsed", "test_acc": 0.1}
    sweep = made(records, epochs=lambda record: 12 if record["status"] == "done" else 8)
    figure = curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "acc")
    (panel,) = [axes for axes in figure.axes if axes.get_ylabel() == "accuracy (%)"]
    low, high = panel.get_ylim()
    assert 10 < low < 90 < high
    marks = [line for line in panel.get_lines() if line.get_label() == "cut"]
    assert [(mark.get_xdata()[0], mark.get_ydata()[0], mark.get_marker()) for mark in marks] == [(8, low, "v")] * 2
    assert [text.get_text() for text in panel.texts] == ["2 collapsed", "1 collapsed"]
    drawn = [mark.get_window_extent().get_points().ravel().tolist() for mark in marks]
    assert drawn[0] != drawn[1]
    assert "An arrowhead: runs that are not done (3 collapsed) lie off the axis" in caption(figure)
    assert "Thin, with a cross" not in caption(figure)
    assert "a run that is not done" not in legend(figure)
    assert "runs that are not done, off the axis" in legend(figure)


def test_runs_that_end_on_the_axis_have_no_arrowhead(made: Make) -> None:
    sweep = made([run(seed=0, test_acc=0.9), run("killed", seed=1, test_acc=0.85)])
    figure = curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "acc")
    assert lines(figure.axes[0], "cut") == []
    assert "Thin, with a cross: each run that is not done (1 killed)" in caption(figure)
    assert "arrowhead" not in caption(figure)
    assert "a run that is not done" in legend(figure)


def test_runs_that_last_longer_than_those_that_are_done_are_seen_to_their_end(made: Make) -> None:
    sweep = made(
        [run(test_acc=0.9), run("killed", seed=1)], epochs=lambda record: 3 if record["status"] == "done" else 9
    )
    figure = curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "acc")
    assert figure.axes[0].get_xlim() == (0.5, 9.5)


def test_losses_that_are_no_numbers_are_left_out(made: Make) -> None:
    sweep = made([run(), run("diverged", seed=1)])
    metrics = sweep.outputs / "runs" / sweep.runs["run_id"][1] / "metrics.csv"
    metrics.write_text("epoch,train_loss,train_acc,val_loss,val_acc\n1,9,.1,9,.1\n2,nan,.1,inf,.1\n3,nan,.1,nan,.1\n")
    figure = curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "loss", ["val"])
    assert lines(figure.axes[0], "not done") == [([1], [9])]


def test_a_run_that_has_no_such_number_is_counted_all_the_same(made: Make) -> None:
    """It diverged in its first epoch: neither a line nor an arrowhead can show it."""
    sweep = made([run(seed=0), run("diverged", seed=1)])
    metrics = sweep.outputs / "runs" / sweep.runs["run_id"][1] / "metrics.csv"
    metrics.write_text("epoch,train_loss,train_acc,val_loss,val_acc\n1,nan,.1,inf,.1\n")
    figure = curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "loss")
    assert "Not drawn, having no such number: 1 diverged" in caption(figure)
    assert "not done" not in " ".join(legend(figure))


def test_the_first_epochs_do_not_choose_the_axis(made: Make) -> None:
    sweep = made([run(test_acc=0.9)], epochs=lambda _: 20)
    low, high = curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "acc").axes[0].get_ylim()
    assert low > 75  # the first two epochs have 45 and 67.5 %
    assert high > 90


def test_validation_on_test_images_is_said(made: Make) -> None:
    for split, mentioned in (("study", True), ("standard", False)):
        sweep = made([run(split=split, seed=int(mentioned))])
        figure = curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "acc")
        assert ("Validation images are the test images" in caption(figure)) == mentioned


def test_a_damaged_or_missing_course_is_none(made: Make) -> None:
    sweep = made([run(seed=seed) for seed in range(4)])
    files = [sweep.outputs / "runs" / run_id / "metrics.csv" for run_id in sweep.runs["run_id"]]
    files[0].unlink()
    files[1].write_text("epoch\n1\n")
    files[2].write_text("")
    rows = histories(sweep.runs, sweep.outputs)
    assert set(rows["run_id"]) == {sweep.runs["run_id"][3]}
    files[3].unlink()
    assert curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "acc") is None


def test_cells_of_a_family_each_share_a_panel(made: Make) -> None:
    sweep = made([run(model=model) for model in ("cnn", "hybrid", "dwsep")])
    assert len(curves.draw(histories(sweep.runs, sweep.outputs), sweep.cells, "acc").axes) == 1
