"""Operations against the description, and against what torch's modules do in their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dsbench.measure.layer_times import operation_modules
from dsbench.measure.traffic import KINDS, operations
from dsbench.network.build import Mean, Scale, Sum, build
from dsbench.training.step import DTYPES

LINES = (
    "experiment=mnist_7800/dwsep_same_budget",
    "experiment=cifar100_series/dwsep width=8",
    "experiment=cifar10_three_way/hybrid width=16",
    "model=hybrid data=cifar10 slots.se_ratio=0.25 slots.residual=project width=8",
    "model=dwsep block=inverted_residual slots.se_ratio=0.5 data=cifar10 width=8",
    "model=hybrid model.pattern=last_3 block.group_size=2 slots.residual=identity data=cifar10 width=8",
)
MODULES = {
    "linear": nn.Linear,
    "norm": nn.modules.batchnorm._BatchNorm,
    "pool": (nn.MaxPool2d, Mean),
    "dropout": (nn.Dropout, nn.Dropout2d),
    "activation": (nn.ReLU, nn.ReLU6, nn.Sigmoid),
    "flatten": nn.Flatten,
    "sum": Sum,
    "gate": Scale,
}
Named = Callable[[str], Any]


@pytest.mark.parametrize("line", LINES)
def test_operations_are_the_layers_of_the_description_under_their_labels_and_slots(line: str, named: Named) -> None:
    net = named(line)
    done = [operation for operation in operations(net) if not operation.layer.branches]
    described = [(step.layer.label, step.slot.index if step.slot else None) for step in net.steps]
    assert Counter((operation.label, operation.slot) for operation in done) == Counter(described)
    assert sum(operation.macs for operation in done) == sum(step.layer.macs(step.in_shape) for step in net.steps)
    assert {operation.kind for operation in done} <= set(KINDS)


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("line", LINES)
def test_operations_are_what_the_modules_do_one_after_the_other(line: str, precision: str, named: Named) -> None:
    """Kind, shapes, bytes an element and the flow of gradients, as seen by hooks in a forward pass of the module."""
    net = named(line)
    module, seen = build(net, seed=0).train(), []

    def hook(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((part, inputs[0], output))

    for part in operation_modules(module):
        part.register_forward_hook(hook)
    with torch.autocast("cpu", DTYPES[precision], enabled=precision != "32"):
        module(torch.randn(4, *net.input_shape))
    for operation, (part, given, output) in zip(operations(net, precision), seen, strict=True):
        if isinstance(part, nn.Conv2d):
            assert (part.groups, part.kernel_size[0]) == (operation.layer.groups, operation.layer.kernel)
        else:
            assert isinstance(part, MODULES[operation.kind])
        assert (operation.after.shape, operation.after.size, operation.after.grad) == _signal(output)
        if not operation.layer.branches:
            assert (operation.before.shape, operation.before.size, operation.before.grad) == _signal(given)


def _signal(tensor: Tensor) -> tuple[tuple[int, ...], int, bool]:
    return tuple(tensor.shape[1:]), tensor.element_size(), tensor.requires_grad


def test_kinds_of_convolutions_follow_from_their_groups_and_kernels(named: Named) -> None:
    net = named("experiment=mnist_7800/dwsep_same_budget")
    convs = [operation.kind for operation in operations(net) if operation.macs and operation.slot]
    assert convs == ["depthwise", "pointwise"] * 6  # the first is of one channel, so that every convolution looks plain
    net = named("experiment=mnist_7800/cnn")
    assert [operation.kind for operation in operations(net) if operation.slot and operation.macs] == ["dense conv"] * 3
    net = named("model=hybrid model.pattern=last_3 block.group_size=2 data=cifar10 slots.residual=project width=8")
    kinds = {operation.label: operation.kind for operation in operations(net)}
    assert kinds["shortcut 1x1"] == "pointwise"
    assert kinds["grouped 3x3"] == "grouped conv"


def test_the_gradients_of_two_paths_meet_at_the_first_layer_of_a_body(named: Named) -> None:
    net = named("model=cnn data=cifar10 slots.residual=project slots.se_ratio=0.5 width=8 depth=1")
    joins = [operation.label for operation in operations(net) if operation.joins]
    slots = len(net.slots)  # of each the gate's body; and the residual's but where the image begins it
    assert Counter(joins) == {"global avg pool": slots, "conv 3x3": slots - 1}
