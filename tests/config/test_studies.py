"""The published studies' networks and recipes, against the numbers counted from the studies' own code."""

from functools import cache

import pytest

from dsbench.config.compose import Composed, compose
from dsbench.config.network import network_of
from dsbench.network.blocks import Block, Place, Style, fill
from dsbench.network.check import count
from dsbench.network.cost import cost
from dsbench.network.description import Network, walk
from dsbench.network.layers import BatchNorm, Conv

# experiment: trainable parameters, running statistics, MACs of one image
COUNTS = {
    "mnist_7800/cnn": (7_800, 0, 680_932),
    "mnist_7800/dwsep_same_width": (1_457, 0, 101_848),
    "mnist_7800/dwsep_same_budget": (7_841, 0, 2_097_704),
    "cifar10_fc/cnn": (18_435_210, 960, 490_050_560),
    "cifar10_fc/dwsep": (18_092_395, 1_414, 339_476_480),
    "cifar10_three_way/cnn": (5_154_890, 1_792, 2_911_937_152),
    "cifar10_three_way/hybrid": (2_410_442, 1_792, 627_229_312),
    "cifar10_three_way/dwsep": (1_094_373, 1_792, 330_788_480),
    "cifar10_vgg/cnn": (1_186_378, 0, 152_805_376),
    "cifar10_vgg/dwsep": (174_821, 0, 18_295_808),
    "cifar100_series/cnn": (10_293_390, 11_214, 108_404_736),
    "cifar100_series/dwsep": (8_782_049, 11_214, 15_752_192),
}
CONVOLUTIONS = {  # parameters of the convolutions alone
    "mnist_7800/cnn": 7_690,
    "mnist_7800/dwsep_same_width": 1_347,
    "mnist_7800/dwsep_same_budget": 7_731,
    "cifar10_three_way/cnn": 4_586_752,
    "cifar10_three_way/hybrid": 1_842_304,
    "cifar10_three_way/dwsep": 526_235,
    "cifar10_vgg/cnn": 1_145_408,
    "cifar10_vgg/dwsep": 133_851,
    "cifar100_series/cnn": 1_688_768,
    "cifar100_series/dwsep": 177_427,
}
# study: data, scaling, optimizer, learning rate, batch size, epochs
RECIPES = {
    "mnist_7800/cnn": ("mnist", "unit", "rmsprop", 1e-3, 64, 500),
    "cifar10_fc/cnn": ("cifar10", "symmetric", "sgd", 0.1, 128, 10),
    "cifar10_three_way/cnn": ("cifar10", "unit", "adam", 1e-4, 256, 150),
    "cifar10_vgg/cnn": ("cifar10", "raw", "adam", 1e-3, 128, 10),
    "cifar100_series/cnn": ("cifar100", "symmetric", "adam", 5e-4, 500, 100),
}


@cache
def preset(experiment: str) -> Composed:
    return compose([f"experiment={experiment}"])


def convolution_params(net: Network) -> int:
    return sum(step.layer.params for step in net.steps if isinstance(step.layer, Conv))


@pytest.mark.parametrize("experiment", COUNTS)
def test_published_counts_hold_to_the_unit(experiment: str) -> None:
    total = cost(network_of(preset(experiment)))
    assert (total.params, total.buffers, total.macs) == COUNTS[experiment]


@pytest.mark.parametrize("experiment", CONVOLUTIONS)
def test_published_counts_of_the_convolutions_hold(experiment: str) -> None:
    assert convolution_params(network_of(preset(experiment))) == CONVOLUTIONS[experiment]


@pytest.mark.parametrize(("model", "params"), [("cnn", 1_127_040), ("dwsep", 784_225)])
def test_conv_stacks_of_cifar10_fc_hold_with_norm(model: str, params: int) -> None:
    net = network_of(preset(f"cifar10_fc/{model}"))
    assert sum(step.layer.params for step in net.steps if isinstance(step.layer, (Conv, BatchNorm))) == params


@pytest.mark.parametrize("experiment", COUNTS)
def test_fvcore_and_torch_agree_on_the_studies(experiment: str) -> None:
    counted = count(network_of(preset(experiment)))
    assert (counted.params, counted.buffers, counted.macs) == COUNTS[experiment]


@pytest.mark.parametrize(
    ("block", "norm", "params"),
    [("keras", False, 283), ("mobilenet", True, 353), ("linear", False, 219), ("double_relu", False, 286)],
)
def test_one_separable_layer_of_3_to_64_channels_has_its_published_parameters(
    block: str, norm: bool, params: int
) -> None:
    settings = Block(**vars(compose([f"block={block}"]).config.block))
    slot = fill(Place(1, 3, 64, norm=norm), settings, Style(), (3, 32, 32))
    assert sum(step.layer.params for step in walk([slot], (3, 32, 32))) == params


def test_one_plain_layer_of_3_to_64_channels_has_1792_parameters() -> None:
    slot = fill(Place(1, 3, 64, bias=True, norm=False), None, Style(), (3, 32, 32))
    assert sum(step.layer.params for step in walk([slot], (3, 32, 32))) == 1_792


@pytest.mark.parametrize("experiment", RECIPES)
def test_recipe_is_the_published_one(experiment: str) -> None:
    config = preset(experiment).config
    recipe = (config.data.name, config.data.scale, config.optimizer.name, config.optimizer.lr)
    assert (*recipe, config.train.batch_size, config.train.max_epochs) == RECIPES[experiment]
    assert config.data.split == "study"
    assert config.precision == "32"
    augment = config.data.augment
    assert (augment.crop_padding, augment.flip, augment.cutout) == (0, False, 0)


@pytest.mark.parametrize("experiment", COUNTS)
def test_models_of_one_study_share_their_recipe(experiment: str) -> None:
    first = preset(f"{experiment.split('/')[0]}/cnn").config
    config = preset(experiment).config
    for part in ("data", "optimizer", "schedule", "train", "precision"):
        assert getattr(config, part) == getattr(first, part)


def test_batch_norm_has_the_constants_of_each_framework() -> None:
    def constants(experiment: str) -> set[tuple[float, float]]:
        norms = [step.layer for step in network_of(preset(experiment)).steps if isinstance(step.layer, BatchNorm)]
        return {(norm.eps, norm.momentum) for norm in norms}

    assert constants("cifar10_three_way/hybrid") == {(1e-3, 0.01)}  # Keras
    assert constants("cifar100_series/dwsep") == {(1e-5, 0.003)}  # the study's TensorFlow code
    assert constants("cifar10_fc/dwsep") == {(1e-5, 0.1)}  # PyTorch
