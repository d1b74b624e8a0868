"""From overrides to a configuration and its network: errors in one line, identities, and files of one's own."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.errors import InputError
from dsbench.network.cost import cost
from dsbench.network.description import Network, Slot
from dsbench.network.layers import Activation

EXAMPLES = str(Path(__file__).parents[2] / "examples")


@cache
def named(line: str) -> Network:
    return network_of(compose(line.split()))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("width=0", "width 0 is not a positive integer"),
        ("width=-3", "width -3 is not a positive integer"),
        ("width=2.5", "width: value '2.5' of type 'float' could not be converted to Integer"),
        ("width=abc", "width: value 'abc' of type 'str' could not be converted to Integer"),
        ("arch.fine_width=0", "arch.fine_width 0 is not a positive integer"),
        ("kernel=4", "slot 1: kernel 4 is not an odd positive number"),
        ("kernel=-3", "slot 1: kernel -3 is not an odd positive number"),
        ("kernel=[3,3,3,3,3,2]", "slot 6: kernel 2 is not an odd positive number"),
        ("kernel=abc", "slot 1: kernel 'abc' is not of type int"),
        ("kernel=[3,5]", "kernel lists 2 values, but the architecture has 6 slots"),
        ("kernel=29", "slot 1: kernel 29 is larger than the 28x28 image"),
        ("arch=mnist_7800_shallow kernel=9", "slot 3: kernel 9 is larger than its 1x1 input"),
        ("slots.stride=4", "arch plain, layer 6: max pool 2x2 would pool its 1x1 input away"),
        ("slots.stride=0", "slot 1: stride 0 is not a positive number"),
        ("slots.padding=full", "unknown padding 'full'; choose one of same, valid"),
        ("slots.residual=dense", "unknown residual 'dense'; choose one of none, identity, project"),
        ("slots.se_ratio=2", "se_ratio 2.0 is not between 0 (none) and 1"),
        ("model=dwsep data=cifar10 block.group_size=2", "slot 1: block.group_size 2 does not divide 3 channels"),
        ("model=dwsep block.depth_multiplier=0", "block: depth_multiplier 0 is below 1"),
        ("block.order=sideways", "block: unknown order 'sideways'; choose one of depthwise_first, pointwise_first"),
        ("model=dwsep block=inverted_residual block.order=pointwise_first", "pointwise_first is for separable blocks"),
        ("model=dwsep width=3 block.depth_multiplier=2 block.order=pointwise_first", "2 does not divide the 3 output"),
        ("depth=0", "repeat needs a positive number of times, or depth, not 0"),
        ("depth=2 arch=cifar10_vgg", "depth=2: arch cifar10_vgg has no depth to set"),
        ("arch.init=zero", "unknown init 'zero'; choose one of pytorch, glorot"),
        ("arch.activation=step", "unknown activation 'step'; choose one of relu"),
        ("model=foo", "unknown model 'foo'; choose one of cnn, dwsep, hybrid"),
        ("arch=foo", "unknown arch 'foo'; choose one of cifar100_series, "),
        ("block=foo", "unknown block 'foo'; choose one of double_relu, inverted_residual, keras, linear, mobilenet"),
        ("data=foo", "unknown data 'foo'; choose one of cifar10, "),
        ("widht=8", "unknown key 'widht'; did you mean 'width'?"),
        ("train.max_epoch=8", "unknown key 'train.max_epoch'; did you mean 'train.max_epochs'?"),
        ("block.groupsize=8", "unknown key 'block.groupsize'; did you mean 'block.group_size'?"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(overrides: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        network_of(compose(overrides.split()))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("preset", "spelt_out"),
    [
        ("experiment=mnist_7800/cnn", "arch=mnist_7800_shallow width=16"),
        ("experiment=mnist_7800/dwsep_same_budget", "arch=mnist_7800_deep model=dwsep width=32 block=keras"),
        (
            "experiment=cifar10_three_way/hybrid",
            "experiment=cifar10_three_way/cnn model=hybrid model.pattern=[0,1,0,1,0,1]",
        ),
        ("model=cnn", "model=hybrid model.pattern=[0,0,0,0,0,0] kernel=3 depth=2 slots.stride=1 slots.padding=same"),
        ("model=dwsep", "model=hybrid model.pattern=first_6 kernel=[3,3,3,3,3,3] arch.fine_width=64"),
        (
            "model=dwsep block=keras",
            "model=dwsep block.pointwise_bias=true block.norm_between=false block.activation_between=false",
        ),
        ("model=cnn block=keras", "model=cnn block=mobilenet optimizer.lr=0.3 seed=4"),
        ("model=dwsep data=mnist", "model=dwsep data=mnist5k"),
    ],
)
def test_identity_is_equal_for_a_preset_and_the_same_network_spelt_out(preset: str, spelt_out: str) -> None:
    assert named(preset).identity() == named(spelt_out).identity()


@pytest.mark.parametrize(
    "change",
    [
        "width=17",
        "kernel=5",
        "arch.init=glorot",
        "arch.activation=gelu",
        "arch.norm_eps=0.001",
        "arch.fine_width=63",
        "data=cifar10",
        "block=keras",
        "block.order=pointwise_first",
        "block.group_size=[1,2,2,2,2,2]",
        "slots.stride=[1,1,1,1,1,2]",
        "slots.residual=identity",
        "slots.se_ratio=0.5",
        "model=hybrid",
    ],
)
def test_identity_differs_where_the_network_does(change: str) -> None:
    assert named(f"model=dwsep {change}").identity() != named("model=dwsep").identity()


def test_identity_is_that_of_the_same_layers_without_slots() -> None:
    net = named("model=hybrid")
    flat = [part for layer in net.layers for part in (layer.body if isinstance(layer, Slot) else (layer,))]
    assert replace(net, layers=tuple(flat)).identity() == net.identity()


@pytest.mark.parametrize("arch", ["plain", "cifar10_fc", "cifar10_three_way", "cifar10_vgg", "cifar100_series"])
def test_channels_scale_with_width_but_for_the_dense_head(arch: str) -> None:
    def slots(width: int) -> list[int]:
        net = network_of(compose([f"arch={arch}", "data=cifar10", f"width={width}"]))
        shape, out = net.input_shape, []
        for layer in net.layers:
            shape = layer.output_shape(shape)
            if isinstance(layer, Slot):
                out.append(shape[0])
        return out

    assert slots(64) == [2 * channels for channels in slots(32)]


def test_last_convolution_of_mnist_7800_keeps_ten_channels_at_any_width() -> None:
    net = network_of(compose(["arch=mnist_7800_shallow", "width=40"]))
    assert [layer.in_features for layer in net.layers if hasattr(layer, "in_features")] == [10]


@pytest.mark.parametrize("arch", ["plain", "mnist_7800_deep", "cifar10_fc", "cifar10_three_way", "cifar10_vgg"])
def test_every_architecture_has_a_fine_knob(arch: str) -> None:
    params = [
        cost(network_of(compose([f"arch={arch}", "data=cifar10", f"arch.fine_width={width}"]))).params
        for width in (40, 41)
    ]
    assert params[0] < params[1]


def test_divisor_rounds_channels_to_its_nearest_multiple() -> None:
    net = network_of(compose(["width=13", "arch.divisor=8"]))
    widths = {step.out_shape[0] for step in net.steps[:-1] if len(step.out_shape) == 3}
    assert widths == {16, 24, 56}  # 13, 26 and 52, the last half way up


def test_lenet_of_the_examples_has_its_classic_61706_parameters() -> None:
    net = network_of(compose(["arch=lenet"], config_dir=EXAMPLES))
    assert cost(net).params == 61_706
    assert {step.layer.kind for step in net.steps if isinstance(step.layer, Activation)} == {"tanh"}


def test_an_architecture_of_ones_own_scales_and_takes_every_family() -> None:
    small, large = (
        cost(network_of(compose(["arch=lenet", "model=dwsep", f"width={width}"], config_dir=EXAMPLES))).params
        for width in (8, 32)
    )
    assert small < large


def test_a_missing_config_folder_is_an_input_error() -> None:
    with pytest.raises(InputError, match="config-dir: nowhere is not a folder"):
        compose([], config_dir="nowhere")


def test_a_preset_is_that_of_the_command_s_own_folder(
    call: Callable[..., Any], overrides: Callable[[str], list[str]], tmp_path: Path
) -> None:
    """Two commands in one process, as a test or a notebook has them, with two folders of files."""
    planned = []
    for family in ("cnn", "dwsep"):
        folder = tmp_path / family / "model"
        folder.mkdir(parents=True)
        (folder / "mine.yaml").write_text(f"family: {family}\n")
        line = "model=hybrid arch=plain depth=1 model.pattern=first_1 width=4 hydra/launcher=submitit_local"
        line += " plan=true seeds=1 budget.match=mine budget.by=params budget.tolerance=0.9"
        ended = call("sweep", "--config-dir", str(folder.parent), *overrides(line))
        assert (ended.code, ended.err) == (0, "")
        planned.append(next(row for row in ended.out.splitlines() if row.endswith("0/1")).split())
    assert planned[0][:3] != planned[1][:3]  # the widths that are solved
