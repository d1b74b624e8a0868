"""Real trainings that end in a network that has learnt, has not, or has not yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dsbench.data import prepared
from dsbench.data.own import as_yaml, described
from dsbench.run.interrupts import Interrupted
from dsbench.run.trained import load
from dsbench.training.history import balanced_accuracy, shows_learning

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]

SHALLOW = "arch=mnist_7800_shallow width=2"
DYING = f"{SHALLOW} schedule=constant optimizer.lr=10 train.grad_clip_norm=1"  # whose first steps kill every ReLU


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The overrides that name a set of 990 dark images and 10 bright ones to train on, 198 and 2 to test with."""
    root, random = tmp_path_factory.mktemp("unequal"), np.random.default_rng(0)
    arrays = {}
    for part, counts in (("train", (990, 10)), ("test", (198, 2))):
        labels = np.repeat([0, 1], counts).astype(np.uint8)
        noise = random.integers(0, 60, (len(labels), 28, 28, 1), dtype=np.uint8)
        arrays |= {f"x_{part}": noise + (180 * labels)[:, None, None, None], f"y_{part}": labels}
    np.savez(root / "unequal.npz", **arrays)
    described_set = described(root / "unequal.npz")
    prepared.prepare(described_set, root)
    (root / "conf" / "data").mkdir(parents=True)
    (root / "conf" / "data" / "unequal.yaml").write_text(as_yaml(described_set))
    return f"data=unequal data.root={root} hydra.searchpath=[file://{root}/conf]"


def test_a_perfect_network_on_990_to_10_images_is_done(trained: Train, planned: Planned, unequal: str) -> None:
    line = f"{SHALLOW} {unequal} train.batch_size=16 train.max_epochs=4"
    record = trained(line)
    assert planned(line).folder.confusion() == [[198, 0], [0, 2]]
    assert (record["test_acc"], record["test_balanced_acc"], record["status"]) == (1, 1, "done")
    assert "remark" not in record


def test_an_untrained_network_on_990_to_10_images_has_collapsed_however_many_images_it_gets_right(
    trained: Train, planned: Planned, unequal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"{SHALLOW} {unequal} train.batch_size=16 train.max_epochs=2 optimizer.lr=1e-12 schedule=constant"
    record = trained(line)
    (right, wrong), bright = planned(line).folder.confusion()
    assert (right + wrong, bright) == (198, [2, 0])
    balanced = right / 198 / 2
    assert (record["test_acc"], record["test_balanced_acc"]) == pytest.approx((right / 200, balanced))
    assert record["test_acc"] > 0.98
    assert record["status"] == "collapsed"
    assert f"(best weights), {100 * balanced:.2f} % balanced over the classes" in capsys.readouterr().out


@pytest.mark.parametrize(("epochs", "ending"), [(3, "done, undertrained"), (4, "collapsed")])
def test_a_dead_network_is_undertrained_before_its_hundredth_step(
    trained: Train, capsys: pytest.CaptureFixture[str], epochs: int, ending: str
) -> None:
    """An epoch of mnist5k has 32 steps of 128 images."""
    line = f"{DYING} train.max_epochs={epochs}"
    record = trained(line)
    assert ending == ", ".join(filter(None, (record["status"], record.get("remark"))))
    assert record["test_balanced_acc"] == pytest.approx(0.1)
    capsys.readouterr()
    trained(line)
    (last,) = [text.split() for text in capsys.readouterr().out.splitlines() if text.startswith("status")]
    assert " ".join(last[1:]) == ending


def test_a_separable_network_after_one_epoch_is_undertrained_and_no_failure(trained: Train, planned: Planned) -> None:
    line = "model=dwsep width=4 train.max_epochs=1"
    record = trained(line)
    assert (record["status"], record["remark"]) == ("done", "undertrained")
    assert not shows_learning(planned(line).folder.confusion())
    assert record["train_acc"] > 0.15  # it learns: what is missing are the running averages of its norms


@pytest.mark.parametrize(("weights", "status"), [("best", "done"), ("last", "collapsed")])
def test_a_network_that_learnt_and_fell_has_learnt_where_what_it_learnt_is_tested(
    trained: Train, planned: Planned, weights: str, status: str
) -> None:
    line = f"{SHALLOW} schedule=multistep schedule.gamma=100 schedule.milestones=[0.4] train.grad_clip_norm=1"
    line += f" train.max_epochs=5 train.test_weights={weights}"
    record = trained(line)
    assert record["val_acc"] == pytest.approx(0.1)
    assert record["best_val_acc"] > 0.4
    assert record["status"] == status
    confusion = planned(line).folder.confusion()
    assert shows_learning(confusion) == (status == "done")
    assert record["test_balanced_acc"] == pytest.approx(balanced_accuracy(confusion))


def test_a_resumed_run_counts_the_steps_of_all_its_attempts(trained: Train) -> None:
    line = f"{DYING} train.max_epochs=4"
    with pytest.raises(Interrupted):
        trained(line, stop_at=(3, 7))
    assert trained(line)["status"] == "collapsed"


def test_the_study_split_judges_by_the_test_images_and_the_last_weights(trained: Train) -> None:
    record = trained(f"{DYING} train.max_epochs=4 data.split=study")
    assert (record["test_weights"], record["status"], record["test_acc"]) == ("last", "collapsed", 0.1)


def test_a_tested_set_in_many_batches_keeps_the_order_of_its_images(
    trained: Train, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bits are those of a pass over the whole set at once, with the tested weights."""
    monkeypatch.setattr("dsbench.training.memory.EVAL_BATCH_SIZE", 37)
    line = f"{SHALLOW} train.max_epochs=1"
    record = trained(line)
    folder = planned(line).folder
    run = load(Path(folder.path))
    data = run.data()
    rows, draws = data.test.order(None, 0)
    images, labels = data.test.batch(rows, draws), data.test.labels[rows]
    with torch.no_grad():
        right = run.module()(images).argmax(1) == labels
    assert folder.correct().tolist() == right.int().tolist()
    assert len(right) == 500
    assert right.sum() == round(500 * record["test_acc"])
