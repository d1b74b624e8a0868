"""Optimizers against torch's default implementations."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn, optim

from dsbench.config.compose import compose
from dsbench.config.schema import OptimizerConfig
from dsbench.errors import InputError
from dsbench.training.recipe import groups, optimizer

Reference = Callable[[list[nn.Parameter]], optim.Optimizer]


def config(line: str) -> OptimizerConfig:
    return compose(line.split()).config.optimizer


def network() -> nn.Module:
    """In float64, where what adam makes of the rounding of a small gradient is far below what is compared."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3)).double()


def stepped(net: nn.Module, optimizer: optim.Optimizer) -> list[torch.Tensor]:
    images = torch.randn(8, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        optimizer.zero_grad()
        net(images).square().mean().backward()
        optimizer.step()
    return [p.detach() for p in net.parameters()]


REFERENCES: dict[str, Reference] = {
    "optimizer=sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4, foreach=False),
    "optimizer=adam optimizer.betas=[0.8,0.9] optimizer.eps=1e-3": lambda p: optim.Adam(
        p, 1e-3, (0.8, 0.9), 1e-3, 5e-4, foreach=False
    ),
    "optimizer=adamw": lambda p: optim.AdamW(p, 1e-3, (0.9, 0.999), 1e-8, 1e-2, foreach=False),
    "optimizer=rmsprop optimizer.momentum=0.5": lambda p: optim.RMSprop(p, 1e-3, 0.9, 1e-7, 5e-4, 0.5, foreach=False),
}


@pytest.mark.parametrize("line", REFERENCES)
def test_steps_equal_those_of_torchs_plain_implementation(line: str) -> None:
    ours = network()
    theirs = copy.deepcopy(ours)
    actual = stepped(ours, optimizer(ours, config(f"{line} optimizer.decay_norm_and_bias=true")))
    expected = stepped(theirs, REFERENCES[line](list(theirs.parameters())))
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_without_gradient_only_weights_decay(name: str) -> None:
    net = network()
    before = copy.deepcopy(dict(net.named_parameters()))
    built = optimizer(net, config(f"optimizer={name} optimizer.weight_decay=0.1"))
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    built.step()
    moved = {key for key, p in net.named_parameters() if not torch.equal(p, before[key])}
    assert moved == {"0.weight", "3.weight"}


def test_norms_and_biases_decay_when_asked_to() -> None:
    net = network()
    parameter_groups = groups(net, config("optimizer.decay_norm_and_bias=true"))
    assert [(len(group["params"]), group["weight_decay"]) for group in parameter_groups] == [(6, 5e-4)]


def test_every_parameter_is_in_one_group() -> None:
    net = network()
    listed = [id(p) for group in groups(net, config("optimizer=sgd")) for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in net.parameters())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("optimizer.lr=0", "optimizer.lr 0.0 is not a positive number"),
        ("optimizer.lr=-0.1", "optimizer.lr -0.1 is not a positive number"),
        ("optimizer.lr=nan", "optimizer.lr nan is not a positive number"),
        ("optimizer.lr=inf", "optimizer.lr inf is not a positive number"),
        ("optimizer.weight_decay=-1", "optimizer.weight_decay -1.0 is not 0 or a positive number"),
        ("optimizer=adam optimizer.betas=[0.9]", "optimizer.betas [0.9] are not two numbers"),
        ("optimizer=adamw optimizer.betas=[0.9,1.0]", "optimizer.betas [0.9, 1.0] are not two numbers"),
        ("optimizer.momentum=1", "optimizer.momentum 1.0 is not from 0 up to"),
        ("optimizer.momentum=0", "optimizer.nesterov needs a momentum above 0"),
        ("optimizer.name=lion", "unknown optimizer.name 'lion'; choose one of sgd, adam, adamw, rmsprop"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(line: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        config(line).check("optimizer.")
    assert message in str(error.value)
