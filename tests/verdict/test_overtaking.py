"""Where one family overtakes another along a cost: against interpolation and Welch's test by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from made import cell, timed, verdict
from synthetic import read

from dsbench.report.answers import overtaking
from dsbench.results.cells import cells_table
from dsbench.results.records import runs_table
from dsbench.statistics.looks import nominal_levels
from dsbench.verdict import words
from dsbench.verdict.advice import advice
from dsbench.verdict.curves import Curves
from dsbench.verdict.rule import Rule, Standing
from dsbench.verdict.verdict import as_data, judge

SEEDS = np.array([-0.002, 0.0, 0.001, 0.002, -0.001])


def sized(model: str, data: str = "mnist", **sizes: float) -> list[list[dict[str, Any]]]:
    """A cell for each size, p4000=0.7 of 4,000 parameters and an accuracy of 0.7; MACs are ten times as many."""
    return [
        cell(
            (accuracy + SEEDS).tolist(),
            model,
            width=number,
            data=data,
            params=int(name[1:]),
            macs=10 * int(name[1:]),
            acts=5,
        )
        for number, (name, accuracy) in enumerate(sizes.items(), 2)
    ]


def along(cost: str, *cells: list[dict[str, Any]], rule: Rule | None = None) -> Curves:
    """The only two curves along a cost."""
    (found,) = (one for one in verdict(*cells, **({"rule": rule} if rule else {})).curves if one.cost == cost)
    return found


def test_between_two_networks_accuracy_lies_from_the_line_over_the_logarithm_up_to_the_larger_one() -> None:
    found = along("params", *sized("cnn", p1000=0.60, p4000=0.70), *sized("dwsep", p2000=0.58, p8000=0.80))
    assert (found.reference, found.candidate) == ("cnn", "dwsep")
    assert {cost: one.mean for cost, one in found.along.items()} == {
        2000: pytest.approx(0.58 - 0.65),
        4000: pytest.approx((0.58 + 0.80) / 2 - 0.70),
    }
    assert found.sides == {2000: -1, 4000: None}  # 0.58 is below all of 0.65 to 0.70; 0.70 lies within 0.69 to 0.80
    (low, high), half = limits(found, 2000), half_of([1.0, 0.5, 0.5], found.level)
    assert high == pytest.approx(-0.07 + half)
    assert low == pytest.approx(0.58 - 0.70 - half_of([1.0, 1.0], found.level))


def limits(found: Curves, cost: float) -> tuple[float, float]:
    interval = found.along[cost].interval
    assert interval is not None
    return interval.low, interval.high


def half_of(weights: list[float], level: float) -> float:
    """Half of Welch's interval of a sum of means with these weights, all of which have the variance of SEEDS."""
    parts = [weight**2 * SEEDS.var(ddof=1) / len(SEEDS) for weight in weights]
    df = sum(parts) ** 2 / sum(part**2 / (len(SEEDS) - 1) for part in parts)
    return float(scipy.stats.t.ppf(1 - level / 2, df) * math.sqrt(sum(parts)))


def test_where_both_have_networks_the_difference_is_that_of_the_pair() -> None:
    cells = *sized("cnn", p1000=0.60, p4000=0.70), *sized("dwsep", p1000=0.62, p4000=0.80)
    found = along("params", *cells)
    pairs = verdict(*cells).comparisons
    assert [(one.mean, one.interval) for one in found.along.values()] == [
        (pair.better.mean, pair.better.interval) for pair in pairs
    ]
    assert len(pairs) == 2


def test_points_between_share_a_level_that_is_spent_over_looks() -> None:
    cells = *sized("cnn", p1000=0.60, p4000=0.70), *sized("dwsep", p2000=0.58, p8000=0.80)
    assert along("params", *cells).level == pytest.approx(0.05 / 2)
    assert along("params", *cells, rule=Rule(looks=3)).level == pytest.approx(0.05 / 2 / 3)
    planned = Rule(standings={"a b": Standing(fractions=(3 / 8, 5 / 8))})
    assert along("params", *cells, rule=planned).level == pytest.approx(nominal_levels((3 / 8, 5 / 8), 0.025)[-1])
    one = *sized("cnn", p1000=0.60, p4000=0.70), *sized("dwsep", p1000=0.58, p2000=0.59, p4000=0.80)
    assert along("params", *one).level == pytest.approx(0.05)  # the two others are pairs of their own


def test_families_on_one_curve_that_bends_are_not_told_apart_by_where_their_networks_lie() -> None:
    def bent(size: int) -> float:
        return 0.9 - 0.4 * (size / 1000) ** -0.5

    plain = sized("cnn", **{f"p{size}": bent(size) for size in (1000, 16000)})
    separable = sized("dwsep", **{f"p{size}": bent(size) for size in (2000, 8000)})
    found = along("params", *plain, *separable)
    assert found.along[2000].mean > 0.02  # the line runs below the bend
    assert set(found.sides.values()) == {None}


@pytest.mark.parametrize(("shift", "ahead"), [(0.03, 1), (-0.03, -1), (0.0, None)])
def test_a_family_may_be_ahead_all_along(shift: float, ahead: int | None) -> None:
    sizes = {"p1000": 0.60, "p4000": 0.70, "p16000": 0.75}
    found = along("params", *sized("cnn", **sizes), *sized("dwsep", **{name: at + shift for name, at in sizes.items()}))
    assert (found.ahead, found.crossings) == (ahead, [])
    assert (found.spans[0].low, found.spans[-1].high) == (1000, 16000)


def test_within_the_margin_families_are_even_and_one_point_that_is_open_leaves_no_all_along() -> None:
    plain = sized("cnn", p1000=0.60, p4000=0.70)
    even = along("params", *plain, *sized("dwsep", p1000=0.601, p4000=0.70), rule=Rule(margin=1.0))
    assert even.ahead == 0
    half = along("params", *plain, *sized("dwsep", p1000=0.60, p4000=0.72), rule=Rule(margin=0.0))
    assert (half.ahead, list(half.sides.values())) == (None, [None, 1])
    inner = along("params", *sized("cnn", p1000=0.60, p4000=0.70), *sized("dwsep", p1000=0.62, p1100=0.63, p4000=0.72))
    assert (inner.ahead, list(inner.sides.values())) == (1, [1, None, 1])
    assert words.along(inner) == "dwsep, all from 1.00k to 4.00k but 1.10k, where it is open"
    assert words.along(half) == "open up to 1.00k, dwsep from 4.00k on"


def test_one_overtakes_the_other_between_points_that_are_decided_in_opposite_ways() -> None:
    plain = sized("cnn", p1000=0.60, p4000=0.70, p16000=0.75)
    found = along("params", *plain, *sized("dwsep", p1000=0.56, p4000=0.70, p16000=0.79))
    (crossing,) = found.crossings
    assert (crossing.low, crossing.high, crossing.falls) == (1000, 16000, False)
    assert crossing.at == pytest.approx(4000)
    assert words.along(found) == "cnn up to 1.00k, dwsep from 16.0k on"


def test_points_of_one_budget_are_one_point() -> None:
    found = along("params", *sized("cnn", p1000=0.60, p4000=0.70), *sized("dwsep", p995=0.62, p4010=0.80))
    assert list(found.along) == [1000, 4000]


def test_times_are_along_only_where_all_took_turns() -> None:
    cells = *sized("cnn", p1000=0.60, p4000=0.70), *sized("dwsep", p1000=0.62, p4000=0.69)
    together = [timed(one, ms) for one, ms in zip(cells, (4.0, 8.0, 6.0, 12.0), strict=True)]
    found = along("train_step_ms", *together)
    assert list(map(float, found.along)) == pytest.approx([6.0, 8.0])
    assert {one.cost for one in verdict(*together).curves} == {"params", "macs", "train_step_ms", "latency_ms"}
    apart = [*together[:3], timed(cells[3], 12.0, session="b")]
    assert {one.cost for one in verdict(*apart).curves} == {"params", "macs"}


def test_curves_of_other_data_are_told_apart_and_none_speaks_for_both() -> None:
    cells = [
        own
        for data, shift in (("cifar10", 0.05), ("mnist", -0.05))
        for model, by in (("cnn", 0.0), ("dwsep", shift))
        for own in sized(model, data, p1000=0.60 + by, p4000=0.70 + by)
    ]
    judged = verdict(*cells)
    params = {one.of: one.ahead for one in judged.curves if one.cost == "params"}
    assert params == {"data cifar10": 1, "data mnist": -1}
    table = overtaking(judged)
    assert table is not None
    assert table.texts[""] == ["dwsep against cnn, data cifar10", "dwsep against cnn, data mnist"]
    assert advice(judged).startswith("Of 4 comparisons ")


def test_one_network_of_a_family_and_other_recipes_make_no_curve() -> None:
    plain = sized("cnn", p1000=0.60, p4000=0.70)
    assert verdict(*plain, *sized("dwsep", p2000=0.62)).curves == ()
    other = [[one | {"precision": "bf16"} for one in cell] for cell in sized("dwsep", p1000=0.62, p4000=0.80)]
    assert verdict(*plain, *other).curves == ()
    assert verdict(*plain, *sized("dwsep", p8000=0.62, p16000=0.80)).curves == ()  # nothing in common
    two = [[one for one in cell if one["seed"] < 2] for cell in sized("dwsep", p1000=0.62, p4000=0.80)]
    assert [one.sign for one in along("params", *plain, *two).along.values()] == [0, 0]  # too few runs decide nothing


def test_curves_are_in_the_data_with_their_crossings() -> None:
    judged = verdict(*sized("cnn", p1000=0.60, p4000=0.70), *sized("dwsep", p1000=0.58, p4000=0.80))
    kept = json.loads(json.dumps(as_data(judged)["curves"]))
    (params, macs) = kept
    assert (params["cost"], macs["cost"]) == ("params", "macs")
    assert params["crossings"][0]["low"] == 1000
    assert [(point["cost"], point["ahead"]) for point in params["points"]] == [(1000, "cnn"), (4000, "dwsep")]
    assert [len(labels) for labels in params["labels"]] == [2, 2]


def test_a_table_in_which_accuracies_are_missing_has_no_curve_of_them() -> None:
    cells = *sized("cnn", p1000=0.60, p4000=0.70), *sized("dwsep", p1000=0.62, p4000=0.80)
    runs = runs_table(read([record for own in cells for record in own]))
    runs.loc[runs["model"] == "dwsep", "test_acc"] = None
    assert judge(runs, cells_table(runs), {}).curves == ()
