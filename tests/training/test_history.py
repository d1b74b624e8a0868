"""Best epoch, early stopping, divergence and collapse against rules written out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench.config.schema import EarlyStoppingConfig
from dsbench.errors import InputError
from dsbench.training.history import Epoch, best_epoch, collapsed, diverged, should_stop

MNIST_MAJORITY = 6742 / 60_000  # the ones


def row(epoch: int = 1, **values: Any) -> Epoch:
    base = Epoch(
        epoch=epoch,
        train_loss=1.0,
        train_acc=0.5,
        val_loss=1.0,
        val_acc=0.5,
        val_top_share=0.2,
        lr=0.1,
        images_per_second=1.0,
        epoch_seconds=1.0,
    )
    return Epoch(**{**base, **values})  # type: ignore[typeddict-item]


def history(**columns: list[float]) -> list[Epoch]:
    return [
        row(number, **dict(zip(columns, values, strict=True)))
        for number, values in enumerate(zip(*columns.values(), strict=True), start=1)
    ]


def stops_after(monitor: str, rule: str, patience: int, values: list[float]) -> int | None:
    config = EarlyStoppingConfig(monitor, rule, patience)
    rows = history(**{monitor: values})
    return next((epoch for epoch in range(1, len(rows) + 1) if should_stop(rows[:epoch], config)), None)


def keras_stops_after(patience: int, values: list[float], larger_is_better: bool) -> int | None:
    """keras.callbacks.EarlyStopping.on_epoch_end, min_delta 0, no baseline."""
    better = np.greater if larger_is_better else np.less
    best, wait = -np.inf if larger_is_better else np.inf, 0
    for epoch, current in enumerate(values):
        wait += 1
        if better(current, best):
            best, wait = current, 0
            continue
        if wait >= patience and epoch > 0:
            return epoch + 1
    return None


CURVES = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), min_size=1, max_size=20)


@given(values=CURVES, patience=st.integers(1, 4), monitor=st.sampled_from(["train_acc", "val_loss"]))
def test_no_improvement_stops_where_keras_does(values: list[float], patience: int, monitor: str) -> None:
    expected = keras_stops_after(patience, values, larger_is_better=monitor == "train_acc")
    assert stops_after(monitor, "no_improvement", patience, values) == expected


@pytest.mark.parametrize(
    ("values", "epoch"),
    [
        ([4, 3, 4, 5, 6], 5),  # risen three times running
        ([1, 2, 3, 4], 4),
        ([1, 2, 3, 3, 4, 5], None),  # standing still is no rise
        ([1, 2, 3, 2, 3, 4], None),
        ([1, 2, 3], None),
        ([5, 1, 2, 3, 2, 3, 4, 5], 8),
    ],
)
def test_worsening_stops_once_the_loss_has_risen_three_times_running(values: list[float], epoch: int | None) -> None:
    assert stops_after("val_loss", "worsening", 3, values) == epoch


def test_worsening_of_an_accuracy_is_a_fall() -> None:
    assert stops_after("val_acc", "worsening", 2, [0.1, 0.5, 0.4, 0.3]) == 4


def test_without_a_monitor_nothing_stops() -> None:
    assert not should_stop(history(val_loss=[1, 2, 3, 4, 5]), EarlyStoppingConfig(None, "worsening", 1))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (EarlyStoppingConfig("test_acc", "worsening", 3), "unknown train.early_stopping.monitor 'test_acc'"),
        (EarlyStoppingConfig("val_acc", "plateau", 3), "unknown train.early_stopping.rule 'plateau'"),
        (EarlyStoppingConfig("val_acc", "worsening", 0), "patience 0 is not a positive number of epochs"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named(rule: EarlyStoppingConfig, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rule.check("train.early_stopping.")


def test_best_epoch_is_the_first_of_equals() -> None:
    assert best_epoch(history(val_acc=[0.3, 0.7, 0.6, 0.7])) == 2


def test_there_is_no_best_epoch_without_a_finite_accuracy() -> None:
    assert best_epoch([]) == best_epoch(history(val_acc=[math.nan])) == 0


@pytest.mark.parametrize("loss", ["train_loss", "val_loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_divergence(loss: str, value: float) -> None:
    assert diverged([row(), row(2, **{loss: value})])


def test_finite_losses_are_no_divergence() -> None:
    assert not diverged([])
    assert not diverged([row(train_loss=1e30, val_loss=1e30)])


def ending(train_acc: list[float], top_share: float) -> list[Epoch]:
    return history(train_acc=train_acc, val_top_share=[0.2] * (len(train_acc) - 1) + [top_share])


def test_answering_the_majority_class_of_mnist_for_three_epochs_is_collapse() -> None:
    # stuck at 11.24 %, which 1.2 times a tenth would miss by little and a wrong base by more
    assert collapsed(ending([0.1124] * 3, 1.0), MNIST_MAJORITY)
    assert collapsed(ending([0.134] * 3, 0.99), MNIST_MAJORITY)


def test_one_better_epoch_of_the_last_three_is_no_collapse() -> None:
    assert not collapsed(ending([0.1124, 0.136, 0.1124], 1.0), MNIST_MAJORITY)


def test_only_the_last_three_epochs_count() -> None:
    assert collapsed(ending([0.9, 0.11, 0.11, 0.11], 1.0), MNIST_MAJORITY)


def test_two_epochs_suffice_when_there_are_no_more() -> None:
    assert collapsed(ending([0.11, 0.11], 1.0), MNIST_MAJORITY)
    assert not collapsed(ending([0.5, 0.11], 1.0), MNIST_MAJORITY)


def test_a_network_that_answers_several_classes_has_not_collapsed() -> None:
    assert not collapsed(ending([0.11] * 3, 0.98), MNIST_MAJORITY)


def test_after_a_single_epoch_only_the_answers_count() -> None:
    assert collapsed(ending([0.6], 0.99), MNIST_MAJORITY)
    assert not collapsed(ending([0.05], 0.98), MNIST_MAJORITY)
