"""The picture of a network: well-formed, complete, and with nothing outside of its page."""

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from dsbench.network.cost import cost
from dsbench.network.description import Network
from dsbench.network.draw import draw

SVG = "{http://www.w3.org/2000/svg}"
NETWORKS = (
    "experiment=mnist_7800/cnn",
    "experiment=cifar10_fc/dwsep",
    "experiment=cifar10_three_way/hybrid",
    "experiment=cifar100_series/dwsep",
    "model=dwsep block=inverted_residual slots.se_ratio=0.25 data=cifar10",
    "model=hybrid depth=7 slots.residual=project width=512",
)


def texts(page: ET.Element) -> list[str]:
    return [element.text or "" for element in page.iter(f"{SVG}text")]


@pytest.mark.parametrize("overrides", NETWORKS)
def test_picture_names_every_slot_with_its_own_cost(overrides: str, named: Callable[[str], Network]) -> None:
    net = named(overrides)
    page = ET.fromstring(draw(net, overrides))
    layers = cost(net).layers
    for slot in {layer.slot for layer in layers} - {None}:
        (group,) = (g for g in page.iter(f"{SVG}g") if g.get("id") == f"slot-{slot}")
        params = sum(layer.params for layer in layers if layer.slot == slot)
        macs = sum(layer.macs for layer in layers if layer.slot == slot)
        assert {f"slot {slot}", f"{params:,} params", f"{macs:,} MACs"} <= set(texts(group))


@pytest.mark.parametrize("overrides", NETWORKS)
def test_picture_holds_the_totals(overrides: str, named: Callable[[str], Network]) -> None:
    net = named(overrides)
    total = cost(net)
    assert f"{total.params:,} parameters, {total.macs:,} MACs" in texts(ET.fromstring(draw(net, "")))[-1]


@pytest.mark.parametrize("overrides", NETWORKS)
def test_columns_do_not_overlap_and_stay_on_the_page(overrides: str, named: Callable[[str], Network]) -> None:
    page = ET.fromstring(draw(named(overrides), "title"))
    breadth = float(page.get("width", "0"))
    for row in page.findall(f"{SVG}g"):
        groups = [g for g in row.findall(f"{SVG}g") if g.get("transform")]
        starts = [float(g.get("transform", "")[len("translate(") :].split()[0]) for g in groups]
        assert starts == sorted(set(starts))
        assert all(start < breadth for start in starts)


def test_title_is_escaped(named: Callable[[str], Network]) -> None:
    page = ET.fromstring(draw(named("model=cnn"), "a < b & 'c'"))
    assert "a < b & 'c'" in texts(page)


def test_only_what_is_drawn_is_in_the_legend(named: Callable[[str], Network]) -> None:
    plain = texts(ET.fromstring(draw(named("model=cnn"), "")))
    gated = texts(ET.fromstring(draw(named("model=hybrid slots.se_ratio=0.25 slots.residual=identity"), "")))
    assert not {"separable", "residual", "squeeze-and-excitation"} & set(plain)
    assert {"plain", "separable", "depthwise or grouped", "residual", "squeeze-and-excitation"} <= set(gated)
