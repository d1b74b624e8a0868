"""Architectures for larger images: what the documentation says they cost, and how they stand to the default one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.config.schema import OwnSetConfig
from dsbench.network.cost import Cost, cost

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "your-own.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| (\d+) \|$", PAGE, re.MULTILINE)


def costs(size: int, arch: str, model: str) -> Cost:
    """Of a network at width 16 for images of `size` pixels in colour and ten classes."""
    composed = compose([f"arch={arch}", f"model={model}", "width=16", "data=cifar10"])
    own = OwnSetConfig([3, size, size], [10] * 10, [1] * 10, "0" * 64)
    data = replace(composed.config.data, name="own", own=own)
    return cost(network_of(replace(composed, config=replace(composed.config, data=data))))


@pytest.mark.parametrize(("size", "arch", "params", "macs", "acts", "sees"), ROWS)
def test_the_documented_costs_are_those_of_the_networks(
    size: str, arch: str, params: str, macs: str, acts: str, sees: str
) -> None:
    cnn, dwsep = (costs(int(size), arch, model) for model in ("cnn", "dwsep"))
    assert params == f"{cnn.params:,} / {dwsep.params:,}"
    assert macs == f"{cnn.macs / 1e6:.1f} / {dwsep.macs / 1e6:.1f}"
    assert acts == f"{cnn.acts / 1e3:,.0f} / {dwsep.acts / 1e3:,.0f}"
    assert int(sees) == cnn.receptive_field == dwsep.receptive_field


def test_every_size_has_its_architecture_in_the_table() -> None:
    assert {(int(size), arch) for size, arch, *_ in ROWS} >= {(32, "plain"), (64, "plain_64"), (128, "plain_128")}
    assert len(ROWS) == 7


@pytest.mark.parametrize("arch", ["plain_64", "plain_128"])
def test_the_slots_are_those_of_the_default_architecture(arch: str) -> None:
    default, larger = (network_of(compose([f"arch={name}", "model=dwsep", "data=cifar10"])) for name in ("plain", arch))
    separable = [[(s.kind, s.index) for s in net.slots if s.kind == "separable"] for net in (default, larger)]
    assert len(separable[0]) == len(separable[1]) == 6
