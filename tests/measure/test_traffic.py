"""Operations and bytes of a training step against closed forms and torch's own count."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from dsbench.config.schema import AdamConfig, RmspropConfig, SgdConfig
from dsbench.measure.traffic import Operation, Signal, Work, loss_work, operations, optimizer_work, work
from dsbench.network.build import build
from dsbench.network.layers import Activation, BatchNorm, Conv, Dropout, Flatten, Layer, Linear, Pool

BATCH = 4
Named = Callable[[str], Any]


def passes(
    layer: Layer, shape: tuple[int, ...], sizes: tuple[int, int] = (4, 4), grad: bool = True
) -> tuple[Work, Work]:
    """Both passes of `layer` for BATCH images of `shape`; `sizes` are the bytes an element before and after it."""
    after = Signal(layer.output_shape(shape), sizes[1], grad or layer.params > 0)
    return work(Operation(layer, None, Signal(shape, sizes[0], grad), after), BATCH)


def test_dense_convolution_by_hand() -> None:
    """3 to 8 channels, 3x3, same padding, 10x10 pixels: 21,600 MACs an image."""
    x, y, p = BATCH * 3 * 100, BATCH * 8 * 100, 3 * 9 * 8 + 8
    there, back = passes(Conv(3, 8, 3, padding=1, bias=True), (3, 10, 10))
    assert there == Work(2 * BATCH * 21_600, 4 * (x + p + y))
    assert back == Work(4 * BATCH * 21_600, 4 * (y + x + p) + 4 * (p + x))


def test_the_first_layer_makes_no_gradient_of_the_image() -> None:
    x, y, p = BATCH * 3 * 100, BATCH * 8 * 100, 3 * 9 * 8
    _, back = passes(Conv(3, 8, 3, padding=1), (3, 10, 10), grad=False)
    assert back == Work(2 * BATCH * 21_600, 4 * (y + x + p))


def test_depthwise_layer_does_little_more_than_two_flop_a_byte_at_any_width() -> None:
    """9 MACs for an element read and one written, 9 / 4 FLOP per byte but for the weights, forward; of both, 2.7."""
    for channels in (16, 256):
        there, back = passes(Conv(channels, channels, 3, 1, 1, channels, role="depthwise"), (channels, 32, 32))
        elements = BATCH * channels * 1024
        assert there == Work(18 * elements, 4 * (2 * elements + 9 * channels))
        assert back == Work(36 * elements, 4 * (3 * elements + 18 * channels))
        assert (there + back).flops / (there + back).bytes == pytest.approx(54 / 20, rel=0.01)


def test_linear_layer_by_hand() -> None:
    there, back = passes(Linear(50, 10), (50,))
    assert there == Work(2 * BATCH * 500, 4 * (BATCH * 50 + 510 + BATCH * 10))
    assert back == Work(4 * BATCH * 500, 4 * (BATCH * 10 + BATCH * 50 + 510) + 4 * (510 + BATCH * 50))


def test_autocast_moves_half_the_activations_and_casts_the_weights() -> None:
    """Weights: read in 4 bytes, written and read in 2; their gradient written and read in 2, written in 4."""
    x, y, p = BATCH * 50, BATCH * 10, 510
    there, back = passes(Linear(50, 10), (50,), sizes=(2, 2))
    assert there.bytes == 2 * (x + y) + p * (4 + 2 + 2)
    assert back.bytes == 2 * (y + x) + p * (2 + 2 + 4) + 2 * (p + x)
    assert passes(Linear(50, 10), (50,), sizes=(4, 2))[0].bytes == there.bytes + 4 * x + 2 * x


def test_batch_norm_by_hand() -> None:
    """x is read for the statistics and again to be normalised; g and x for the two sums and again for the gradient."""
    x = BATCH * 8 * 36
    there, back = passes(BatchNorm(8), (8, 6, 6))
    assert there == Work(5 * x, 4 * (3 * x + 16 + 2 * 16))
    assert back == Work(9 * x, 4 * (5 * x + 2 * 16))
    assert passes(BatchNorm(8), (8, 6, 6), grad=False)[1] == Work(4 * x, 4 * (2 * x + 2 * 16))


def test_layers_without_parameters_by_hand() -> None:
    x = BATCH * 8 * 36
    assert passes(Activation(), (8, 6, 6)) == (Work(x, 8 * x), Work(x, 12 * x))
    assert passes(Pool(), (8, 6, 6)) == (Work(x, 4 * x + 3 * x), Work(x // 4, 3 * x + 4 * x))  # 12 bytes an output
    assert passes(Pool("avg"), (8, 6, 6)) == (Work(x, 5 * x), Work(x // 4, 5 * x))
    assert passes(Dropout(0.5), (8, 6, 6)) == (Work(2 * x, 12 * x), Work(x, 12 * x))
    assert passes(Dropout(0.0), (8, 6, 6)) == (Work(), Work())
    assert passes(Dropout(0.5, channelwise=True), (8, 6, 6))[0] == Work(x + BATCH * 8, 8 * x + 4 * BATCH * 8)
    assert passes(Flatten(), (8, 6, 6)) == (Work(0, 8 * x), Work())
    assert passes(Activation(), (8, 6, 6), grad=False)[1] == Work()


@pytest.mark.parametrize("shape", [(1, 6, 6), (8, 1, 1), (8,)])
def test_flattening_is_free_exactly_where_torch_makes_no_copy(shape: tuple[int, ...]) -> None:
    images = torch.zeros(BATCH, *shape)
    images = images.to(memory_format=torch.channels_last) if len(shape) == 3 else images
    assert torch.flatten(images, 1).data_ptr() == images.data_ptr()
    assert passes(Flatten(), shape)[0] == Work()
    several = torch.zeros(BATCH, 8, 6, 6).to(memory_format=torch.channels_last)
    assert torch.flatten(several, 1).data_ptr() != several.data_ptr()


@pytest.mark.parametrize(
    "line",
    [
        "experiment=mnist_7800/cnn",
        "model=cnn data=cifar10 slots.residual=project slots.se_ratio=0.25 width=8",
        "experiment=cifar100_series/cnn width=8",
        "model=dwsep data=cifar10 width=8",
        "model=dwsep block=inverted_residual data=cifar10 width=4",
    ],
)
def test_products_of_a_training_step_are_those_that_torch_counts(line: str, named: Named) -> None:
    """But for depthwise layers: torch counts the gradient of their weights once for each of the groups."""
    net = named(line)
    module, images = build(net), torch.zeros(BATCH, *net.input_shape, device="meta")
    with FlopCounterMode(display=False) as counter:
        cross_entropy(module(images), torch.zeros(BATCH, dtype=torch.long, device="meta")).backward()
    flops = 0
    for operation in (candidate for candidate in operations(net) if candidate.macs):
        there, back = work(operation, BATCH)
        excess = getattr(operation.layer, "groups", 1) - 1
        joined = BATCH * prod(operation.before.shape) if operation.joins else 0
        flops += there.flops + back.flops - joined + excess * there.flops
    assert flops == counter.get_total_flops()


def test_loss_by_hand() -> None:
    assert loss_work(10, BATCH, 4) == (Work(160, 4 * 80), Work(160, 4 * 160))
    assert loss_work(10, BATCH, 2)[0].bytes == 4 * 80 + 6 * 40


def test_optimizer_moves_weight_gradient_and_state() -> None:
    common = {"name": "", "lr": 0.1, "weight_decay": 0.0, "decay_norm_and_bias": False}
    sgd, momentum = (SgdConfig(**common, momentum=m, nesterov=False) for m in (0.0, 0.9))
    adam, rmsprop = (
        AdamConfig(**common, betas=[0.9, 0.999], eps=1e-8),
        RmspropConfig(**common, alpha=0.9, momentum=0, eps=1),
    )
    tensors = [optimizer_work(config, 100).bytes / 400 for config in (sgd, momentum, adam, rmsprop)]
    assert tensors == [3, 5, 7, 5]
    assert optimizer_work(sgd, 100, clips=True).bytes / 400 == 6
    assert optimizer_work(sgd, 100).flops == 200
