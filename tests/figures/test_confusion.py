"""Confusion matrices: sums over runs that are done, shares of true classes, differences in points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from made_sweeps import Made, four_cells
from sklearn.metrics import confusion_matrix
from synthetic import run

from dsbench.figures import confusion
from dsbench.figures.axes import Cell
from dsbench.figures.confusion import confusions, shares
from dsbench.figures.forest import pairs
from dsbench.verdict.verdict import verdict

Make = Callable[..., Made]


def matched(sweep: Made) -> list[tuple[Cell, Cell]]:
    return pairs(verdict(sweep.outputs, sweep.runs), sweep.cells)


def test_a_cell_has_the_sum_over_its_runs_that_are_done(made: Make) -> None:
    sweep = made(
        [run(seed=0), run(seed=1), run("collapsed", seed=2), run(model="dwsep", seed=0), run("missing", seed=9)]
    )
    matrices = confusions(sweep.runs, sweep.outputs)
    assert [matrices[cell].tolist() for cell in sweep.cells["cell_id"]] == [[[16, 4], [1, 10]], [[8, 2], [3, 5]]]


def test_shares_are_scikit_learns_normalised_over_true_classes() -> None:
    true, predicted = np.random.default_rng(0).integers(0, 5, (2, 300))
    counts = confusion_matrix(true, predicted, labels=range(6))
    expected = confusion_matrix(true, predicted, labels=range(6), normalize="true")
    np.testing.assert_allclose(shares(counts), expected)  # the sixth class has no image


def test_fields_hold_shares_in_percent_and_counts_as_text(made: Make) -> None:
    sweep = made([run(seed=0), run(seed=1)])
    panel = confusion.draw(confusions(sweep.runs, sweep.outputs), sweep.cells).axes[0]
    np.testing.assert_allclose(panel.images[0].get_array(), [[80, 20], [100 / 11, 1000 / 11]])
    assert [text.get_text() for text in panel.texts] == ["16", "4", "1", "10"]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("predicted class", "true class")


def test_a_hundred_classes_have_no_text(made: Make) -> None:
    sweep = made([run(model="cnn"), run(model="dwsep")])
    rng = np.random.default_rng(0)
    many = {cell: rng.integers(1, 9, (100, 100)) for cell in sweep.cells["cell_id"]}
    for figure in (
        confusion.draw(many, sweep.cells),
        confusion.draw_differences(many, matched(sweep), sweep.cells),
    ):
        assert not any(panel.texts for panel in figure.axes)


def test_a_difference_is_the_second_cells_shares_minus_the_firsts(made: Make) -> None:
    sweep = made([run(model="cnn"), run(model="dwsep")])
    first, second = sweep.cells["cell_id"]
    matrices = {first: np.array([[9, 1], [5, 5]]), second: np.array([[8, 2], [4, 16]])}
    panel = confusion.draw_differences(matrices, matched(sweep), sweep.cells).axes[0]
    np.testing.assert_allclose(panel.images[0].get_array(), [[-10, 10], [-30, 30]])
    assert [text.get_text() for text in panel.texts] == ["\N{MINUS SIGN}10.0", "+10.0", "\N{MINUS SIGN}30.0", "+30.0"]
    assert panel.get_title() == "dwsep\nminus cnn"


@pytest.mark.parametrize("classes", [2, 10])
def test_a_picture_holds_all_that_belongs_to_its_panels(made: Make, classes: int) -> None:
    sweep = made(four_cells())
    matrices = {cell: np.eye(classes, dtype=int) + number for number, cell in enumerate(sweep.cells["cell_id"])}
    figure = confusion.draw_differences(matrices, matched(sweep), sweep.cells)
    figure.draw_without_rendering()
    below_caption = min(text.get_window_extent().y0 for text in figure.texts)
    for panel in figure.axes:
        box = panel.get_tightbbox()
        assert box.y0 >= 0
        assert box.y1 <= below_caption


def test_cells_of_other_classes_are_not_compared(made: Make) -> None:
    sweep = made([run(model="cnn"), run(model="dwsep")])
    first, second = sweep.cells["cell_id"]
    matrices = {first: np.eye(2, dtype=int), second: np.eye(3, dtype=int)}
    assert confusion.draw_differences(matrices, matched(sweep), sweep.cells) is None
    assert len(confusion.draw(matrices, sweep.cells).axes) == 4  # two panels, two scales


def greys(panel: Any) -> Any:
    """How light the shades of a panel are, from its least value to its greatest."""
    (image,) = panel.images
    shades = image.cmap(image.norm(np.linspace(image.norm.vmin, image.norm.vmax, 50)))
    return shades[:, :3] @ (0.299, 0.587, 0.114)


def test_shades_grow_darker_with_the_share_in_every_family(made: Make) -> None:
    from dsbench.figures.style import FAMILIES

    sweep = made([run(model=model) for model in FAMILIES])
    panels = [
        panel for panel in confusion.draw(confusions(sweep.runs, sweep.outputs), sweep.cells).axes if panel.images
    ]
    assert len(panels) == len(FAMILIES)
    for panel in panels:
        assert (np.diff(greys(panel)) < 0).all()


def test_differences_of_many_classes_grow_lighter_in_grey(made: Make) -> None:
    sweep = made([run(model="cnn"), run(model="dwsep")])
    many = {cell: np.eye(20, dtype=int) + number for number, cell in enumerate(sweep.cells["cell_id"])}
    panel, *_ = confusion.draw_differences(many, matched(sweep), sweep.cells).axes
    assert (np.diff(greys(panel)) > 0).all()


@pytest.mark.parametrize("status", ["collapsed", "missing"])
def test_without_a_run_that_is_done_there_is_no_matrix(made: Make, status: str) -> None:
    sweep = made([run(status)])
    assert confusion.draw(confusions(sweep.runs, sweep.outputs), sweep.cells) is None
