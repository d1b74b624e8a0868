"""What the epochs say: which was the best, whether to stop, whether training diverged, whether the network learnt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict

from dsbench.config.schema import EarlyStoppingConfig

_LEVEL = 0.001  # of the tests that a network does better than the answer of the largest class
_FEWEST_STEPS = 100  # to say of a network that it does not learn; batch norm's running averages need as many
UNDERTRAINED, FAR_FROM_LEARNT = "undertrained", "far from learnt"  # the remarks of a record


class Epoch(TypedDict):
    """One row of metrics.csv. Accuracies are shares of 1; `epoch` counts from 1.

    `val_top_share` is the share of validation images that get the class predicted most often.
    """

    epoch: int
    train_loss: float
    train_acc: float
    val_loss: float
    val_acc: float
    val_top_share: float
    lr: float
    images_per_second: float
    epoch_seconds: float


def images_seen(history: Sequence[Epoch]) -> int:
    """Images trained on over the epochs: rate times seconds, whole but for rounding; the last epoch may be partial."""
    return sum(round(row["images_per_second"] * row["epoch_seconds"]) for row in history)


def best_epoch(history: Sequence[Epoch]) -> int:
    """The epoch (from 1) of the highest validation accuracy, the first on ties; 0 where there is none."""
    finite = [row for row in history if math.isfinite(row["val_acc"])]
    return max(finite, key=lambda row: row["val_acc"])["epoch"] if finite else 0


def should_stop(history: Sequence[Epoch], rule: EarlyStoppingConfig) -> bool:
    """Whether the early-stopping rule ends training after the epochs so far.

    no_improvement: the monitored value has had no new best for `patience` epochs (Keras's EarlyStopping);
    worsening: it got worse in each of the last `patience` epochs.
    """
    if rule.monitor is None:
        return False
    sign = 1 if rule.monitor.endswith("acc") else -1
    values = [sign * float(row[rule.monitor]) for row in history]  # type: ignore[literal-required]
    if rule.rule == "no_improvement":
        return len(values) - 1 - values.index(max(values)) >= rule.patience
    recent = values[-rule.patience - 1 :]
    return len(recent) > rule.patience and all(new < old for old, new in pairwise(recent))


def diverged(history: Sequence[Epoch]) -> bool:
    """Whether a loss of the last epoch, in training or validation, is no longer a finite number."""
    return bool(history) and not all(math.isfinite(history[-1][loss]) for loss in ("train_loss", "val_loss"))


def steps(history: Sequence[Epoch], batch_size: int) -> int:
    """How many optimizer steps the epochs took; the last epoch may be partial."""
    return sum(-(-images_seen([row]) // batch_size) for row in history)


def status_and_remark(
    history: Sequence[Epoch],
    test_weights: str,
    batch_size: int,
    train_share: float,
    val_share: float,
    val_images: int,
    confusion: Sequence[Sequence[int]],
) -> tuple[str, str | None]:
    """Whether a network that was trained to the end is done or collapsed, by the weights that were tested; the remark.

    It has learnt where they get more validation images right than the answer of the largest class would (see beats),
    or the `confusion` of the test images shows it. If neither, it has collapsed, unless the training of their epoch
    does better than that answer, or there were fewer than 100 steps. Of several epochs that validate as the tested one
    does the last one's training counts: one that died in its first epoch has trained in that.

    Far from learnt is a network that has not learnt by its tested weights, or gets no more than twice the largest
    class's share of the test images right; where that is a third or more, one that is no more than half way from it to
    all. After fewer than 100 steps such a network is undertrained. The shares are those of the largest class among the
    images of each part.
    """
    tested = history[-1]
    if test_weights == "best":
        best = history[best_epoch(history) - 1]["val_acc"]
        tested = [row for row in history if row["val_acc"] == best][-1]
    seen = images_seen([tested])
    few = steps(history, batch_size) < _FEWEST_STEPS
    learnt = beats(val_share, round(tested["val_acc"] * val_images), val_images) or shows_learning(confusion)
    if not (learnt or few or beats(train_share, round(tested["train_acc"] * seen), seen)):
        return "collapsed", None
    right, largest, images = _counts(confusion)
    if learnt and right > min(2 * largest, (largest + images) / 2):
        return "done", None
    return "done", UNDERTRAINED if few else FAR_FROM_LEARNT


def beats(share: float, right: int, images: int) -> bool:
    """Whether more of `images` are right than the answer of the largest class, which has `share` of them, would get.

    A one-sided binomial test at .001.
    """
    if right <= share * images:
        return False
    from scipy.special import betainc

    return bool(betainc(right, images - right + 1, share) < _LEVEL)  # P(at least `right` of `images`)


def shows_learning(confusion: Sequence[Sequence[int]]) -> bool:
    """Whether a confusion matrix, true classes in rows, is that of a network that has learnt.

    It has more images right than the answer of the largest class would get: by the test of `beats` or, since no test
    can reject at 99 images of a hundred, with a balanced accuracy more than half way from that answer's to 1.
    """
    right, largest, images = _counts(confusion)
    if beats(largest / images, right, images):
        return True
    present = sum(any(row) for row in confusion)
    return right > largest and balanced_accuracy(confusion) > (1 + 1 / present) / 2


def balanced_accuracy(confusion: Sequence[Sequence[int]]) -> float:
    """The mean, over the classes that have images, of the share of their images that is right."""
    shares = [share for share in class_accuracies(confusion) if share is not None]
    return sum(shares) / len(shares)


def class_accuracies(confusion: Sequence[Sequence[int]]) -> list[float | None]:
    """The share of each class's images that is right, None where it has no images."""
    return [row[i] / sum(row) if any(row) else None for i, row in enumerate(confusion)]


def _counts(confusion: Sequence[Sequence[int]]) -> tuple[int, int, int]:
    """How many images are right, how many are of the largest class, and how many there are."""
    sizes = [sum(row) for row in confusion]
    return sum(row[i] for i, row in enumerate(confusion)), max(sizes), sum(sizes)
