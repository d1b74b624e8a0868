"""What fills a slot, against forwards written by hand in numpy and against torchvision's MobileNetV2 block."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d  # type: ignore[import-untyped]
from torch import nn

from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.config.schema import ModelConfig
from dsbench.network.blocks import Block, Place, Style
from dsbench.network.build import build
from dsbench.network.description import Gate, Network, Residual, Slot, inside
from dsbench.network.layers import Conv, Layer, Linear
from dsbench.torchvision_ops import ensure

Array = np.ndarray


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights, biases and statistics that are neither zero nor one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1 * (tensor.ndim == 1))
                tensor.sub_(0.5 * (tensor.ndim > 1))
    return module


def array(tensor: torch.Tensor) -> Array:
    return tensor.detach().numpy().astype(np.float64)


def depthwise(x: Array, kernels: Array, same: bool, multiplier: int = 1) -> Array:
    """Keras's DepthwiseConv2D: output channel c * multiplier + m is input channel c under kernel m of that channel."""
    margin = kernels.shape[-1] // 2 if same else 0
    x = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
    return np.stack([correlate2d(x[o // multiplier], kernels[o, 0], mode="valid") for o in range(len(kernels))])


def pointwise(x: Array, weights: Array) -> Array:
    return np.einsum("oi,ihw->ohw", weights[:, :, 0, 0], x)


def norm(x: Array, part: nn.Module, eps: float = 1e-5) -> Array:
    scale, shift, mean, var = (array(t)[:, None, None] for t in (*part.parameters(), *part.buffers()))
    return (x - mean) / np.sqrt(var + eps) * scale + shift


def bias(conv: nn.Conv2d) -> Array:
    assert conv.bias is not None
    return array(conv.bias)[:, None, None]


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("block", ["keras", "mobilenet", "linear", "double_relu"])
def test_published_blocks_equal_a_forward_written_by_hand(
    block: str,
    multiplier: int,
    kernel: int,
    padding: str,
    preset: Callable[[str], Block],
    one_slot: Callable[..., Network],
) -> None:
    settings = Block(**{**vars(preset(block)), "depth_multiplier": multiplier})
    place = Place(1, 3, 5, kernel=kernel, padding=padding, norm=block == "mobilenet", activation=block != "linear")
    trunk = randomise(build(one_slot(place, settings, (3, 9, 8)), seed=0)[:-2]).eval().double()
    image = torch.randn(3, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    spatial, channel = (part for part in trunk.modules() if isinstance(part, nn.Conv2d))
    norms = [part for part in trunk.modules() if isinstance(part, nn.BatchNorm2d)]

    middle = depthwise(array(image), array(spatial.weight), padding == "same", multiplier)
    if block == "keras":
        expected = relu(pointwise(middle, array(channel.weight)) + bias(channel))
    elif block == "mobilenet":
        middle = relu(norm(middle, norms[0]))
        expected = relu(norm(pointwise(middle, array(channel.weight)), norms[1]))
    elif block == "linear":
        expected = pointwise(middle, array(channel.weight))
    else:
        middle = relu(middle + bias(spatial))
        expected = relu(pointwise(middle, array(channel.weight)) + bias(channel))
    np.testing.assert_allclose(array(trunk(image[None])[0]), expected, rtol=1e-10, atol=1e-12)


def weighted(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if isinstance(part, (nn.Conv2d, nn.BatchNorm2d))]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("i", "o", "stride", "expansion"), [(16, 16, 1, 6), (16, 24, 2, 6), (8, 8, 1, 1), (3, 8, 1, 6)]
)
def test_inverted_residual_is_torchvisions(
    i: int,
    o: int,
    stride: int,
    expansion: int,
    training: bool,
    preset: Callable[[str], Block],
    one_slot: Callable[..., Network],
) -> None:
    ensure()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision uses torch.jit
        from torchvision.models.mobilenetv2 import InvertedResidual  # type: ignore[import-untyped]
    settings = Block(**{**vars(preset("inverted_residual")), "expansion": expansion})
    net = one_slot(Place(1, i, o, stride=stride), settings, (i, 12, 12), Style("relu6"))
    ours = randomise(build(net, seed=0)[:-2]).train(training).double()
    theirs = InvertedResidual(i, o, stride, expansion).train(training).double()
    for part, other in zip(weighted(ours), weighted(theirs), strict=True):
        other.load_state_dict(part.state_dict(), strict=False)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    images = torch.randn(4, i, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("i", "o", "stride", "expansion"), [(16, 16, 1, 4), (16, 24, 2, 6), (32, 32, 1, 1)])
def test_squeeze_and_excitation_after_the_depthwise_convolution_is_torchvisions_mobilenet_v3(
    i: int, o: int, stride: int, expansion: int, preset: Callable[[str], Block], one_slot: Callable[..., Network]
) -> None:
    """A quarter of the expanded channels, and a plain sigmoid where that has a hard one."""
    ensure()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision uses torch.jit
        from torchvision.models.mobilenetv3 import (  # type: ignore[import-untyped]
            InvertedResidual,
            InvertedResidualConfig,
            SElayer,
        )
    settings = Block(**{**vars(preset("inverted_residual")), "expansion": expansion, "se_place": "depthwise"})
    net = one_slot(Place(1, i, o, kernel=5, stride=stride, se_ratio=0.25), settings, (i, 12, 12))
    ours = randomise(build(net, seed=0)[:-2]).eval().double()
    theirs = InvertedResidual(
        InvertedResidualConfig(i, 5, i * expansion, o, True, "RE", stride, 1, 1.0), nn.BatchNorm2d, SElayer
    )
    theirs = theirs.eval().double()
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    parts, others = ([part for part in module.modules() if isinstance(part, kinds)] for module in (ours, theirs))
    for part, other in zip(parts, others, strict=True):  # their linear layers are convolutions of kernel 1
        state = {name: t[:, :, None, None] if t.ndim == 2 else t for name, t in part.state_dict().items()}
        other.load_state_dict(state)
    images = torch.randn(4, i, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-10, atol=1e-12)


def squeezed(net: Network) -> list[tuple[str, int]]:
    """Each convolution of the slot by its role, and `gate`, each with its channels, in order."""
    out = []
    for layer in inside(body(net)):
        if isinstance(layer, Conv):
            out.append((layer.role, layer.out_channels))
        elif isinstance(layer, Gate):
            first = next(part for part in layer.body if isinstance(part, Linear))
            out.append(("gate", first.in_features))
    return out


def test_a_block_has_one_gate_where_it_says(one_slot: Callable[..., Network]) -> None:
    """pointwise_first ends in its depthwise convolution, so that its output is both."""
    place = Place(1, 4, 8, se_ratio=0.25)

    def net(**switches: Any) -> Network:
        return one_slot(place, Block(**switches), (4, 6, 6))

    assert squeezed(net()) == [("depthwise", 4), ("pointwise", 8), ("gate", 8)]
    assert squeezed(net(se_place="depthwise")) == [("depthwise", 4), ("gate", 4), ("pointwise", 8)]
    deep = net(se_place="depthwise", depth_multiplier=3)
    assert squeezed(deep) == [("depthwise", 12), ("gate", 12), ("pointwise", 8)]
    first = {"order": "pointwise_first"}
    assert net(**first, se_place="depthwise") == net(**first)
    without = one_slot(replace(place, se_ratio=0.0), Block(se_place="depthwise"), (4, 6, 6))
    assert without == one_slot(replace(place, se_ratio=0.0), Block(), (4, 6, 6))


def test_grouped_convolution_of_all_channels_is_a_plain_one(one_slot: Callable[..., Network]) -> None:
    net = one_slot(Place(1, 4, 4), Block(group_size=4), (4, 8, 8))
    spatial = next(step.layer for step in net.steps)
    assert spatial == Conv(4, 4, 3, padding=1)


def test_pointwise_first_puts_the_depthwise_convolution_on_the_output_channels(
    one_slot: Callable[..., Network],
) -> None:
    """BSConv-U, Haase and Amthor 2020."""
    net = one_slot(Place(1, 4, 6), Block(order="pointwise_first"), (4, 8, 8))
    convs = [step.layer for step in net.steps if isinstance(step.layer, Conv)]
    assert convs == [Conv(4, 6, 1), Conv(6, 6, 3, padding=1, groups=6)]


def test_pointwise_first_multiplies_depth_after_the_pointwise_convolution(one_slot: Callable[..., Network]) -> None:
    net = one_slot(Place(1, 4, 6), Block(order="pointwise_first", depth_multiplier=2), (4, 8, 8))
    convs = [step.layer for step in net.steps if isinstance(step.layer, Conv)]
    assert convs == [Conv(4, 3, 1), Conv(3, 6, 3, padding=1, groups=3)]


def body(net: Network) -> tuple[Layer, ...]:
    slot = net.layers[0]
    assert isinstance(slot, Slot)
    return slot.body


@pytest.mark.parametrize("block", [None, Block()])
def test_identity_residual_adds_its_input(block: Block | None, one_slot: Callable[..., Network]) -> None:
    """With all convolutions zero nothing but the shortcut and ReLU is left."""
    net = one_slot(Place(1, 4, 4, residual="identity"), block, (4, 6, 6))
    trunk = build(net, seed=0)[:-2].eval()
    for part in trunk.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.zeros_(part.weight)
    images = torch.randn(2, 4, 6, 6)
    assert torch.equal(trunk(images), images.relu())


def test_residual_where_shapes_differ_is_projected_or_left_out(one_slot: Callable[..., Network]) -> None:
    identity = body(one_slot(Place(1, 4, 8, stride=2, residual="identity"), None, (4, 6, 6)))
    project = body(one_slot(Place(1, 4, 8, stride=2, residual="project"), None, (4, 6, 6)))
    assert not any(isinstance(layer, Residual) for layer in identity)
    (residual,) = (layer for layer in project if isinstance(layer, Residual))
    assert residual.shortcut[0] == Conv(4, 8, 1, 2)


def test_squeeze_and_excitation_scales_each_channel_by_its_gate(one_slot: Callable[..., Network]) -> None:
    """Hu et al. 2018, equations 2 to 4: x * sigmoid(W2 relu(W1 mean(x) + b1) + b2)."""
    net = one_slot(Place(1, 4, 8, norm=False, activation=False, se_ratio=0.25), None, (4, 6, 6))
    trunk = build(net, seed=0)[:-2].eval().double()
    conv, scale = trunk.children()
    squeeze, excite = (part for part in trunk.modules() if isinstance(part, nn.Linear))
    x = conv(torch.randn(2, 4, 6, 6, dtype=torch.float64))
    hidden = relu(array(x.mean((2, 3))) @ array(squeeze.weight).T + array(squeeze.bias))
    gate = 1 / (1 + np.exp(-(hidden @ array(excite.weight).T + array(excite.bias))))
    assert squeeze.out_features == 2
    np.testing.assert_allclose(array(scale(x)), array(x) * gate[:, :, None, None], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "options", ["", "slots.padding=same slots.se_ratio=0.25 slots.residual=project", "block=keras"]
)
@pytest.mark.parametrize(
    "experiment", ["mnist_7800/cnn", "cifar10_three_way/cnn", "cifar100_series/cnn", "cifar10_fc/cnn"]
)
def test_families_differ_in_the_convolutions_of_their_slots_alone(experiment: str, options: str) -> None:
    composed = compose(f"experiment={experiment} {options}".split())

    def net(family: str, pattern: str | None = None) -> Network:
        config = replace(composed.config, model=ModelConfig(family, pattern))
        return network_of(replace(composed, config=config))

    nets = [net("cnn"), net("dwsep"), net("hybrid", "every_2")]
    rests = [(net.init, net.input_shape, [_without_block(layer) for layer in net.layers]) for net in nets]
    assert rests[0] == rests[1] == rests[2]
    assert nets[0] != nets[1]


def _without_block(layer: Layer) -> object:
    if isinstance(layer, Slot):
        return ["slot", layer.index, _outside(layer.body)]
    return layer


def _outside(layers: tuple[Layer, ...]) -> list[object]:
    """The layers of a slot after its last convolution, and a residual's parts likewise."""
    out: list[object] = []
    for layer in layers:
        if isinstance(layer, Conv):
            out = [layer.out_channels]
        elif isinstance(layer, Residual):
            out.append(["residual", _outside(layer.body), layer.shortcut])
        else:
            out.append(layer)
    return out
