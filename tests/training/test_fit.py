"""One training run, as Lightning drives it, against a loop written by hand and figures counted by hand."""

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from dsbench.network.build import build
from dsbench.training import classifier
from dsbench.training.batches import Batches
from dsbench.training.datamodule import ImageData

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]
Ran = Callable[[str], tuple[Any, dict[str, Any]]]

SHALLOW = "arch=mnist_7800_shallow width=2"
TWO_EPOCHS = f"{SHALLOW} train.max_epochs=2 schedule=exponential schedule.gamma=0.5"
# The learning rate is multiplied by 100 after a part of training, which every network of this size dies of.
DYING = f"{SHALLOW} schedule=multistep schedule.gamma=100 train.grad_clip_norm=1"
DROPOUT = (
    "width=2 arch.layers=[{conv:{width:1}},max_pool,{dropout:0.3},{conv:{width:2}},max_pool,flatten,{linear:classes}]"
)


def checkpoint(plan: Any, name: str = "last") -> dict[str, Any]:
    return torch.load(getattr(plan.folder, name), weights_only=True)


def weights(plan: Any, name: str = "last") -> dict[str, torch.Tensor]:
    return checkpoint(plan, name)["state_dict"]


def network_of(plan: Any, name: str) -> nn.Module:
    net = build(plan.network, 0)
    net.load_state_dict({key.removeprefix("network."): value for key, value in weights(plan, name).items()})
    return net.eval()


def data_of(plan: Any) -> ImageData:
    data = ImageData(plan.config.data, plan.config.train.batch_size, plan.config.seed, torch.device("cpu"))
    data.setup()
    return data


def rows(plan: Any) -> list[dict[str, str]]:
    with plan.folder.metrics_file.open() as file:
        return list(csv.DictReader(file))


def test_training_is_the_plain_loop(trained: Train, planned: Planned, few: str) -> None:
    line = f"{SHALLOW} {few} train.batch_size=7 train.max_epochs=2 schedule=constant optimizer.weight_decay=0"
    line += " optimizer.lr=0.01 train.grad_clip_norm=0.1 train.label_smoothing=0.1"
    trained(line)
    plan = planned(line)
    net, data = build(plan.network, plan.config.seed), data_of(plan)
    optimizer = torch.optim.SGD(net.parameters(), 0.01, 0.9, nesterov=True, foreach=False)
    losses: list[float] = []
    correct = 0
    for epoch in range(2):
        data.train.epoch = epoch
        losses, correct = [], 0
        for images, labels in data.train:
            logits = net(images)
            loss = cross_entropy(logits, labels, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            optimizer.step()
            losses += [loss.item()] * len(labels)
            correct += int((logits.argmax(1) == labels).sum())
    # after 14 steps at a rate of 0.01 on gradients of norm 0.1 at most, other orders of sums are far below this
    for key, value in net.state_dict().items():
        torch.testing.assert_close(weights(plan)[f"network.{key}"], value, rtol=1e-5, atol=1e-5)
    last = rows(plan)[-1]
    assert float(last["train_loss"]) == pytest.approx(np.mean(losses), rel=1e-5)
    assert float(last["train_acc"]) == pytest.approx(correct / 45)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(trained: Train, planned: Planned) -> None:
    line = f"{DROPOUT} data.augment.crop_padding=2 data.augment.cutout=4 train.max_epochs=1"
    first: dict[str, torch.Tensor] = {}
    for seed, forced, same in ((0, "false", True), (0, "true", True), (1, "false", False)):
        trained(f"{line} seed={seed} force={forced}")
        state = weights(planned(f"{line} seed={seed}"))
        first = first or state
        assert all(torch.equal(state[key], first[key]) for key in first) is same


def test_dropout_and_order_differ_by_epoch(trained: Train, planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    from dsbench.training.classifier import Classifier

    drawn: list[tuple[int, torch.Tensor]] = []

    def spy(self: Classifier) -> None:
        started(self)
        drawn.append((torch.initial_seed(), self.train_pass.rows[0].clone()))

    started = Classifier.on_train_epoch_start
    monkeypatch.setattr(Classifier, "on_train_epoch_start", spy)
    line = f"{SHALLOW} train.max_epochs=3"
    trained(line)
    assert len({seed for seed, _ in drawn}) == 3
    batches = data_of(planned(line)).train
    for epoch, (_, rows) in enumerate(drawn):
        assert torch.equal(rows, batches.order(0, epoch)[0])


@pytest.mark.parametrize("tested", ["best", "last"])
def test_test_figures_are_those_of_the_weights_asked_for(ran: Ran, tested: str) -> None:
    plan, record = ran(f"{DYING} schedule.milestones=[0.5] train.max_epochs=2 train.test_weights={tested}")
    history = rows(plan)
    accuracies = [float(row["val_acc"]) for row in history]
    assert record["best_epoch"] == int(np.argmax(accuracies)) + 1 == 1
    assert record["best_val_acc"] == max(accuracies)
    assert record["val_acc"] == accuracies[-1]
    data, net = data_of(plan), network_of(plan, tested)
    with torch.no_grad():
        images, labels = next(iter(data.test))
        logits = net(images)
    predicted = logits.argmax(1)
    assert record["test_weights"] == tested
    assert record["test_acc"] == pytest.approx(float((predicted == labels).double().mean()))
    assert record["test_loss"] == pytest.approx(float(cross_entropy(logits, labels)), rel=1e-5)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels.numpy(), predicted.numpy()), 1)
    assert plan.folder.confusion() == confusion.tolist()
    correct = plan.folder.correct()
    assert correct.tolist() == (predicted == labels).int().tolist()
    assert correct.sum() == round(record["test_acc"] * len(labels))
    assert record["test_class_acc"] == pytest.approx((confusion.diagonal() / confusion.sum(1)).tolist())


def test_validation_figures_are_those_of_the_epochs_weights(ran: Ran) -> None:
    plan, _ = ran(f"{DROPOUT} train.max_epochs=1")
    with torch.no_grad():
        images, labels = next(iter(data_of(plan).val))
        logits = network_of(plan, "last")(images)
    row = rows(plan)[0]
    assert float(row["val_acc"]) == pytest.approx(float((logits.argmax(1) == labels).double().mean()))
    assert float(row["val_loss"]) == pytest.approx(float(cross_entropy(logits, labels)), rel=1e-5)
    assert float(row["val_top_share"]) == pytest.approx(float(logits.argmax(1).bincount().max()) / 500)


def test_early_stopping_ends_the_run_in_the_epoch_in_which_the_rule_is_met(trained: Train, planned: Planned) -> None:
    line = f"{DYING} schedule.milestones=[0.1] train.max_epochs=30"
    line += " train.early_stopping.monitor=val_acc train.early_stopping.patience=2"
    record = trained(line)
    accuracies = [float(row["val_acc"]) for row in rows(planned(line))]
    assert record["epochs"] == len(accuracies) < 30
    assert record["best_epoch"] == len(accuracies) - 2
    assert max(accuracies[-2:]) <= accuracies[-3] == max(accuracies)


def test_learning_rate_of_an_epochs_row_is_its_last_steps(ran: Ran) -> None:
    plan, _ = ran(TWO_EPOCHS)
    assert [float(row["lr"]) for row in rows(plan)] == pytest.approx([0.1, 0.05])


def test_study_split_tests_the_last_weights(ran: Ran) -> None:
    plan, record = ran(f"{DYING} schedule.milestones=[0.5] train.max_epochs=2 data.split=study")
    assert (record["split"], record["test_weights"]) == ("study", "last")
    assert record["test_acc"] == record["val_acc"] == float(rows(plan)[-1]["val_acc"])
    assert record["test_acc"] < record["best_val_acc"]


def test_speed_is_training_images_over_training_seconds(ran: Ran) -> None:
    plan, record = ran(TWO_EPOCHS)
    seconds = [float(row["epoch_seconds"]) for row in rows(plan)]
    assert record["train_seconds"] == pytest.approx(math.fsum(seconds))
    assert record["images_per_second"] == pytest.approx(2 * 4000 / math.fsum(seconds))


@pytest.mark.parametrize("name", ["last", "best"])
def test_checkpoints_hold_tensors_and_plain_values_and_fit_the_network(ran: Ran, name: str) -> None:
    plan, _ = ran(f"{DROPOUT} train.max_epochs=1")
    assert network_of(plan, name)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert {path.name for path in Path(plan.folder.last).parent.iterdir()} == {"last.ckpt", "best.ckpt"}


def test_an_epoch_lasts_from_the_drawing_of_its_order_on(
    trained: Train, planned: Planned, few: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock stands but for a second of each drawing."""
    order, drawn = Batches.order, [0]

    def slow(*args: Any) -> Any:
        drawn[0] += 1
        return order(*args)

    monkeypatch.setattr(Batches, "order", slow)
    monkeypatch.setattr(classifier, "perf_counter", lambda: float(drawn[0]))
    line = f"{SHALLOW} {few} train.batch_size=7 train.max_epochs=2"
    trained(line)
    assert [float(row["epoch_seconds"]) for row in rows(planned(line))] == [1.0, 1.0]
