"""Best epoch, early stopping, divergence and what counts as learnt, against rules written out by hand."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dsbench.config.schema import EarlyStoppingConfig
from dsbench.errors import InputError
from dsbench.training.history import (
    Epoch,
    balanced_accuracy,
    beats,
    best_epoch,
    diverged,
    should_stop,
    shows_learning,
    status_and_remark,
    steps,
)


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


SIZES = st.lists(st.integers(1, 400), min_size=2, max_size=12)  # images of each class
BATCH = 100


def constant(sizes: list[int], answer: int) -> list[list[int]]:
    """The confusion of a network that answers one class to every image."""
    return [[size * (column == answer) for column in range(len(sizes))] for size in sizes]


def perfect(sizes: list[int]) -> list[list[int]]:
    return [[size * (column == label) for column in range(len(sizes))] for label, size in enumerate(sizes)]


def accuracy(confusion: list[list[int]]) -> float:
    return sum(row[i] for i, row in enumerate(confusion)) / sum(map(sum, confusion))


def course(*accuracies: tuple[float, float], images: int = 12_000) -> list[Epoch]:
    """Epochs of so many images, with accuracies in training and validation."""
    rows = history(train_acc=[train for train, _ in accuracies], val_acc=[val for _, val in accuracies])
    return [Epoch(**{**row, "images_per_second": images / 3, "epoch_seconds": 3.0}) for row in rows]  # type: ignore[typeddict-item]


def judged(
    epochs: list[Epoch], confusion: list[list[int]], share: float = 0.1, weights: str = "best", images: int = 1000
) -> tuple[str, str | None]:
    return status_and_remark(epochs, weights, BATCH, share, share, images, confusion)


TEN = [50] * 10
LEARNT = [[35 if row == column else 15 * (column == (row + 1) % 10) for column in range(10)] for row in range(10)]


@given(sizes=SIZES, right=st.integers(0, 1000))
def test_better_than_the_answer_of_the_largest_class_is_what_a_binomial_test_says(sizes: list[int], right: int) -> None:
    images, share = sum(sizes), max(sizes) / sum(sizes)
    for number in {right * images // 1000, round(share * images), *range(max(sizes), min(max(sizes) + 80, images))}:
        p = scipy.stats.binomtest(number, images, share, alternative="greater").pvalue
        assert abs(p - 0.001) < 1e-9 or beats(share, number, images) == (p < 0.001)


@given(sizes=SIZES, data=st.data())
def test_one_answer_for_all_is_a_collapse_whatever_the_classes(sizes: list[int], data: st.DataObject) -> None:
    confusion = constant(sizes, data.draw(st.integers(0, len(sizes) - 1)))
    share, images, same = max(sizes) / sum(sizes), sum(sizes), accuracy(confusion)
    epochs = course((same, same), (same, same))
    for weights in ("best", "last"):
        assert judged(epochs, confusion, share, weights, images) == ("collapsed", None)
    assert not shows_learning(confusion)
    assert balanced_accuracy(confusion) == pytest.approx(1 / len(sizes))


@given(sizes=SIZES)
def test_a_perfect_network_is_done_whatever_the_classes(sizes: list[int]) -> None:
    share, images = max(sizes) / sum(sizes), sum(sizes)
    assert judged(course((share, 1.0), (1.0, 1.0)), perfect(sizes), share, images=images) == ("done", None)
    assert shows_learning(perfect(sizes))
    assert balanced_accuracy(perfect(sizes)) == 1


def test_a_perfect_network_on_990_to_10_images_is_done_where_its_validation_alone_cannot_tell() -> None:
    assert not beats(0.99, 100, 100)
    assert judged(course((0.99, 1.0)), perfect([99, 1]), 0.99, images=100) == ("done", None)
    assert judged(course((0.99, 0.99)), constant([99, 1], 0), 0.99, images=100) == ("collapsed", None)


def test_a_network_that_fell_is_judged_by_the_weights_that_were_tested() -> None:
    epochs = course((0.6, 0.7), (0.1, 0.1), (0.1, 0.1))
    assert judged(epochs, LEARNT) == ("done", None)
    assert judged(epochs, constant(TEN, 3), weights="last") == ("collapsed", None)


def test_a_network_that_died_in_its_first_epoch_is_not_saved_by_what_it_had_learnt_in_that() -> None:
    assert judged(course((0.3, 0.1), (0.1, 0.1), (0.1, 0.1)), constant(TEN, 0)) == ("collapsed", None)


def test_training_that_does_better_than_one_answer_is_no_collapse_but_far_from_learnt() -> None:
    """Of 12,000 images a tenth and 3.09 standard deviations, .0027 each, are .1085."""
    assert judged(course((0.11, 0.1), (0.11, 0.1)), constant(TEN, 0)) == ("done", "far from learnt")
    assert judged(course((0.108, 0.1), (0.108, 0.1)), constant(TEN, 0)) == ("collapsed", None)


@pytest.mark.parametrize(
    ("images", "epochs", "outcome"),
    [
        (3300, 3, ("done", "undertrained")),
        (9900, 1, ("done", "undertrained")),
        (3333, 3, ("collapsed", None)),  # 34 steps, the last one of 33 images
        (10_000, 1, ("collapsed", None)),
    ],
)
def test_before_its_hundredth_step_no_network_has_collapsed(
    images: int, epochs: int, outcome: tuple[str, str | None]
) -> None:
    rows = course(*[(0.1, 0.1)] * epochs, images=images)
    assert steps(rows, BATCH) == -(-images // BATCH) * epochs
    assert judged(rows, constant(TEN, 0)) == outcome


def test_batch_norm_whose_running_averages_have_not_arrived_is_undertrained() -> None:
    rows = course((0.6, 0.1), images=3200)
    assert judged(rows, constant(TEN, 0)) == ("done", "undertrained")


def test_a_last_epoch_that_is_cut_short_counts_by_its_steps() -> None:
    whole, part = course((0.1, 0.1), images=6050)[0], course((0.1, 0.1), images=500)[0]
    assert steps([whole, part], BATCH) == 61 + 5


@pytest.mark.parametrize(("right", "remark"), [(0.2, "far from learnt"), (0.22, None)])
def test_a_network_that_stands_at_a_fifth_of_ten_classes_is_named(right: float, remark: str | None) -> None:
    hits = round(right * 1000)
    confusion = [
        [hits if row == column else (1000 - hits) * (column == (row + 1) % 10) for column in range(10)]
        for row in range(10)
    ]
    assert judged(course((right, right)), confusion) == ("done", remark)


@pytest.mark.parametrize(("rare", "remark"), [(5, "far from learnt"), (6, None)])
def test_where_one_class_has_most_images_far_is_half_way_to_all(rare: int, remark: str | None) -> None:
    confusion = [[990, 0], [10 - rare, rare]]
    assert judged(course((1.0, 1.0)), confusion, 0.99) == ("done", remark)


def test_balanced_accuracy_is_over_the_classes_that_have_images() -> None:
    assert balanced_accuracy([[8, 2, 0], [0, 0, 0], [1, 0, 3]]) == pytest.approx((0.8 + 0.75) / 2)
