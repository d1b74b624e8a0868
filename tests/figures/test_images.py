"""Where two networks differ: class by class from confusion matrices, image by image from what each run got right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from made_sweeps import Made
from synthetic import run

from dsbench.figures import images
from dsbench.verdict.verdict import verdict

Make = Callable[..., Made]


@pytest.fixture
def sweep(made: Make) -> Made:
    return made([run(model=model, seed=seed, data="cifar10") for model in ("cnn", "dwsep") for seed in range(2)])


def test_a_bar_is_the_difference_in_the_share_of_a_true_class_that_is_right(sweep: Made) -> None:
    reference, candidate = sweep.cells["cell_id"]
    matrices = {reference: np.array([[9, 1], [5, 5]]), candidate: np.array([[8, 2], [4, 16]])}
    named = {reference: ["automobile", "airplane"]}
    (panel,) = images.draw(verdict(sweep.outputs, sweep.runs), matrices, 6, named).axes
    widths = [bar.get_width() for bar in panel.patches]
    assert widths == pytest.approx([30, -10])
    assert [label.get_text() for label in panel.get_yticklabels()] == ["airplane", "automobile"]
    absent = {reference: np.array([[9, 1], [0, 0]]), candidate: np.array([[8, 2], [0, 0]])}  # no image of class 1
    (panel,) = images.draw(verdict(sweep.outputs, sweep.runs), absent, 6).axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["0"]
    other = {reference: np.eye(2, dtype=int), candidate: np.eye(3, dtype=int)}
    assert images.draw(verdict(sweep.outputs, sweep.runs), other, 6) is None


def test_of_many_classes_those_that_differ_most_are_drawn(made: Make) -> None:
    sweep = made([run(model=model) for model in ("cnn", "dwsep")])
    reference, candidate = sweep.cells["cell_id"]
    before, after = np.diag([100] * 60), np.diag(range(60))
    after[:, 0] += 100 - np.arange(60)  # but for class 0, class k is right in k of 100
    (panel,) = images.draw(verdict(sweep.outputs, sweep.runs), {reference: before, candidate: after}, 6).axes
    assert [bar.get_width() for bar in panel.patches] == pytest.approx([number - 100 for number in range(20, 0, -1)])


def test_images_are_those_in_which_the_shares_of_runs_that_are_right_differ_most(sweep: Made) -> None:
    judged = verdict(sweep.outputs, sweep.runs)
    bits = ([1, 1, 0, 0, 1], [1, 1, 0, 1, 1], [1, 0, 1, 1, 1], [1, 0, 0, 1, 1])
    correct = {run_id: np.array(own, dtype=np.uint8) for run_id, own in zip(sweep.runs["run_id"], bits, strict=True)}
    table = images.most_different(judged, correct)
    assert table.texts["test image"] == ["1", "2", "3"]
    assert table.texts["this is right in"] == ["0 of 2", "1 of 2", "2 of 2"]
    assert table.texts["the other in"] == ["2 of 2", "0 of 2", "1 of 2"]
    assert images.most_different(judged, {}).rows == []
