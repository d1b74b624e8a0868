"""Costs of random architectures by formula against fvcore's and torch's counts of the built module."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from sketch import Sketch
from strategies import networks, sketches
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dsbench.network import build as modules
from dsbench.network.build import build
from dsbench.network.check import Counted, count
from dsbench.network.cost import FORMULAS, TOTALS, cost, replaced
from dsbench.network.description import Network
from dsbench.network.layers import Conv, Shape

HOWARD: dict[str, Any] = {
    "kind": "separable",
    "order": "depthwise_first",
    "depth_multiplier": 1,
    "group_size": 1,
    "residual": "none",
}


def leaves(network: Network) -> list[tuple[nn.Module, torch.Tensor, torch.Tensor]]:
    """The modules that compute, as a forward of one image comes to them, with their input and output."""
    seen = []

    def note(part: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        seen.append((part, inputs[0], output))

    built = build(network, seed=0).eval()
    for part in built.modules():
        if not isinstance(part, nn.Sequential) and not list(part.children()):
            part.register_forward_hook(note)
    built(torch.zeros(1, *network.input_shape))
    return seen


@given(networks())
def test_formulas_agree_with_fvcore_and_with_the_tensors_of_the_module(network: Network) -> None:
    total = cost(network)
    assert count(network) == Counted(total.macs, total.acts, total.params, total.buffers)


@given(networks())
def test_macs_are_half_of_torch_flops_forward(network: Network) -> None:
    with FlopCounterMode(display=False) as counter:
        build(network).eval()(torch.zeros(1, *network.input_shape, device="meta"))
    assert counter.get_total_flops() == cost(network).flops


@given(networks())
def test_layers_have_the_shapes_that_a_forward_gives_them(network: Network) -> None:
    """Kind by kind, in order; of ReLU only how many, since max-pooling is done first where it follows one."""
    expected: dict[type, list[Shape]] = defaultdict(list)
    seen: dict[type, list[Shape]] = defaultdict(list)
    for step, layer in zip(network.steps, cost(network).layers, strict=True):
        expected[type(modules.module(step.layer, step.in_shape))].append(layer.output_shape)
    for part, _, output in leaves(network):
        seen[type(part)].append(tuple(output.shape[1:]))
    assert len(expected.pop(nn.ReLU, ())) == len(seen.pop(nn.ReLU, ()))
    assert seen == expected


@given(networks(between=(None, "avg_pool", "norm", "activation", "dropout")))
def test_bytes_and_operations_are_those_of_the_tensors_that_a_forward_moves(network: Network) -> None:
    total, seen = cost(network), leaves(network)
    weights = sum(t.nbytes for part, *_ in seen for t in (*part.parameters(), *part.buffers()))
    assert total.bytes_read == weights + sum(image.nbytes for _, image, _ in seen)
    assert total.bytes_written == sum(output.nbytes for *_, output in seen)
    elements: dict[type, int] = defaultdict(int)
    for part, _, output in seen:
        elements[type(part)] += output.numel()
    assert total.norm_ops == 2 * (elements[nn.BatchNorm2d] + elements[nn.BatchNorm1d])
    assert total.activation_ops == sum(elements[kind] for kind in modules.ACTIVATIONS.values())


def test_a_mac_is_two_flops(named: Callable[[str], Network]) -> None:
    total = cost(named("model=dwsep"))
    assert total.flops == 2 * total.macs > 0


def test_every_cost_that_adds_up_is_a_total_in_the_order_of_the_tables() -> None:
    sums = ("params", "params_conv", "buffers", "macs", "macs_conv", "acts", "acts_conv", "norm_ops", "activation_ops")
    assert tuple(name for name in TOTALS if name in FORMULAS) == sums
    assert {*FORMULAS} - {*TOTALS} == {"bytes_read", "bytes_written"}  # bytes is both
    assert {*TOTALS} - {*sums} == {"flops", "bytes", "intensity", "training_bytes", "receptive_field"}


@given(networks())
def test_totals_are_the_sums_of_the_layers(network: Network) -> None:
    total = cost(network)
    for name in ("params", "buffers", "macs", "acts", "bytes"):
        assert getattr(total, name) == sum(getattr(layer, name) for layer in total.layers)


@given(sketches(stride=1, padding="same", between=(None, "norm", "activation", "dropout"), head="global_avg_pool"))
def test_doubling_both_sides_of_the_image_quadruples_the_convolutions_and_nothing_else(sketch: Sketch) -> None:
    channels, height, width = sketch.image
    small, large = (cost(s.network()) for s in (sketch, replace(sketch, image=(channels, 2 * height, 2 * width))))
    assert (large.macs_conv, large.acts_conv) == (4 * small.macs_conv, 4 * small.acts_conv)
    assert large.macs - large.macs_conv == small.macs - small.macs_conv
    assert (large.params, large.buffers) == (small.params, small.buffers)


@given(sketches(max_slots=1, bias=False, depthwise_bias=False, pointwise_bias=False, **HOWARD))
def test_separable_over_plain_is_one_over_o_plus_one_over_k_squared(sketch: Sketch) -> None:
    """Howard et al. 2017, equation 5."""
    plain, separable = replace(sketch, blocks=(None,)).network(), sketch.network()
    (conv,) = (step.layer for step in plain.steps if isinstance(step.layer, Conv))
    ratios = replaced(plain, cost(plain), separable, cost(separable))
    assert ratios is not None
    assert [ratios.macs, ratios.params] == pytest.approx([1 / conv.out_channels + 1 / conv.kernel**2] * 2)


@given(sketches(**HOWARD))
def test_macs_of_the_slots_that_were_replaced_are_what_the_closed_form_says(sketch: Sketch) -> None:
    """The first and third; the second stays as it is."""
    blocks = tuple(None if place % 2 else block for place, block in enumerate(sketch.blocks))
    plain, hybrid = (replace(sketch, blocks=filled).network() for filled in ((None,) * len(blocks), blocks))
    ratios = replaced(plain, cost(plain), hybrid, cost(hybrid))
    assert ratios is not None
    assert ratios.slots == (1, 3)[: (len(blocks) + 1) // 2]
    assert ratios.macs == pytest.approx(ratios.closed_form)


def test_a_network_without_a_seed_is_built_on_the_meta_device(named: Callable[[str], Network]) -> None:
    """At width 20,000 the weights would take 70 GB."""
    net = named("width=20000 data=cifar10")
    module = build(net)
    assert all(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    assert sum(p.numel() for p in module.parameters()) == cost(net).params > 10**10
