"""From a budget in a configuration to widths, and everything that can be wrong about it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from dsbench.budget.request import Requested, solved
from dsbench.config.compose import Composed, compose
from dsbench.config.network import network_of
from dsbench.errors import InputError
from dsbench.network.check import count
from dsbench.network.cost import cost
from dsbench.network.description import Network, Slot, shape_after

STUDIES = (
    "mnist_7800/dwsep_same_width",
    "mnist_7800/dwsep_same_budget",
    "cifar10_fc/dwsep",
    "cifar10_three_way/hybrid",
    "cifar10_three_way/dwsep",
    "cifar10_vgg/dwsep",
    "cifar100_series/dwsep",
)


CHIP = "budget.chip=litert budget.chip_cost=file_bytes"


def met(line: str) -> tuple[Composed, Requested]:
    composed, requested = solved(compose(line.split()))
    assert requested is not None
    return composed, requested


def slot_channels(network: Network) -> list[int]:
    """Of what each slot gives."""
    ends = [number for number, layer in enumerate(network.layers, 1) if isinstance(layer, Slot)]
    return [shape_after(network.layers[:end], network.input_shape)[0] for end in ends]


def widths(composed: Composed) -> tuple[int, int | None]:
    return composed.config.width, composed.config.arch.fine_width


@pytest.mark.parametrize("by", ["params", "macs", "acts"])
@pytest.mark.parametrize("study", STUDIES)
def test_a_study_s_networks_cost_what_its_conventional_one_does(study: str, by: str) -> None:
    composed, requested = met(f"experiment={study} budget.match=cnn budget.by={by}")
    reference = network_of(compose([f"experiment={study}", "model=cnn"]))
    counted = getattr(count(network_of(composed)), by)  # by fvcore and torch
    target = getattr(cost(reference), by)
    assert requested.target == target
    assert requested.actual == counted
    assert abs(counted - target) <= 0.01 * target
    assert requested.residual == (counted - target) / target


def test_the_slots_convolutions_alone_can_be_matched() -> None:
    """Under a dense head of 94 % of the parameters the whole is hardly a budget for its convolutions."""
    line = "experiment=cifar10_fc/dwsep budget.match=cnn budget.by=params"
    cnn = cost(network_of(compose(["experiment=cifar10_fc/cnn"])))
    whole, conv = (cost(network_of(met(f"{line} budget.scope={scope}")[0])) for scope in ("total", "conv"))
    assert abs(whole.params_conv / cnn.params_conv - 1) > 0.1
    assert abs(conv.params_conv / cnn.params_conv - 1) < 0.01


@pytest.mark.parametrize("width", [8, 16, 32])
def test_the_reference_cell_has_the_width_given(width: int) -> None:
    composed, requested = met(f"model=cnn width={width} budget.match=cnn budget.by=params")
    assert widths(composed) == (width, None)
    assert requested.residual == 0


def test_three_families_at_three_budgets_are_three_matched_groups() -> None:
    for width in (8, 16, 32):
        line = f"width={width} budget.match=cnn budget.by=params"
        params = [cost(network_of(met(f"model={model} {line}")[0])).params for model in ("cnn", "dwsep", "hybrid")]
        assert max(params) <= 1.01 * params[0]
        assert min(params) >= 0.99 * params[0]


def test_the_study_s_conventional_network_is_its_own_budget() -> None:
    composed, requested = met("experiment=mnist_7800/dwsep_same_width model=cnn budget.params=7800")
    assert widths(composed) == (16, None)
    assert requested == Requested("params", "total", None, 7800, 7800, 0, 0.01)


@pytest.mark.parametrize("name", ["cnn_shallow", "cnn_deep", "dwsep_shallow", "dwsep_deep"])
def test_the_factorial_is_at_7800_parameters(name: str) -> None:
    composed, _ = met(f"experiment=matched_7800/{name}")
    net = network_of(composed)
    assert abs(count(net).params - 7800) <= 78
    assert len(net.slots) == (3 if "shallow" in name else 6)
    assert {slot.kind for slot in net.slots} == {"plain" if "cnn" in name else "separable"}


def test_without_the_fine_knob_only_the_width_moves() -> None:
    with pytest.raises(InputError, match=r"within 0\.01; the nearest have"):
        met("experiment=matched_7800/cnn_deep budget.fine=false")
    composed, requested = met("experiment=matched_7800/cnn_deep budget.fine=false budget.tolerance=0.2")
    assert composed.config.arch.fine_width is None
    assert 0.01 < abs(requested.residual) < 0.2


def test_a_matched_family_keeps_its_default_pattern() -> None:
    _, requested = met("model=dwsep width=16 budget.match=hybrid budget.by=macs")
    assert requested.target == cost(network_of(compose(["model=hybrid", "width=16"]))).macs


def test_the_reference_may_have_a_fine_width_of_its_own() -> None:
    _, requested = met("model=dwsep width=16 arch.fine_width=70 budget.match=cnn budget.by=params")
    assert requested.target == cost(network_of(compose(["model=cnn", "width=16", "arch.fine_width=70"]))).params


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("model=hybrid model.pattern=last_1 block.group_size=20 budget.params=100000", 100_164),
        ("model=dwsep block.group_size=[1,1,1,1,1,32] budget.params=46641", 46_641),
        ("model=dwsep block.group_size=[1,1,1,1,1,50] budget.params=115137", 115_137),
        ("model=hybrid model.pattern=every_2 block.group_size=32 budget.params=181000", 181_098),
    ],
)
def test_large_groups_that_few_widths_allow_are_met_all_the_same(line: str, expected: int) -> None:
    composed, _ = met(line)
    assert count(network_of(composed)).params == expected


def test_a_solved_configuration_asked_for_again_is_the_same_network() -> None:
    composed, _ = met("model=dwsep width=16 budget.match=cnn budget.by=params")
    assert solved(composed) == (composed, None)


def test_a_family_is_matched_by_what_it_is_not_by_what_it_is_called() -> None:
    composed, requested = met("model=cnn model.family=dwsep width=16 budget.match=cnn budget.by=params")
    assert requested.target == cost(network_of(compose(["model=cnn", "width=16"]))).params
    assert composed.config.width > 16


@pytest.mark.parametrize(("kind", "target"), [("params", 7800), ("macs", 10), ("acts", 10)])
def test_a_network_that_no_width_changes_is_said_to_be_the_only_one(
    kind: str, target: int, fixed: Callable[..., Composed]
) -> None:
    cost_of_it = getattr(count(network_of(fixed("channels: 8"))), kind)
    has = re.escape(f"it has {cost_of_it:,} (width=1, ") + ".*: none of its convolutions scales with width"
    with pytest.raises(InputError, match=has):
        solved(fixed("channels: 8", f"budget.{kind}={target}"))


def test_a_fine_width_meets_a_budget_where_no_width_is_to_be_solved(fixed: Callable[..., Composed]) -> None:
    conv = "channels: 20, fine: true"
    params = count(network_of(fixed(conv, "arch.fine_width=23"))).params
    composed, _ = solved(fixed(conv, f"budget.params={params}"))
    assert composed.config.arch.fine_width == 23


@pytest.mark.parametrize("multiple", [4, 8, 16])
def test_the_channels_of_every_slot_are_multiples(multiple: int) -> None:
    line = f"width=16 budget.match=cnn budget.by=params budget.multiple={multiple} budget.tolerance=0.3"
    for model in ("dwsep", "hybrid"):
        composed, requested = met(f"model={model} {line}")
        assert not any(channels % multiple for channels in slot_channels(network_of(composed)))
        assert requested.multiple == multiple


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("model=dwsep width=16 budget.match=cnn budget.by=params", (45, 184)),
        ("model=hybrid width=9 budget.match=cnn budget.by=macs arch.divisor=4", (15, 48)),
        ("experiment=mnist_7800/dwsep_same_budget budget.params=20000", (55, 114)),
        ("experiment=cifar10_vgg/dwsep budget.match=cnn budget.by=acts", (39, 165)),
        ("model=dwsep arch.divisor=8 budget.params=30000 budget.fine=false budget.tolerance=0.3", (28, None)),
    ],
)
def test_without_a_multiple_widths_are_what_they_were_before_there_was_one(line: str, expected: object) -> None:
    assert widths(met(line)[0]) == expected


def test_a_budget_without_a_multiple_is_recorded_as_ever() -> None:
    _, requested = met("model=dwsep width=16 budget.match=cnn budget.by=params budget.multiple=1")
    facts = {"kind": "params", "scope": "total", "match": "cnn", "target": 72666, "actual": 72767}
    assert requested.facts() == {**facts, "residual": 101 / 72666, "tolerance": 0.01}


def test_channels_that_the_architecture_fixes_need_be_no_multiples() -> None:
    composed, _ = met("experiment=mnist_7800/dwsep_same_budget budget.params=7800 budget.multiple=8")
    assert slot_channels(network_of(composed)) == [32, 32, 32, 32, 64, 10]


def test_the_network_to_match_need_not_be_in_multiples() -> None:
    _, requested = met("model=dwsep width=45 budget.match=cnn budget.by=params budget.multiple=8")
    assert requested.target == cost(network_of(compose(["model=cnn", "width=45"]))).params


def test_a_nominal_fine_width_that_is_no_multiple_gives_way_to_one(fixed: Callable[..., Composed]) -> None:
    params = count(network_of(fixed("channels: 20, fine: true", "arch.fine_width=24"))).params
    composed, _ = solved(fixed("channels: 20, fine: true", f"budget.params={params} budget.multiple=8"))
    assert composed.config.arch.fine_width == 24


def test_no_budget_leaves_the_width_alone() -> None:
    composed = compose(["width=24"])
    assert solved(composed) == (composed, None)


def test_by_width_every_family_has_the_width_that_is_given_and_is_the_run_without_a_budget() -> None:
    composed, requested = solved(compose(["model=dwsep", "width=24", "budget.match=cnn", "budget.by=width"]))
    assert requested is None
    assert composed.config == compose(["model=dwsep", "width=24"]).config


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("budget.params=10", "no cnn network of arch plain has 10; the smallest has 271 (width=1 arch.fine_width=3, +"),
        ("budget.params=5 budget.macs=9", "budget.params and budget.macs are two budgets; give one"),
        ("budget.params=5 budget.match=cnn budget.by=acts", "budget.params and budget.match are two budgets"),
        ("budget.macs=-5", "budget.macs -5 is not a positive number"),
        ("budget.acts=0", "budget.acts 0 is not a positive number"),
        ("budget.params=nan", "budget.params nan is not a positive number"),
        ("budget.match=cnn", "budget.match=cnn needs budget.by, one of params, macs, acts"),
        ("budget.match=cnn budget.by=flops", "needs budget.by, one of params, macs, acts, latency_ms, "),
        ("budget.by=params", "budget.by=params needs budget.match"),
        ("budget.match=resnet budget.by=width", "budget.match=resnet: unknown model 'resnet'; choose one of cnn,"),
        ("budget.match=resnet budget.by=params", "budget.match=resnet: unknown model 'resnet'; choose one of cnn,"),
        ("width=8 budget.params=7800", "width=8 and budget.params: the budget solves the width; leave one of them out"),
        ("arch.fine_width=8 budget.macs=7800", "arch.fine_width=8 and budget.macs: the budget solves the width"),
        ("budget.params=7800 budget.scope=head", "unknown budget.scope 'head'; choose one of total, conv"),
        ("budget.latency_ms=1 budget.scope=conv", "budget.scope=conv: latency_ms is measured of the whole network"),
        ("budget.params=7800 budget.tolerance=2", "budget.tolerance 2.0 is not a share from 0"),
        (
            "arch=mnist_7800_deep model=cnn block=keras budget.params=7800 budget.fine=false",
            "the nearest have 7,710 (width=11, -1.15 %) and 8,940 (width=12, +14.62 %); take one of these or another "
            "tolerance",
        ),
        ("model=dwsep block.group_size=8 budget.params=7800", "slot 1: block.group_size 8 does not divide 1 channels"),
        (
            "model=dwsep width=8 budget.match=cnn budget.by=params budget.multiple=16",
            "no dwsep network of arch plain in multiples of 16 has 18,482 within 0.01; the nearest have 14,037 "
            "(width=16 arch.fine_width=80, -24.05 %) and 27,477 (width=32 arch.fine_width=96, +48.67 %); take one of "
            "these or another tolerance or multiple",
        ),
        ("budget.params=7800 budget.multiple=0", "budget.multiple 0 is not a positive integer"),
        ("budget.params=7800 budget.multiple=65", "budget.multiple"),
        ("budget.params=7800 budget.multiple=1.5", "budget.multiple"),
        ("budget.at_most=9", "budget.at_most needs budget.chip and budget.chip_cost, such as budget.chip=tflm"),
        ("budget.match=cnn budget.by=chip budget.chip=tflm", "budget.by=chip needs budget.chip_cost, such as"),
        ("budget.chip=tflm budget.params=9", "budget.chip=tflm needs budget.at_most, or budget.match and budget.by="),
        ("budget.at_most=9 budget.match=cnn budget.by=chip", "budget.at_most and budget.match are two budgets"),
        (f"{CHIP} budget.at_most=-9", "budget.at_most -9 is not a positive number"),
        (f"{CHIP} budget.at_most=9 width=8", "width=8 and budget.at_most: the budget solves the width"),
        (f"{CHIP} budget.at_most=9 budget.scope=conv", "budget.scope=conv: litert counts of the whole network"),
        (f"{CHIP} budget.at_most=9 budget.chip=litter", "unknown chip 'litter'; choose one of ethos_u55_128, "),
        (
            f"{CHIP} budget.at_most=9 budget.chip_cost=latency_ms",
            "unknown budget.chip_cost of litert 'latency_ms'; choo",
        ),
        ("model=dwsep width=0 budget.match=cnn budget.by=params", "width 0 is not a positive integer"),
    ],
)
def test_a_budget_that_cannot_be_met_says_why(line: str, says: str) -> None:
    with pytest.raises(InputError) as error:
        solved(compose(line.split()))
    assert says in str(error.value)
