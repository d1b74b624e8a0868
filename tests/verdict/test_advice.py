"""What to do: each recommendation is the side that is ahead in what is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made import budget, cell, pair, timed, verdict

from dsbench.verdict.advice import advice

BEFORE = [0.97, 0.971, 0.972, 0.9715]
BETTER = [score + 0.01 for score in BEFORE]
WORSE = [score - 0.01 for score in BEFORE]
OPEN = [0.96, 0.975, 0.98, 0.968]
PLAIN: dict[str, Any] = {"params": 1000, "macs": 1000, "acts": 1000}


@pytest.mark.parametrize(
    ("after", "costs", "words"),
    [
        (BETTER, {"macs": 1500}, "take the separable network for accuracy, the conventional network for few MACs"),
        (BETTER, {"macs": 1050}, "take the separable network"),  # 5 % more are not worth a word
        (BETTER, {"acts": 500}, "take the separable network"),
        (WORSE, {}, "keep the conventional network"),
        (WORSE, {"macs": 500}, "take the separable network for few MACs, the conventional network for accuracy"),
        (BEFORE, {}, "take the conventional network or the separable network: neither is ahead"),
        (BEFORE, {"macs": 500}, "take the separable network"),
        (OPEN, {}, "nothing is decided yet"),
        (OPEN, {"macs": 500}, "take the separable network for few MACs (which is more accurate is open)"),
        (
            [*BETTER, "collapsed"],
            {},
            "take the separable network, mindful that 1 of 5 trainings of the separable network failed",
        ),
        ([*WORSE, "collapsed"], {}, "keep the conventional network"),
    ],
)
def test_one_takes_what_is_ahead_for_what_it_is_ahead_in(after: list[Any], costs: dict[str, Any], words: str) -> None:
    cells = cell(BEFORE, **PLAIN, **budget(1000)), cell(after, "dwsep", **PLAIN | costs, **budget(1000))
    assert advice(verdict(*cells)) == f"At 1,000 parameters {words}."


def test_times_that_do_not_agree_are_named() -> None:
    cells = timed(cell(BEFORE, **PLAIN), 10.0), timed(cell(BETTER, "dwsep", **PLAIN), 20.0)
    assert advice(verdict(*cells)).endswith("for accuracy, the conventional network for speed.")
    compared = pair(*cells)
    faster = [replace(time, answer="faster") if "batch 1" in time.name else time for time in compared.measured]
    judged = verdict(*cells)
    mixed = replace(compared, measured=tuple(faster))
    assert {str(time.answer) for time in mixed.times if time.decides} == {"faster", "slower"}
    group = replace(judged.groups[0], comparisons=(mixed,))
    assert "speed (one image" in advice(replace(judged, groups=(group,)))


def test_families_of_several_sizes_are_told_apart_cost_by_cost() -> None:
    sizes = ((1000, 1, 0.97, 0.96), (4000, 2, 0.975, 0.985))
    cells = [
        cell(
            [at + off for off in (0.0, 0.001, 0.002)], model, width=k, params=n, macs=n * times, acts=9, data="cifar10"
        )
        for n, k, plain, separable in sizes
        for model, at, times in (("cnn", plain, 1), ("dwsep", separable, 4))
    ]
    assert advice(verdict(*cells)) == (
        "At equal parameters take the conventional network below 2.00k (1.00k to 4.00k), the separable network beyond."
    )
    same = [
        cell([at + off for off in (0.0, 0.001, 0.002)], model, width=k, params=n, macs=n, acts=9, data="cifar10")
        for n, k, plain, separable in sizes
        for model, at in (("cnn", plain), ("dwsep", separable + 0.02))
    ]
    assert advice(verdict(*same)) == "At equal parameters and MACs take the separable network."


def test_many_comparisons_are_counted_and_nothing_to_compare_has_no_advice() -> None:
    cells = [
        cell(scores, model, arch=f"arch{number}", params=10**number, acts=10**number, macs=10**number)
        for number in range(1, 6)
        for model, scores in (("cnn", BEFORE), ("dwsep", BETTER if number > 3 else WORSE))
    ]
    assert advice(verdict(*cells)) == (
        "In 3 of 5 comparisons keep the conventional network; in 2 of 5 comparisons take the separable network."
    )
    assert advice(verdict(cell(BEFORE))) == ""


def test_the_other_families_of_a_group_have_a_clause_each() -> None:
    cells = [
        cell(scores, model, **PLAIN | {"macs": macs}, **budget(1000))
        for model, scores, macs in (("cnn", BEFORE, 1000), ("dwsep", WORSE, 900), ("hybrid", BEFORE, 500))
    ]
    assert advice(verdict(*cells)) == (
        "At 1,000 parameters take the separable network for few MACs, the conventional network for accuracy; take the "
        "hybrid."
    )


def test_of_three_families_the_one_that_is_ahead_of_both_others_is_taken() -> None:
    cells = [
        cell([at + off for off in (0.0, 0.001, 0.002)], model, width=k, params=n, macs=n, acts=acts, data="cifar10")
        for model, shift, acts in (("cnn", 0.0, 10), ("hybrid", 0.02, 20), ("dwsep", 0.04, 80))
        for n, k, at in ((1000, 1, 0.70 + shift), (4000, 2, 0.75 + shift))
        for acts in (acts * k * k,)
    ]
    assert advice(verdict(*cells)) == (
        "At equal parameters and MACs take the separable network; at equal activations take the conventional network."
    )
