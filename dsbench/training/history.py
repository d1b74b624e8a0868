"""What the epochs so far say: which was the best, whether to stop, whether the run diverged or collapsed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict

from dsbench.config.schema import EarlyStoppingConfig

_COLLAPSE_EPOCHS = 3
_COLLAPSE_MARGIN = 1.2
_COLLAPSE_SHARE = 0.99


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


def collapsed(history: Sequence[Epoch], majority_share: float) -> bool:
    """Whether the network learnt nothing and answers one class.

    Over the last three epochs (or as many as there are) training accuracy stays within 1.2 times `majority_share`,
    the largest class's share of the training images, and the last network predicts one class for at least 99 % of
    the validation images. After a single epoch, whose accuracy is mostly that of its beginning, only the latter.
    """
    last = history[-_COLLAPSE_EPOCHS:]
    low = len(history) == 1 or all(row["train_acc"] <= _COLLAPSE_MARGIN * majority_share for row in last)
    return bool(last) and low and last[-1]["val_top_share"] >= _COLLAPSE_SHARE
