"""Where one family overtakes another along a cost: against interpolation and Welch's test by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from made import cell, timed, verdict

from dsbench.verdict.curves import Curves
from dsbench.verdict.rule import Rule
from dsbench.verdict.verdict import as_data

SEEDS = np.array([-0.002, 0.0, 0.001, 0.002, -0.001])


def sized(model: str, **sizes: float) -> list[list[dict[str, Any]]]:
    """A cell for each size, p4000=0.7 of 4,000 parameters and an accuracy of 0.7; MACs are ten times as many."""
    return [
        cell((accuracy + SEEDS).tolist(), model, width=number, params=int(name[1:]), macs=10 * int(name[1:]), acts=5)
        for number, (name, accuracy) in enumerate(sizes.items(), 2)
    ]


def along(cost: str, *cells: list[dict[str, Any]], rule: Rule | None = None) -> Curves:
    """The only two curves along a cost."""
    (found,) = (one for one in verdict(*cells, **({"rule": rule} if rule else {})).curves if one.cost == cost)
    return found


def test_between_two_networks_of_a_family_accuracy_is_a_straight_line_over_the_logarithm() -> None:
    found = along("params", *sized("cnn", p1000=0.60, p4000=0.70), *sized("dwsep", p2000=0.62, p8000=0.80))
    assert (found.reference, found.candidate) == ("cnn", "dwsep")
    assert {cost: one.mean for cost, one in found.along.items()} == {
        2000: pytest.approx(0.62 - 0.65),
        4000: pytest.approx((0.62 + 0.80) / 2 - 0.70),
    }
    (crossing,) = found.crossings
    assert crossing.at == pytest.approx(2000 * 2 ** (0.03 / 0.04))
    assert (crossing.low, crossing.high, crossing.falls) == (2000, 4000, False)  # too far apart to say more
    assert found.ahead == 0


def test_the_interval_is_that_of_the_weighted_means_at_a_level_that_the_points_share() -> None:
    cells = *sized("cnn", p1000=0.60, p4000=0.70), *sized("dwsep", p2000=0.62, p8000=0.80)
    found = along("params", *cells)
    assert found.level == pytest.approx(0.05 / 2)
    interval, variance, n = found.along[2000].interval, SEEDS.var(ddof=1), len(SEEDS)
    parts = [variance / n, variance / n / 4, variance / n / 4]  # one network, and halves of two others
    df = sum(parts) ** 2 / sum(part**2 / (n - 1) for part in parts)
    half = scipy.stats.t.ppf(1 - 0.025 / 2, df) * math.sqrt(sum(parts))
    assert interval is not None
    assert (interval.low, interval.high) == (pytest.approx(-0.03 - half), pytest.approx(-0.03 + half))
    assert along("params", *cells, rule=Rule(looks=3)).level == pytest.approx(0.05 / 2 / 3)


@pytest.mark.parametrize(("shift", "ahead"), [(0.03, 1), (-0.03, -1), (0.0, 0)])
def test_a_family_may_be_ahead_all_along(shift: float, ahead: int) -> None:
    sizes = {"p1000": 0.60, "p4000": 0.70, "p16000": 0.75}
    found = along("params", *sized("cnn", **sizes), *sized("dwsep", **{name: at + shift for name, at in sizes.items()}))
    assert (found.ahead, found.crossings, found.ends) == (ahead, [], (1000, 16000))


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
    assert list(params["along"]) == ["1000.0", "4000.0"]
