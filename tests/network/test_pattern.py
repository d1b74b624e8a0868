"""Which slots are separable, family by family."""

from collections.abc import Callable

import pytest

from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.errors import InputError
from dsbench.network.description import Network, Slot
from dsbench.network.layers import Conv


def separable(net: Network) -> str:
    """One letter a slot: s for separable, p for plain."""
    return "".join(layer.kind[0] for layer in net.layers if isinstance(layer, Slot))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ("model=cnn", "pppppp"),
        ("model=dwsep", "ssssss"),
        ("model=hybrid", "pspsps"),  # as BothConv: the second of each stage
        ("model=hybrid model.pattern=stage_1", "spspsp"),
        ("model=hybrid depth=3", "psppsppsp"),
        ("model=hybrid model.pattern=every_2", "pspsps"),
        ("model=hybrid model.pattern=every_3", "ppspps"),
        ("model=hybrid model.pattern=first_2", "sspppp"),
        ("model=hybrid model.pattern=last_2", "ppppss"),
        ("model=hybrid model.pattern=[plain,plain,separable,plain,separable,plain]", "ppspsp"),
        ("model=hybrid model.pattern=[0,1,1,0,0,1]", "psspps"),
        ("experiment=mnist_7800/dwsep_same_budget model=hybrid", "psp" + "ppp"),
        ("experiment=cifar10_fc/dwsep", "ssspsp"),  # the 4th and 6th are pinned
        ("experiment=cifar10_fc/cnn model=hybrid model.pattern=last_3", "ppppsp"),
        ("experiment=cifar10_fc/cnn model=hybrid model.pattern=[1,0,0,0,1,0]", "spppsp"),
    ],
)
def test_slots_are_separable_where_the_family_says(
    overrides: str, expected: str, named: Callable[[str], Network]
) -> None:
    assert separable(named(overrides)) == expected


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("model=hybrid model.pattern=[1,0]", "model.pattern has 2 entries, but arch plain has 6 slots"),
        ("model=hybrid model.pattern=[]", "model.pattern has 0 entries"),
        ("model=hybrid model.pattern=[1,0,2,0,1,0]", "not a list of plain|separable"),
        ("model=hybrid model.pattern=[[1],0]", "not a list of plain|separable"),
        ("model=hybrid model.pattern=null", "not a list of plain|separable"),
        ("model=hybrid model.pattern=4", "not a list of plain|separable"),
        ("model=hybrid model.pattern=second", "unknown model.pattern 'second'; write stage_2"),
        ("model=hybrid model.pattern=every_0", "unknown model.pattern 'every_0'"),
        ("model=hybrid model.pattern=last_7", "the architecture has 6 slots"),
        ("model=dwsep model.pattern=first_2", "model.pattern is for model=hybrid"),
        (
            "experiment=cifar10_fc/cnn model=hybrid model.pattern=[1,1,1,1,1,1]",
            "slot 4 separable, but arch cifar10_fc pins",
        ),
    ],
)
def test_a_pattern_that_does_not_fit_is_one_line_that_says_why(overrides: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        network_of(compose(overrides.split()))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def convs(net: Network, name: str) -> list[object]:
    return [
        getattr(step.layer, name)
        for step in net.steps
        if isinstance(step.layer, Conv) and step.layer.role != "pointwise"
    ]


def test_kernel_is_one_for_all_slots_or_a_list_of_one_a_slot(named: Callable[[str], Network]) -> None:
    assert convs(named("kernel=5"), "kernel") == [5] * 6
    assert convs(named("model=dwsep kernel=[3,5,7,3,5,7]"), "kernel") == [3, 5, 7, 3, 5, 7]
    assert convs(named("arch=cifar100_series kernel=[null,3,null,1]"), "kernel") == [7, 3, 3, 1]


def test_slot_and_block_options_take_a_list_of_one_a_slot(named: Callable[[str], Network]) -> None:
    net = named("model=dwsep slots.stride=[1,2,1,1,1,1] block.depth_multiplier=[1,1,1,2,1,3] data=cifar10")
    assert convs(net, "stride") == [1, 2, 1, 1, 1, 1]
    assert convs(net, "out_channels") == [3, 16, 16, 64, 32, 192]


def test_blocks_of_two_kinds_mix_in_one_network(named: Callable[[str], Network]) -> None:
    kinds = "[separable,separable,inverted_residual,inverted_residual,separable,separable]"
    assert separable(named(f"model=dwsep block.kind={kinds}")) == "ssiiss"
