"""The built module: its output shape, its initial weights, and the pooling that comes before ReLU."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import networks
from torch import Tensor, nn

from dsbench.network.build import build
from dsbench.network.description import Network
from dsbench.network.fused import Fused, FusedBatchNorm, FusedConv
from dsbench.network.layers import Activation, BatchNorm, Conv, Flatten, GlobalAvgPool, Linear, Pool
from dsbench.seeds import derived

ARCHS = (
    "plain",
    "mnist_7800_shallow",
    "mnist_7800_deep",
    "cifar10_fc",
    "cifar10_three_way",
    "cifar10_vgg",
    "cifar100_series",
)


CHOOSE_FORMAT = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, FusedConv, FusedBatchNorm)


def equal(first: nn.Module, other: nn.Module) -> bool:
    pairs = zip(first.state_dict().items(), other.state_dict().items(), strict=True)
    return all(name == name_2 and torch.equal(a, b) for (name, a), (name_2, b) in pairs)


@pytest.mark.parametrize("width", [1, 13])
@pytest.mark.parametrize("data", ["mnist", "cifar100"])
@pytest.mark.parametrize("arch", ARCHS)
def test_every_architecture_runs_at_any_width_on_any_set(
    arch: str, data: str, width: int, named: Callable[[str], Network]
) -> None:
    net = named(f"model=hybrid model.pattern=every_2 arch={arch} data={data} width={width}")
    logits = build(net, seed=0)(torch.rand(2, *net.input_shape))
    assert logits.shape == (2, net.classes)
    assert logits.isfinite().all()


@pytest.mark.parametrize("init", ["pytorch", "glorot"])
def test_initial_weights_depend_on_the_seed_alone(init: str, named: Callable[[str], Network]) -> None:
    net = named(f"model=dwsep width=4 arch.init={init}")
    first = build(net, seed=7)
    torch.rand(5)
    build(named("model=cnn width=4"), seed=3)
    assert equal(build(net, seed=7), first)
    assert not equal(build(net, seed=8), first)


def test_seed_zero_is_seeded(named: Callable[[str], Network]) -> None:
    net = named("model=dwsep width=4")
    torch.manual_seed(1)
    first = build(net, seed=0)
    torch.manual_seed(2)
    assert equal(build(net, seed=0), first)


@pytest.mark.parametrize("seed", [None, 0])
def test_building_leaves_the_global_random_state_alone(seed: int | None, named: Callable[[str], Network]) -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    build(named("model=dwsep width=4"), seed)
    assert torch.equal(torch.get_rng_state(), before)


def test_pytorch_init_is_that_of_the_same_modules_made_by_hand(named: Callable[[str], Network]) -> None:
    net = named("model=cnn width=4")
    torch.manual_seed(derived(5, "weights", 1, 0))
    second = nn.Conv2d(4, 4, 3, padding=1, bias=False)
    built = [part for part in build(net, seed=5).modules() if isinstance(part, nn.Conv2d)]
    assert torch.equal(built[1].weight, second.weight)


def test_families_start_from_the_same_head_at_one_seed(named: Callable[[str], Network]) -> None:
    heads = [build(named(f"model={family} width=4"), seed=5)[-1].weight for family in ("cnn", "dwsep", "hybrid")]
    assert torch.equal(heads[0], heads[1])
    assert torch.equal(heads[0], heads[2])


def test_glorot_weights_are_uniform_within_the_bound_and_biases_are_zero(named: Callable[[str], Network]) -> None:
    """Glorot and Bengio 2010, equation 16: +- sqrt(6 / (fan_in + fan_out)), a depthwise kernel as in Keras."""
    module = build(named("experiment=cifar10_vgg/dwsep"), seed=0)
    parts = [part for part in module.modules() if isinstance(part, (nn.Conv2d, nn.Linear))]
    assert len(parts) == 13
    for part in parts:
        if isinstance(part, nn.Linear):
            fans = part.in_features + part.out_features
        elif part.groups > 1:
            fans = (part.in_channels + 1) * 9  # Keras's depthwise kernel has shape (3, 3, channels, 1)
        else:
            fans = (part.in_channels + part.out_channels) * part.kernel_size[0] ** 2
        bound = (6 / fans) ** 0.5
        assert part.weight.abs().max() <= bound
        assert part.weight.detach().std() == pytest.approx(bound / 3**0.5, rel=0.2)
        assert part.bias is None or not part.bias.any()


def test_batch_norm_has_the_constants_of_its_description(named: Callable[[str], Network]) -> None:
    parts = build(named("experiment=cifar10_three_way/cnn")).modules()
    assert {(p.eps, p.momentum) for p in parts if isinstance(p, nn.BatchNorm2d)} == {(1e-3, 0.01)}


def test_weights_are_in_channels_last_format(named: Callable[[str], Network]) -> None:
    for weight in build(named("model=cnn"), seed=0).parameters():
        assert weight.ndim != 4 or weight.is_contiguous(memory_format=torch.channels_last)


def in_channels_last(images: Tensor) -> bool:
    """Whether images (B, C, H, W) lie in channels_last format; those of one channel or pixel do in every format."""
    return 1 in (images.shape[1], images.shape[2:].numel()) or images.is_contiguous(memory_format=torch.channels_last)


POINTWISE = (Conv(1, 4, 1, bias=False), BatchNorm(4), Activation("relu"), Conv(4, 4, 3, groups=4), Pool("max"))


ONE_CHANNEL = (
    Network((1, 9, 9), 3, (*POINTWISE, GlobalAvgPool(), Linear(4, 3))),
    Network((1, 9, 9), 3, (Conv(1, 1, 3), *POINTWISE, GlobalAvgPool(), Linear(4, 3))),
    Network((2, 9, 9), 3, (Conv(2, 1, 3), Activation("relu"), *POINTWISE, Flatten(), Linear(16, 3))),
)


# oneDNN computes the larger batch alone.
@given(networks(), st.sampled_from([2, 16]), st.sampled_from([None, 1, 3]))
@example(ONE_CHANNEL[0], 2, None).via("the image has one channel")
@example(ONE_CHANNEL[1], 16, None).via("depthwise, then")
@example(ONE_CHANNEL[2], 16, None)
@example(ONE_CHANNEL[0], 2, 1).via("a group of one member")
@example(ONE_CHANNEL[1], 16, 1)
@example(ONE_CHANNEL[2], 16, 3)
def test_every_layer_computes_in_channels_last(network: Network, batch: int, members: int | None) -> None:
    """Outputs of all layers, and gradients behind the layers that choose a format: others pass on the one they get."""
    channels, height, width = network.input_shape
    lost: list[str] = []

    def see_output(part: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        if output.ndim == 4 and not in_channels_last(output):
            lost.append(f"the output of {part}")

    def see_gradient(part: nn.Module, gradients: tuple[Tensor | None, ...], _: object) -> None:
        if gradients[0] is not None and gradients[0].ndim == 4 and not in_channels_last(gradients[0]):
            lost.append(f"the gradient that {part} passes back")

    module = Fused([build(network, seed) for seed in range(members)]) if members else build(network, seed=0)
    for part in module.modules():
        part.register_forward_hook(see_output)
        if isinstance(part, CHOOSE_FORMAT):
            part.register_full_backward_hook(see_gradient)
    images = torch.randn(batch, height, width, (members or 1) * channels, requires_grad=True).permute(0, 3, 1, 2)
    module(images).sum().backward()
    assert not lost


def test_a_convolution_of_one_channel_is_torchs_own() -> None:
    network = Network((1, 5, 4), 3, (Conv(1, 3, 1, stride=2, padding=1), GlobalAvgPool()))
    conv = build(network, seed=0)[0].double()
    images = torch.randn(2, 1, 5, 4, dtype=torch.float64, requires_grad=True)
    by_torch = nn.functional.conv2d(images, conv.weight, conv.bias, 2, 1)
    ours = conv(images)
    assert torch.allclose(ours, by_torch)
    weights = torch.randn_like(by_torch)
    gradients = [torch.autograd.grad((out * weights).sum(), (images, *conv.parameters())) for out in (ours, by_torch)]
    assert all(torch.allclose(a, b) for a, b in zip(*gradients, strict=True))


def pooled(classes: int = 3) -> Network:
    layers = (Conv(2, 8, 3, padding=1), BatchNorm(8), Activation("relu"), Pool("max"), GlobalAvgPool())
    return Network((2, 9, 9), classes, (*layers, Linear(8, classes)))


def test_relu_after_max_pool_equals_relu_before_it_bitwise_forward_and_backward() -> None:
    built = build(pooled(), seed=0)
    conv, norm, pool, relu, *rest = build(pooled(), seed=0)
    unswapped = nn.Sequential(conv, norm, nn.ReLU(), pool, *rest)
    images = torch.randn(16, 2, 9, 9, generator=torch.Generator().manual_seed(0))
    results = []
    for module in (built, unswapped):
        x = images.clone().requires_grad_()
        loss = module(x).square().sum()
        grads = torch.autograd.grad(loss, (x, *module.parameters()))
        results.append((loss.detach(), *grads))
    assert isinstance(built[2], nn.MaxPool2d)
    assert isinstance(relu, nn.ReLU)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(("activation", "pool"), [("gelu", "max"), ("tanh", "max"), ("relu", "avg")])
def test_only_relu_and_max_pool_are_swapped(activation: str, pool: str) -> None:
    layers = (Conv(2, 8, 3), Activation(activation), Pool(pool), GlobalAvgPool(), Linear(8, 3))
    kinds = [type(part).__name__ for part in build(Network((2, 9, 9), 3, layers), seed=0)]
    assert "Pool" not in kinds[1]
    assert "Pool" in kinds[2]


def test_no_max_pool_of_the_studies_follows_a_relu(named: Callable[[str], Network]) -> None:
    for arch in ARCHS:
        parts = list(build(named(f"arch={arch} data=cifar10")))
        assert not any(isinstance(a, nn.ReLU) and isinstance(b, nn.MaxPool2d) for a, b in pairwise(parts))
