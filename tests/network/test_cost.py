"""Costs by formula against fvcore's and torch's counts of the built module, over many kinds of block."""

import random
from collections.abc import Callable, Iterator

import pytest

from dsbench.errors import InputError
from dsbench.network.blocks import ORDERS, PADDINGS, RESIDUALS, Block, Place
from dsbench.network.build import build
from dsbench.network.check import count
from dsbench.network.cost import cost
from dsbench.network.description import Network


def sampled(seed: int) -> Iterator[tuple[Place, Block | None, tuple[int, int, int]]]:
    """Endless random slots, some of which do not fit together."""
    draw = random.Random(seed)
    index = 0
    while True:
        index += 1
        channels = draw.choice((1, 3, 4, 6, 8, 12))
        place = Place(
            index=1,
            in_channels=channels,
            out_channels=draw.choice((channels, 4, 7, 12, 16)),
            kernel=draw.choice((1, 3, 5, 7)),
            stride=draw.choice((1, 1, 2, 3)),
            padding=draw.choice(PADDINGS),
            bias=draw.random() < 0.5,
            norm=draw.random() < 0.5,
            activation=draw.random() < 0.5,
            residual=draw.choice(RESIDUALS),
            se_ratio=draw.choice((0.0, 0.25, 1.0)),
        )
        kind = ("plain", "separable", "separable", "inverted_residual")[index % 4]
        block = Block(
            kind="separable" if kind == "plain" else kind,
            order="depthwise_first" if kind == "inverted_residual" else draw.choice(ORDERS),
            depth_multiplier=draw.choice((1, 1, 2, 3)),
            group_size=draw.choice((1, 1, 2, 4)),
            depthwise_bias=draw.random() < 0.5,
            pointwise_bias=draw.random() < 0.5,
            norm_between=draw.random() < 0.5,
            activation_between=draw.random() < 0.5,
            expansion=draw.choice((1.0, 1.5, 6.0)),
        )
        yield place, None if kind == "plain" else block, (channels, draw.choice((9, 12)), draw.choice((9, 11)))


@pytest.mark.parametrize("seed", range(8))
def test_formulas_agree_with_fvcore_and_torch_on_random_slots(seed: int, one_slot: Callable[..., Network]) -> None:
    compared = 0
    for place, block, image in sampled(seed):
        try:
            net = one_slot(place, block, image)
        except InputError:  # the channels do not divide into such groups
            continue
        counted, formula = count(net), cost(net)
        found = (counted.macs, counted.acts, counted.params, counted.buffers)
        assert found == (formula.macs, formula.acts, formula.params, formula.buffers), (place, block, image)
        compared += 1
        if compared == 12:
            break


def test_a_mac_is_two_flops(named: Callable[[str], Network]) -> None:
    total = cost(named("model=dwsep"))
    assert total.flops == 2 * total.macs > 0


def test_totals_are_the_sums_of_the_layers(named: Callable[[str], Network]) -> None:
    total = cost(named("model=dwsep data=cifar10"))
    for name in ("params", "buffers", "macs"):
        assert getattr(total, name) == sum(getattr(layer, name) for layer in total.layers)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("channels", [32, 256])
def test_separable_over_plain_macs_is_one_over_o_plus_one_over_k_squared(
    kernel: int, channels: int, one_slot: Callable[..., Network]
) -> None:
    """Howard et al. 2017, equation 5."""
    place = Place(1, 16, channels, kernel=kernel)
    head = channels * 3
    plain, separable = (cost(one_slot(place, block, (16, 8, 8))).macs - head for block in (None, Block()))
    assert separable / plain == pytest.approx(1 / channels + 1 / kernel**2)


def test_a_network_without_a_seed_is_built_on_the_meta_device(named: Callable[[str], Network]) -> None:
    """At width 20,000 the weights would take 70 GB."""
    net = named("width=20000 data=cifar10")
    module = build(net)
    assert all(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    assert sum(p.numel() for p in module.parameters()) == cost(net).params > 10**10
