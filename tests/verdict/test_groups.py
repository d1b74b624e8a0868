"""Which cells are compared with which, and what they and their groups are called."""

from __future__ import annotations

from typing import Any

import pytest
from made import budget, cell, labels, verdict

from dsbench.errors import InputError

ONE = [0.9]


def test_the_three_networks_of_mnist_7800_make_a_budget_and_an_equal_width() -> None:
    found = verdict(
        cell(ONE, study="mnist_7800/cnn", arch="shallow", width=16, params=7800, macs=680_932),
        cell(ONE, "dwsep", study="mnist_7800/dwsep_same_width", arch="shallow", width=16, params=1457, macs=101_848),
        cell(ONE, "dwsep", study="mnist_7800/dwsep_same_budget", arch="deep", width=32, params=7841, macs=2_097_704),
    )
    assert labels(found) == [
        ("7,800 parameters", ["cnn", "dwsep_same_budget"]),
        ("equal width 16", ["cnn", "dwsep_same_width"]),
    ]
    assert not found.groups[0].group.requested


def test_four_topologies_at_one_budget_are_one_group_of_six_pairs() -> None:
    networks = [
        cell(ONE, model, arch=arch, width=width, params=params, **budget(7800))
        for model, arch, width, params in (
            ("dwsep", "deep", 31, 7790),
            ("cnn", "shallow", 16, 7800),
            ("dwsep", "shallow", 41, 7811),
            ("cnn", "deep", 12, 7750),
        )
    ]
    ((name, members),) = labels(verdict(*networks))
    assert (name, members) == ("7,800 parameters", ["cnn, shallow", "cnn, deep", "dwsep, deep", "dwsep, shallow"])
    (judged,) = verdict(*networks).groups
    assert judged.group.requested
    assert [(pair.reference, pair.candidate) for pair in judged.comparisons] == [
        ("cnn, shallow", "cnn, deep"),
        ("cnn, shallow", "dwsep, deep"),
        ("cnn, shallow", "dwsep, shallow"),
        ("cnn, deep", "dwsep, deep"),
        ("cnn, deep", "dwsep, shallow"),
        ("dwsep, deep", "dwsep, shallow"),
    ]


def test_budgets_of_three_widths_are_three_groups() -> None:
    cells = [
        cell(ONE, model, width=width + (model == "dwsep"), params=target, **budget(target))
        for width, target in ((8, 1000), (16, 4000), (32, 16_000))
        for model in ("dwsep", "cnn")
    ]
    assert labels(verdict(*cells)) == [
        (f"{target:,} parameters", [f"cnn, width {width}", f"dwsep, width {width + 1}"])
        for width, target in ((8, 1000), (16, 4000), (32, 16_000))
    ]


def test_an_equal_cost_on_a_chip_is_a_comparison_of_its_own() -> None:
    """Of one chip and one kind; what is to be equal and what is to be at most so much are apart."""
    asked: list[dict[str, Any]] = [
        {"kind": "arena_bytes", "chip": "tflm"},
        {"kind": "arena_bytes", "chip": "tflm", "match": "cnn"},
        {"kind": "arena_bytes", "chip": "small"},
        {"kind": "cycles", "chip": "ethos_u55_128"},
    ]
    cells = [
        cell(ONE, model, width=10 * number + wide, params=1000 * number + 300 * wide, **budget(65_536, **budgets))
        for number, budgets in enumerate(asked, 1)
        for wide, model in enumerate(("cnn", "dwsep"))
    ]
    found = verdict(*cells)
    assert [judged.name for judged in found.groups] == [
        "equal arena on tflm (at most 65,536 B)",
        "equal arena on tflm (65,536 B)",
        "equal arena on small (at most 65,536 B)",
        "equal cycles on ethos_u55_128 (at most 65,536)",
    ]
    assert all(judged.group.matched is None and len(judged.comparisons) == 1 for judged in found.groups)
    assert [judged.group.matched_on_chip for judged in found.groups] == [
        ("tflm", "arena_bytes"),
        ("tflm", "arena_bytes"),
        ("small", "arena_bytes"),
        ("ethos_u55_128", "cycles"),
    ]


@pytest.mark.parametrize(("params", "number"), [(1010, 1), (1011, 0), (991, 1), (990, 0)])
def test_what_nobody_asked_for_is_matched_within_one_per_cent(params: int, number: int) -> None:
    found = verdict(cell(ONE, params=1000, width=8), cell(ONE, "dwsep", params=params, width=9, macs=5, acts=5))
    assert len(found.groups) == number
    assert found.unmatched == (() if number else ("cnn", "dwsep"))


def test_a_cell_that_costs_what_others_asked_for_joins_them() -> None:
    found = verdict(cell(ONE, params=7800, width=16), cell(ONE, "dwsep", params=7750, width=40, **budget(7800)))
    assert labels(found) == [("7,800 parameters", ["cnn", "dwsep"])]


def test_the_reference_of_two_budgets_stands_in_both_groups() -> None:
    """cnn asked for its own parameters first; its MACs are the target of the other budget all the same."""
    found = verdict(
        cell(ONE, params=1000, macs=9000, width=8, **budget(1000)),
        cell(ONE, "dwsep", params=1001, macs=8000, width=20, **budget(1000)),
        cell(ONE, "dwsep", params=1300, macs=9001, width=24, **budget(9000, "macs")),
    )
    assert labels(found) == [
        ("1,000 parameters", ["cnn, width 8", "dwsep, width 20"]),
        ("9,000 MACs", ["cnn, width 8", "dwsep, width 24"]),
    ]


def test_a_family_that_asked_for_a_budget_has_no_second_network_in_its_group() -> None:
    """The one that was made for equal MACs happens to be within 1 % of the parameters too."""
    found = verdict(
        cell(ONE, params=1000, macs=9000, width=8, **budget(1000)),
        cell(ONE, "dwsep", params=1001, macs=8000, width=20, **budget(1000)),
        cell(ONE, "dwsep", params=1005, macs=9001, width=21, **budget(9000, "macs")),
    )
    assert labels(found)[0] == ("1,000 parameters", ["cnn, width 8", "dwsep, width 20"])


def test_switches_of_the_block_are_no_other_width_and_options_of_slots_are() -> None:
    costs = {"params": 1, "macs": 1, "acts": 1}
    block = {"settings": {"block.norm_between": True}}
    assert labels(verdict(cell(ONE, **costs), cell(ONE, "dwsep", **block))) == [("equal width 8", ["cnn", "dwsep"])]
    stride = {"settings": {"slots.stride": 2}}
    assert verdict(cell(ONE, **costs), cell(ONE, "dwsep", **stride)).groups == ()


def test_networks_matched_by_macs_alone_are_found() -> None:
    cells = (cell(ONE, params=10, macs=500, width=8), cell(ONE, "dwsep", params=20, macs=503, width=9))
    assert labels(verdict(*cells)) == [("500 MACs", ["cnn", "dwsep"])]


@pytest.mark.parametrize(
    "other",
    [
        {"settings": {"optimizer.lr": 0.2}},
        {"settings": {"data.augment.flip": True}},
        {"split": "study"},
        {"data": "cifar10"},
        {"precision": "bf16"},
        {"test_weights": "last"},
        {"stop": {"by": "epochs", "target": 7}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_recipe_is_another_group(other: dict[str, object]) -> None:
    found = verdict(cell(ONE), cell(ONE, "dwsep", **other))
    assert found.groups == ()
    assert len(found.unmatched) == 2


def test_recipes_stand_in_the_names_of_their_groups() -> None:
    cells = [
        cell(ONE, model, width=8, settings={"optimizer.lr": lr}) for lr in (0.1, 0.2) for model in ("cnn", "dwsep")
    ]
    assert [name for name, _ in labels(verdict(*cells))] == [
        "1,000 parameters, optimizer.lr 0.1",
        "1,000 parameters, optimizer.lr 0.2",
    ]


def test_devices_are_another_recipe_only_where_seconds_end_the_training() -> None:
    for by, number in (("epochs", 1), ("seconds", 0)):
        stop = {"stop": {"by": by, "target": 60}}
        assert len(verdict(cell(ONE, device="A", **stop), cell(ONE, "dwsep", device="B", **stop)).groups) == number


def test_one_family_has_nothing_to_compare() -> None:
    found = verdict(cell(ONE, width=8, params=10, macs=10, acts=10), cell(ONE, width=16, params=20, macs=20, acts=20))
    assert (found.groups, found.headline, found.unmatched) == ((), [], ("width 8", "width 16"))


def test_records_that_cannot_be_read_match_nothing() -> None:
    broken: list[dict[str, object]] = [
        {"run_id": f"{number:012d}", "status": "unreadable", "error": "result.json"} for number in range(2)
    ]
    found = verdict(broken, cell(ONE))
    assert (found.groups, len(found.unmatched), found.unfinished) == ((), 3, 2)


def test_no_runs_have_a_verdict_that_says_nothing() -> None:
    found = verdict([])
    assert (found.cells, found.groups, found.statuses) == ((), (), {})


THREE = (
    cell(ONE, study="a/cnn", width=8, params=10, acts=1, macs=1),
    cell(ONE, "dwsep", study="a/dwsep (modified: kernel)", width=8, params=20, acts=2, macs=2, kernel=[3, 5]),
    cell(ONE, "dwsep", width=8, params=30, acts=3, macs=3, kernel=[5, 3], settings={"optimizer.lr": 0.2}),
)


@pytest.mark.parametrize("names", ["a/cnn,dwsep, kernel [3,5]", "cnn,a/dwsep", "cnn, kernel 3, dwsep, kernel [3,5]"])
def test_two_cells_that_are_asked_for_are_compared(names: str) -> None:
    found = verdict(*THREE, compare=names)
    ((_, members),) = labels(found)
    assert members == ["cnn, kernel 3", "dwsep, kernel [3,5]"]
    assert found.unmatched == ()


def test_what_is_asked_for_is_compared_in_the_order_given_and_says_where_recipes_differ() -> None:
    first = THREE[2][0]["cell_id"]
    (judged,) = verdict(*THREE, compare=f"{first},cnn").groups
    assert [(pair.reference, pair.candidate) for pair in judged.comparisons] == [
        ("dwsep, kernel [5,3]", "cnn, kernel 3")
    ]
    assert judged.group.recipe == {"optimizer.lr": [0.2, 0.1]}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("cnn", "names one cell; write it as A,B"),
        ("cnn,cnn, kernle 3", "no cell 'cnn, kernle 3'; did you mean 'cnn, kernel 3'?"),
        ("cnn,zzzzzz", r"no cell 'zzzzzz'; there are cnn, kernel 3; dwsep, kernel \[3,5\]"),
        ("cnn,dwsep", r"'dwsep' is 2 cells: dwsep, kernel \[3,5\]; dwsep, kernel \[5,3\]"),
        ("cnn,a/cnn", "names one cell twice"),
    ],
)
def test_cells_that_are_none_are_one_line(names: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        verdict(*THREE, compare=names)
    assert "\n" not in str(raised.value)


def test_accuracies_on_different_data_are_not_compared() -> None:
    with pytest.raises(InputError, match=r"data differs \(mnist and cifar10\)"):
        verdict(cell(ONE), cell(ONE, "dwsep", data="cifar10"), compare="cnn,dwsep")


def test_groups_of_one_target_asked_for_and_as_built_have_two_names() -> None:
    found = verdict(
        cell(ONE, width=1, **budget(1000)),
        cell(ONE, "dwsep", width=2, **budget(1000)),
        cell(ONE, width=3),
        cell(ONE, "dwsep", width=4),
    )
    assert [judged.name for judged in found.groups] == ["1,000 parameters", "1,000 parameters, as built"]


def trained_for(by: str, target: float, model: str = "dwsep", **facts: Any) -> list[dict[str, Any]]:
    return cell(ONE, model, stop={"by": by, "target": target}, **facts)


@pytest.mark.parametrize(("spent", "number"), [(1_000_000_000_000, 1), (1_020_000_000_000, 0), (None, 0)])
def test_epochs_that_came_to_the_training_macs_asked_for_match_them(spent: int | None, number: int) -> None:
    """Such a run is the same run, under whichever name it was trained first."""
    reference = trained_for("epochs", 2, "cnn", train_macs=spent)
    found = verdict(reference, trained_for("train_macs", 1e12))
    assert len(found.groups) == number
    rows = {row.network.split(" ")[0]: [one is not None for one in row.accuracies] for row in found.regimes}
    assert rows == {"cnn": [True, bool(number)], "dwsep": [False, True]}


def test_another_recipe_matches_no_training_macs() -> None:
    reference = trained_for("epochs", 2, "cnn", train_macs=1_000_000_000_000, settings={"optimizer.lr": 0.2})
    assert verdict(reference, trained_for("train_macs", 1e12)).groups == ()


def test_a_network_trained_for_both_is_in_each_group_once() -> None:
    """100.4 thousand millions are those of 15 epochs; a target rounded to 100 makes another run of it."""
    cells = [
        trained_for("train_macs", 100e9, "cnn"),
        trained_for("epochs", 15, "cnn", train_macs=100400_000_000),
        trained_for("epochs", 16, "cnn", train_macs=100900_000_000),
        trained_for("train_macs", 100e9),
        trained_for("epochs", 15, train_macs=99800_000_000),
        trained_for("epochs", 16, train_macs=99500_000_000),
    ]
    found = verdict(*cells).groups
    assert [judged.group.recipe["stop.by"] for judged in found] == ["train_macs", "epochs", "epochs"]
    assert [len(judged.comparisons) for judged in found] == [1, 1, 1]
    without = verdict(*cells[:3], *cells[4:]).groups
    (only,) = (judged for judged in without if judged.group.recipe["stop.by"] == "train_macs")
    assert [cell.recipe["stop.target"] for cell in only.group.cells] == [100e9, 15]


def test_regimes_stand_side_by_side() -> None:
    cells = [
        cell([accuracy] * 2, model, width=8, stop={"by": by, "target": target})
        for (by, target), accuracy in {("epochs", 15): 0.9, ("train_macs", 1e12): 0.8, ("seconds", 60): 0.7}.items()
        for model in ("cnn", "dwsep")
        if (model, by) != ("dwsep", "seconds")
    ]
    judged = verdict(*cells)
    assert len(judged.groups) == 2
    assert [row.network for row in judged.regimes] == ["cnn", "dwsep block keras"]
    assert [str(regime) for regime in judged.regimes[0].regimes] == [
        "15 epochs",
        "1e+12 training MACs",
        "60 seconds (a CPU, threads 1)",
    ]
    means = [[score and score.mean for score in row.accuracies] for row in judged.regimes]
    assert means == [pytest.approx([0.9, 0.8, 0.7]), [pytest.approx(0.9), pytest.approx(0.8), None]]
    assert verdict(*cells[:2]).regimes == ()


def test_seconds_of_two_machines_are_two_regimes() -> None:
    cells = [
        cell([accuracy], stop={"by": "seconds", "target": 60}, threads=threads, cell_id=f"{threads} threads")
        for threads, accuracy in ((1, 0.7), (2, 0.8))
    ]
    (row,) = verdict(*cells).regimes
    assert [(str(regime), score and score.mean) for regime, score in zip(row.regimes, row.accuracies, strict=True)] == [
        ("60 seconds (a CPU, threads 1)", 0.7),
        ("60 seconds (a CPU, threads 2)", 0.8),
    ]
