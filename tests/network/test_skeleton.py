"""Architectures as their YAML files list them."""

import pytest
import yaml  # type: ignore[import-untyped]

from dsbench.errors import InputError
from dsbench.network.architecture import Architecture, parse
from dsbench.network.assemble import Frame, Options
from dsbench.network.description import Network
from dsbench.network.layers import Conv, Linear, Pool


def mine(layers: str, depth: int | None = None, conv: str = "{}") -> Network:
    """The network of an architecture `mine` at width 16 on MNIST, all slots plain."""
    skeleton = Architecture("mine", parse("mine", yaml.safe_load(layers), yaml.safe_load(conv), depth))
    return Frame(skeleton, Options((False,) * len(skeleton.slots)), (1, 28, 28), 10).network(16)


def test_repeat_and_depth_unroll_into_that_many_convolutions() -> None:
    layers = "[{repeat: {times: depth, layers: [{conv: {width: 1}}, max_pool]}}, flatten, {linear: classes}]"
    kinds = [type(step.layer) for step in mine(layers, depth=3).steps]
    assert (kinds.count(Conv), kinds.count(Pool), kinds.count(Linear)) == (3, 3, 1)


def test_what_a_conv_says_wins_over_what_all_convs_share() -> None:
    layers = "[{conv: {width: 1}}, {conv: {width: 1, kernel: 3}}, global_avg_pool, {linear: classes}]"
    convs = [step.layer for step in mine(layers, conv="{kernel: 5, bias: true}").steps if isinstance(step.layer, Conv)]
    assert [(conv.kernel, conv.bias) for conv in convs] == [(5, True), (3, True)]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("[conv]", "layers[1].conv: a conv needs either width"),
        ("[{conv: {width: 1, channels: 3}}]", "a conv needs either width"),
        ("[{conv: {width: 0}}]", "width and channels of a conv are positive numbers"),
        ("[{conv: {width: 1, kernal: 3}}]", "layers[1].conv: unknown option 'kernal'; choose from width, "),
        ("[{conv: {width: wide}}]", "layers[1].conv: width 'wide' is not of type float"),
        ("[{conv: {width: 1, family: separable}}]", "family 'separable' cannot be pinned; plain can"),
        ("[{convolution: 3}]", "is not a layer; write one of conv, max_pool"),
        ("[{stage: [{conv: {width: 1}}, pool]}]", "layers[1].stage[2]: 'pool' is not a layer"),
        ("[]", "layers is empty"),
        ("conv", "expected a list of layers"),
        ("[{conv: {width: 1}}, {linear: classes}]", "layer 2: linear needs flatten or global_avg_pool before it"),
        (
            "[{conv: {width: 1}}, flatten, {linear: 3}]",
            "the network ends in shape (3,), not in (10,), one logit a class",
        ),
        ("[{conv: {width: 1}}, {dropout: 1.5}, flatten]", "dropout 1.5 is not a probability"),
        ("[{max_pool: 4}, {max_pool: 8}]", "layer 2: max pool 8x8 would pool its 7x7 input away"),
        ("[{max_pool: {size: 2, stride: 0}}]", "layer 1: pooling size 2 and stride 0 must be positive numbers"),
        ("[flatten, {conv: {width: 1}}]", "slot 1: a convolution cannot follow an output of shape (784,)"),
        ("[flatten, global_avg_pool, {linear: classes}]", "layer 2: pooling cannot follow an output of shape (784,)"),
        ("[flatten, {dropout: {p: 0.1, channelwise: true}}]", "layer 2: dropout of channels cannot follow an output"),
        ("[{repeat: {times: 2, layers: [{linear: 3}]}}]", "linear needs flatten"),
        ("[{stage: 3}]", "expected a list of layers, got 3"),
        ("[{flatten: 3}]", "unknown option"),
        ("[flatten, {linear: -1}]", "features -1 is not a positive integer or the word classes"),
    ],
)
def test_a_mistake_in_ones_own_architecture_names_its_place(layers: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        mine(layers)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
