"""Members of a group trained as one against each trained alone by a plain loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from dsbench.config.compose import compose
from dsbench.config.schema import AugmentConfig, OptimizerConfig
from dsbench.network.build import build
from dsbench.network.description import Network
from dsbench.network.fused import Fused, member, stacked
from dsbench.network.layers import Activation, BatchNorm, Conv, Dropout, Flatten, Linear, Pool
from dsbench.seeds import derived
from dsbench.training.batches import Batches, PixelScale
from dsbench.training.device import Compute
from dsbench.training.passes import At, Pass
from dsbench.training.recipe import groups, optimizer
from dsbench.training.step import Step, clip_grad_norms, mean_losses

NETWORK = Network(
    (2, 8, 8),
    5,
    (
        *(Conv(2, 4, 3, padding=1), BatchNorm(4), Activation("relu"), Dropout(0.2, channelwise=True), Pool("max")),
        *(Conv(4, 4, 3, padding=1, groups=4), Conv(4, 6, 1), BatchNorm(6), Activation("silu")),
        *(Conv(6, 6, 3, bias=True), Activation("silu"), Flatten(), Dropout(0.3), Linear(24, 5)),
    ),
)
AUGMENT = AugmentConfig(crop_padding=2, flip=True, cutout=3)
OPTIMIZERS = (
    "optimizer=sgd optimizer.lr=0.05",
    "optimizer=adam",
    "optimizer=adamw",
    "optimizer=rmsprop optimizer.momentum=0.5",
)
SEEDS = (3, 0, 11)
CPU = Compute(torch.device("cpu"), "a CPU", "32", 1)


def config(line: str) -> OptimizerConfig:
    return compose(line.split()).config.optimizer


def split(seed: int | None, augment: AugmentConfig | None = None, size: int = 8) -> Batches:
    """Thirty of forty images, in batches the last of which is smaller."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 8, 8, 2), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 5, (40,), generator=generator)
    scale = PixelScale.of("standardize", (0.4, 0.6), (0.3, 0.2))
    return Batches(images, labels, torch.arange(5, 35), size, scale, seed, augment)


@dataclass
class Loop:
    """A network that is trained, alone or of several members, and its optimizer."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    clip: float | None
    losses: list[Tensor] = field(default_factory=list)

    def states(self) -> Any:
        return {"network": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, states: Any) -> None:
        self.module.load_state_dict(states["network"])
        self.optimizer.load_state_dict(states["optimizer"])


@dataclass
class Alone(Loop):
    """By a plain loop of one seed."""

    seed: int = 0

    def epochs(self, numbers: Sequence[int]) -> Alone:
        batches = split(self.seed, AUGMENT)
        for batches.epoch in numbers:
            torch.manual_seed(derived(self.seed, "dropout", batches.epoch))
            for images, labels in batches:
                self.optimizer.zero_grad()
                loss = cross_entropy(self.module(images.double()), labels, label_smoothing=0.1)
                loss.backward()
                if self.clip:
                    clip_grad_norm_(self.module.parameters(), self.clip)
                self.optimizer.step()
                self.losses.append(loss.detach())
        return self


@dataclass
class Together(Loop):
    """By the step of training, in float64, for the members with these seeds."""

    seeds: Sequence[int] = SEEDS

    def epochs(self, numbers: Sequence[int]) -> Together:
        assert isinstance(self.module, Fused)
        step = Step(self.module, self.optimizer, CPU, grad_clip_norm=self.clip)
        given = Pass(split(0, AUGMENT), 5, len(self.seeds))
        for epoch in numbers:
            self.module.seed_dropout([derived(seed, "dropout", epoch) for seed in self.seeds])
            given.begin(0, self.seeds, epoch)
            for number in range(len(given)):
                images, labels = given.batch(given.at(number))
                losses = mean_losses(self.module(images.double()), labels, 0.1)
                step.backward(losses.sum())
                step.update()
                self.losses.append(losses.detach())
        return self


def alone(seed: int, line: str, clip: float | None = None) -> Alone:
    module = build(NETWORK, seed).double()
    return Alone(module, optimizer(module, config(line)), clip, seed=seed)


def together(seeds: Sequence[int], line: str, clip: float | None = None) -> Together:
    module = Fused([build(NETWORK, seed).double() for seed in seeds])
    return Together(module, optimizer(module, config(line)), clip, seeds=seeds)


def layout(tensor: Tensor) -> list[int]:
    """The strides that decide where its elements lie."""
    return [stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


def near(actual: Any, expected: Any, most: float = 1e-9) -> None:
    """States with the same keys in the same order, the same memory formats, and values that differ by `most`."""
    if isinstance(actual, dict):
        assert list(actual) == list(expected)
        for key in actual:
            near(actual[key], expected[key], most)
    elif isinstance(actual, (list, tuple)):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            near(one, other, most)
    elif isinstance(actual, Tensor):
        torch.testing.assert_close(actual, expected, rtol=most, atol=most)
        assert layout(actual) == layout(expected)
    else:
        assert actual == expected


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("line", OPTIMIZERS)
def test_members_train_as_each_does_alone(line: str, clip: float | None) -> None:
    """Two epochs of augmentation, dropout, label smoothing, decay of weights alone, and clipping."""
    loop = together(SEEDS, line, clip).epochs([0, 1])
    for place, seed in enumerate(SEEDS):
        own = alone(seed, line, clip).epochs([0, 1])
        near([each[place] for each in loop.losses], own.losses)
        near(member(loop.states(), place), own.states())


@pytest.mark.parametrize("line", OPTIMIZERS)
def test_members_change_between_training_alone_and_together_at_any_epoch(line: str) -> None:
    first = [alone(seed, line).epochs([0]) for seed in SEEDS]
    loop = together(SEEDS, line)
    loop.load(stacked([own.states() for own in first]))
    loop.epochs([1])
    for place, (seed, own) in enumerate(zip(SEEDS, first, strict=True)):
        last = alone(seed, line)
        last.load(member(loop.states(), place))
        near(last.epochs([2]).states(), own.epochs([1, 2]).states())


def test_members_at_different_points_of_their_training_are_not_put_together() -> None:
    states = [alone(seed, "optimizer=adam").epochs(range(seed)).states()["optimizer"] for seed in (1, 2)]
    with pytest.raises(ValueError, match="differ in what is one for all"):
        stacked(states)
    states[0]["state"].clear()
    with pytest.raises(ValueError, match="states of different things"):
        stacked(states)


def test_weights_that_decay_are_those_of_the_network_alone() -> None:
    for line in ("optimizer=sgd", "optimizer.decay_norm_and_bias=true"):
        solo, fused = build(NETWORK, 0), Fused([build(NETWORK, 0)] * 2)
        names = [
            [
                [{id(p): name for name, p in module.named_parameters()}[id(p)] for p in group["params"]]
                for group in groups(module, config(line))
            ]
            for module in (solo, fused)
        ]
        assert names[0] == names[1]


def test_a_gradient_is_clipped_by_the_norm_of_its_own_member() -> None:
    """Against torch's clipping of each, one of which is within the norm and one of which is no number."""
    generator = torch.Generator().manual_seed(1)
    shapes = ((4, 3, 3, 3), (4,), (5, 4))
    parameters = [nn.Parameter(torch.zeros(4, *shape)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
        parameter.grad[1] *= 1e-3
    parameters[1].grad[2, 0] = torch.nan
    expected = []
    for place in range(4):
        own = [nn.Parameter(torch.zeros(shape)) for shape in shapes]
        for mine, all_of_them in zip(own, parameters, strict=True):
            mine.grad = all_of_them.grad[place].clone()
        clip_grad_norm_(own, 0.7)
        expected.append([mine.grad for mine in own])
    clip_grad_norms(parameters, 0.7)
    for place in range(4):
        for actual, right in zip(parameters, expected[place], strict=True):
            torch.testing.assert_close(actual.grad[place], right, equal_nan=True)


@pytest.mark.parametrize("augment", [None, AUGMENT, AugmentConfig(crop_padding=0, flip=True, cutout=0)])
def test_each_member_has_the_batches_of_its_own_seed_and_epoch(augment: AugmentConfig | None) -> None:
    given = Pass(split(0, augment), 5, len(SEEDS))
    for epoch in (0, 1):
        given.begin(0, SEEDS, epoch)
        own = [split(seed, augment) for seed in SEEDS]
        for batches in own:
            batches.epoch = epoch
        for number, alone in enumerate(zip(*own, strict=True)):
            images, labels = given.batch(given.at(number))
            assert images.is_contiguous(memory_format=torch.channels_last)
            assert torch.equal(images, torch.cat([each for each, _ in alone], 1))
            assert torch.equal(labels, torch.stack([truth for _, truth in alone]))


def test_a_contiguous_network_of_members_sees_contiguous_images() -> None:
    given = split(None)
    given.channels_last = False
    images, _ = Pass(given, 5, 3).batch(At(slice(0, 1), slice(0, 4)))
    assert images.is_contiguous()
    assert torch.equal(images, torch.cat([next(iter(given))[0][:4]] * 3, 1))


def test_all_members_are_measured_by_the_same_images() -> None:
    given = Pass(split(None), 5, 3)
    given.begin()
    for number, (own, truth) in enumerate(split(None)):
        images, labels = given.batch(given.at(number))
        assert torch.equal(images, torch.cat([own] * 3, 1))
        assert torch.equal(labels, torch.stack([truth] * 3))


@pytest.mark.parametrize("line", OPTIMIZERS)
def test_an_epoch_of_a_member_that_is_no_number_leaves_the_others_bit_for_bit(line: str) -> None:
    whole, spoilt = (together(SEEDS, line, 0.5) for _ in range(2))
    with torch.no_grad():
        next(spoilt.module.parameters())[1] = torch.nan
    expected, actual = (loop.epochs([0]).states() for loop in (whole, spoilt))
    assert member(actual, 1)["network"]["0.weight"].isnan().all()
    for place in (0, 2):
        near(member(actual, place), member(expected, place), most=0)
