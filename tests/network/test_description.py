"""When two descriptions are one network, and that its identity, as plain data, says so."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sketch import LISTED, Sketch
from strategies import networks, sketches

from dsbench.network.cost import TOTALS, cost
from dsbench.network.description import Network
from dsbench.network.layers import Conv


@given(sketches(), st.sets(st.sampled_from(LISTED)))
def test_one_network_comes_of_every_way_to_write_it(sketch: Sketch, listed: set[str]) -> None:
    """Options in the convs or listed from outside, layers one by one or as stages of repeats."""
    plain, other = sketch.network(), sketch.network(listed, nested=True)
    assert plain == other
    assert hash(plain) == hash(other)
    assert plain.identity() == other.identity()
    assert cost(plain) == cost(other)


@given(networks())
def test_identity_is_plain_data(network: Network) -> None:
    assert json.loads(json.dumps(network.identity())) == network.identity()


def halves(conv: dict[str, Any], block: dict[str, Any], in_channels: int) -> list[Any]:
    """The two plain convs that a separable one is."""
    own = {
        "width": None,
        "channels": in_channels * block["depth_multiplier"],
        "bias": block["depthwise_bias"],
        "norm": block["norm_between"],
        "activation": block["activation_between"],
        "se_ratio": 0,
    }
    return [{"conv": conv | own}, {"conv": conv | {"kernel": 1, "stride": 1, "bias": block["pointwise_bias"]}}]


@given(sketches(kind="separable", order="depthwise_first", residual="none", se_place="output"))
def test_a_separable_slot_of_one_group_has_identity_and_cost_of_two_plain_slots(sketch: Sketch) -> None:
    spatial = [slot.body[0] for slot in sketch.network().slots]
    inputs = [conv.in_channels for conv in spatial if isinstance(conv, Conv)]
    blocks = [block | {"group_size": i} for block, i in zip(sketch.blocks, inputs, strict=True) if block]
    pairs = zip(blocks, inputs, strict=True)
    entries: list[Any] = []
    for entry in sketch.entries:
        entries += halves(entry["conv"], *next(pairs)) if "conv" in entry else [entry]
    separable = replace(sketch, blocks=tuple(blocks)).network()
    plain = replace(sketch, entries=tuple(entries), blocks=(None,) * 2 * len(blocks)).network()
    assert separable.identity() == plain.identity()
    assert [getattr(cost(separable), name) for name in TOTALS] == [getattr(cost(plain), name) for name in TOTALS]
