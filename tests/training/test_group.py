"""Several seeds of one cell that train as one program, against each of them alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback

from dsbench.network.build import build
from dsbench.training import fit as fitting
from dsbench.training.checkpoint import Checkpoints
from dsbench.training.fit import Fitted, fit
from dsbench.training.history import Epoch

Planned = Callable[[str], Any]

LAYERS = (
    "[{conv:{width:1}},max_pool,norm,{dropout:0.3},{conv:{width:2}},max_pool,flatten,"
    "{linear:5},norm,activation,{dropout:0.2},{linear:classes}]"
)
LINE = f"width=2 arch.layers={LAYERS} train.batch_size=7 data.augment.crop_padding=2 data.augment.cutout=6"
EPOCH = f"{LINE} train.max_epochs=1 train.grad_clip_norm=0.5 train.label_smoothing=0.1"
SEEDS = (3, 1, 8)


@dataclass
class Ended:
    """What `fit` gave, what on_epoch was told, and the last checkpoints."""

    given: list[Fitted | Exception]
    told: list[list[Epoch]]
    last: list[dict[str, Any]]

    def fitted(self, place: int = 0) -> Fitted:
        given = self.given[place]
        assert isinstance(given, Fitted)
        return given


@dataclass
class Group:
    """Trains seeds of a line, together or alone, each time in folders of its own."""

    planned: Planned
    outputs: Any
    runs: int = field(default=0)

    def __call__(
        self,
        line: str,
        seeds: Sequence[int] = SEEDS,
        on_epoch: Callable[[int, list[Epoch]], None] = lambda *_: None,
        callbacks: Sequence[Callback] = (),
        folder: str = "",
    ) -> Ended:
        self.runs += 1
        folder = folder or f"{self.outputs}-{self.runs}"
        plans = [self.planned(f"{line} seed={seed} outputs={folder}") for seed in seeds]
        told: list[list[Epoch]] = [[] for _ in seeds]
        for plan in plans:
            plan.prepare()
            plan.folder.create()

        def tell(place: int, history: list[Epoch]) -> None:
            told[place] = history
            on_epoch(place, history)

        given = fit([plan.training for plan in plans], tell, callbacks)
        return Ended(given, told, [torch.load(plan.folder.last, weights_only=True) for plan in plans])


@pytest.fixture
def group(planned: Planned, outputs: Any) -> Group:
    return Group(planned, outputs)


@pytest.fixture
def float64() -> Iterator[None]:
    """All that is computed is computed in float64, where the order of sums does not show."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def numbers(ended: Ended, place: int) -> dict[str, Any]:
    """All that training has come to for one member, by name, without times."""
    last, fitted = ended.last[place], ended.fitted(place)
    out = {f"weights {name}": value for name, value in last["state_dict"].items()}
    for number, state in last["optimizer_states"][0]["state"].items():
        out |= {f"optimizer {number} {name}": value for name, value in state.items()}
    for row in last["history"]:
        out |= {f"epoch {row['epoch']} {name}": value for name, value in row.items() if "second" not in name}
    return out | {"test accuracy": fitted.test_acc, "test loss": fitted.test_loss, "right": fitted.correct}


def assert_near(actual: dict[str, Any], expected: dict[str, Any], most: float) -> None:
    """The same names in the same order, and numbers that differ by `most` at most."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        if value is not None:
            error = np.abs(np.asarray(actual[name], float) - np.asarray(value, float)).max()
            assert error <= most, (name, error)


def same(actual: dict[str, Any], expected: dict[str, Any]) -> bool:
    return list(actual) == list(expected) and all(np.array_equal(actual[name], expected[name]) for name in expected)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_an_epoch_together_is_an_epoch_of_each_alone(group: Group, few: str, float64: None, optimizer: str) -> None:
    """Order, augmentation, dropout, clipping, losses, counts, validation and test, in float64."""
    line = f"{EPOCH} {few} optimizer={optimizer}"
    together = group(line)
    for place, seed in enumerate(SEEDS):
        alone = group(line, [seed])
        assert_near(numbers(together, place), numbers(alone, 0), 1e-9)
        assert together.fitted(place).confusion == alone.fitted().confusion
        assert together.fitted(place).status == alone.fitted().status
        assert together.told[place] == together.last[place]["history"]
        assert together.last[place].keys() == alone.last[0].keys()
        groups = (ended["optimizer_states"][0]["param_groups"] for ended in (together.last[place], alone.last[0]))
        assert next(groups) == next(groups)


def test_three_steps_in_float32_differ_by_what_rounding_can_make(group: Group, few: str, planned: Planned) -> None:
    """
    A number of a step is a sum of at most 7 * 28 * 28 products, whose rounding, by an order of the sum, is at most
    as many units (2^-24) of what it sums; there are fewer than 30 such operations on the way from a weight to its
    gradient. Gradients have a norm of 0.1 at most, so that three steps at a rate of 0.01 move a weight by
    0.001 * (1.9 + 2.71 + 3.44) at most (momentum 0.9, Nesterov), and what rounding can make is its share of that.
    """
    target = 3 * planned(f"{LINE} {few} train.max_epochs=1").cost.macs * 3 * 7
    line = f"{LINE} {few} stop.by=train_macs stop.target={target} schedule=constant"
    line += " optimizer.lr=0.01 optimizer.weight_decay=0 train.grad_clip_norm=0.1"
    together = group(line)
    most = 30 * 7 * 28 * 28 * 2**-24 * 0.001 * (1.9 + 2.71 + 3.44)
    for place, seed in enumerate(SEEDS):
        ours, own = together.last[place]["state_dict"], group(line, [seed]).last[0]["state_dict"]
        initial = build(planned(line).network, seed).state_dict()
        weights = [name for name in ours if "running" not in name]
        assert all((ours[name] - own[name]).abs().max() <= most for name in weights)
        moved = max(float((own[name] - initial[name.removeprefix("network.")]).abs().max()) for name in weights)
        assert moved > 5 * most  # so that a wrong step would be seen
