"""What to do: each recommendation is the side that is ahead in what is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made import budget, cell, timed, verdict

from dsbench.verdict.advice import advice
from dsbench.verdict.rule import Answer

BEFORE = [0.97, 0.971, 0.972, 0.9715]
BETTER = [score + 0.01 for score in BEFORE]
WORSE = [score - 0.01 for score in BEFORE]
OPEN = [0.96, 0.975, 0.98, 0.968]
PLAIN: dict[str, Any] = {"params": 1000, "macs": 1000, "acts": 1000}


@pytest.mark.parametrize(
    ("after", "costs", "words"),
    [
        (BETTER, {"macs": 1500}, "take the conventional network for few MACs, the separable network for accuracy"),
        (BETTER, {"macs": 1050}, "take the separable network for accuracy"),  # 5 % more are not worth a word
        (BETTER, {"acts": 500}, "take the separable network for accuracy and few activations"),
        (WORSE, {}, "keep the conventional network for accuracy"),
        (WORSE, {"macs": 500}, "take the conventional network for accuracy, the separable network for few MACs"),
        (BEFORE, {}, "take the conventional network or the separable network: they are even"),
        ([score + 0.0005 for score in BEFORE], {"macs": 500}, "take the separable network for few MACs"),  # no matter
    ],
)
def test_one_takes_what_is_ahead_for_what_it_is_ahead_in(after: list[Any], costs: dict[str, Any], words: str) -> None:
    told = advice(verdict(*at_budget(BEFORE, after, costs)))
    assert sorted(parts(told)) == sorted(parts(f"At 1,000 parameters {words} (speed is not measured)."))


def at_budget(before: list[Any], after: list[Any], costs: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return [
        cell(before, **PLAIN, **budget(1000)),
        cell(after, "dwsep", **PLAIN | costs, **budget(1000)),
    ]


def parts(sentence: str) -> list[str]:
    """The clauses of a sentence, in whatever order."""
    text = sentence.removesuffix(".").replace(" (speed is not measured)", "")
    before, _, after = text.partition(" take ")
    return [before, *after.split(", ")]


@pytest.mark.parametrize(
    ("before", "after", "macs", "words"),
    [
        (BEFORE, OPEN, 1000, "nothing is decided yet (which is more accurate is open, speed is not measured)."),
        (BEFORE, OPEN, 500, "take the separable network for few MACs (which is more accurate is open, speed is not m"),
        (BEFORE, [*BETTER, "collapsed"], 1000, "; mind that 1 of 5 trainings of the separable network failed."),
        (BEFORE, [*BEFORE, "collapsed"], 1000, "; mind that 1 of 5 trainings of the separable network failed."),
        (BEFORE, [*WORSE, "collapsed"], 1000, "keep the conventional network for accuracy (speed is not measured)."),
        (BEFORE, ["collapsed"] * 3, 500, "nothing is decided: no run of the separable network is done."),
        (["collapsed"] * 3, ["collapsed"] * 3, 500, "no run of the conventional network and the separable network is"),
    ],
)
def test_what_is_open_and_what_failed_is_said(before: list[Any], after: list[Any], macs: int, words: str) -> None:
    assert words in advice(verdict(*at_budget(before, after, {"macs": macs})))


def test_times_that_agree_are_speed_and_others_are_named() -> None:
    cells = timed(cell(BEFORE, **PLAIN), 10.0), timed(cell(BETTER, "dwsep", **PLAIN), 20.0)
    judged = verdict(*cells)
    assert advice(judged) == (
        "At 1,000 parameters take the separable network for accuracy, the conventional network for speed."
    )
    (compared,) = judged.groups[0].comparisons
    faster = [replace(one, answer=Answer.FASTER) if "batch 1" in one.name else one for one in compared.measured]
    group = replace(judged.groups[0], comparisons=(replace(compared, measured=tuple(faster)),))
    said = advice(replace(judged, groups=(group,)))
    assert "take the separable network for accuracy and speed (one image, 128 images), the conventional" in said
    assert said.endswith("the conventional network for speed (step).")


def test_families_of_several_sizes_are_told_apart_cost_by_cost() -> None:
    def of(*models: tuple[str, float, int], bend: float = 0.0) -> list[list[dict[str, Any]]]:
        return [
            cell(
                [at + off for off in (0.0, 0.001, 0.002)], model, width=k, params=n, macs=n * times, acts=9, data="svhn"
            )
            for model, shift, times in models
            for n, k, at in ((1000, 1, 0.90 + shift), (4000, 2, 0.93 + shift + bend * (model != "cnn")))
        ]

    assert advice(verdict(*of(("cnn", 0.0, 1), ("dwsep", -0.02, 4), bend=0.05))) == (
        "For as many parameters take the conventional network up to 1.00k, the separable network from 4.00k on."
    )
    assert advice(verdict(*of(("cnn", 0.0, 1), ("dwsep", 0.02, 1)))) == (
        "For as many parameters and MACs take the separable network from 1.00k to 4.00k."
    )
    three = of(("cnn", 0.0, 1), ("hybrid", 0.02, 1), ("dwsep", 0.04, 1))
    assert advice(verdict(*three)) == "For as many parameters and MACs take the separable network from 1.00k to 4.00k."
    behind = of(("cnn", 0.0, 1), ("hybrid", 0.02, 1), ("dwsep", -0.02, 1), bend=0.005)
    assert advice(verdict(*behind)) == "For as many parameters and MACs take the hybrid from 1.00k to 4.00k."
    failing = [*three[:5], [*three[5], *cell([*[None] * 3, "collapsed"], **shape_of(three[5]))]]
    assert advice(verdict(*failing)).endswith("; mind that 1 of 7 trainings of the separable network failed.")


def sizes(noise: dict[str, float], **families: tuple[float, float]) -> list[list[dict[str, Any]]]:
    """Families at 1,000 and 4,000 parameters; the smaller network of those in `noise` varies by that much."""
    return [
        cell([at - off, at, at + off], model, width=k, params=n, macs=9, acts=9, data="svhn")
        for model, ends in families.items()
        for n, k, at in zip((1000, 4000), (1, 2), ends, strict=True)
        for off in (noise.get(model, 0.001) if k == 1 else 0.001,)
    ]


@pytest.mark.parametrize(
    ("noise", "families", "words"),
    [
        (
            {"dwsep": 0.05},
            {"cnn": (0.8, 0.85), "dwsep": (0.8, 0.89)},
            "the separable network from 4.00k on (open up to 1.00k)",
        ),
        (
            {"dwsep": 0.05},
            {"cnn": (0.8, 0.85), "dwsep": (0.8, 0.851)},
            "take either from 4.00k on (open up to 1.00k).",
        ),
        (
            {},
            {"cnn": (0.6, 0.7), "hybrid": (0.65, 0.66), "dwsep": (0.55, 0.75)},
            "it depends on the size (see the table).",
        ),
        ({"dwsep": 0.1}, {"cnn": (0.8, 0.85), "hybrid": (0.86, 0.90), "dwsep": (0.87, 0.93)}, "it depends on the size"),
        (
            {},
            {"cnn": (0.8, 0.85), "hybrid": (0.86, 0.90), "dwsep": (0.861, 0.93)},
            "the hybrid or the separable network from 1",
        ),
    ],
)
def test_what_sizes_say_of_families(noise: dict[str, float], families: dict[str, Any], words: str) -> None:
    told = advice(verdict(*sizes(noise, **families)))
    assert told.startswith("For as many parameters ")
    assert words in told


def shape_of(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: records[0][name] for name in ("model", "width", "params", "macs", "acts", "data")}


def test_a_comparison_that_stands_on_no_curve_is_not_left_out() -> None:
    on_curves = [
        cell([at, at + 0.001, at + 0.002], model, width=k, params=n, macs=n, acts=9)
        for model, shift in (("cnn", 0.0), ("dwsep", 0.02))
        for n, k, at in ((1000, 1, 0.90 + shift), (4000, 2, 0.93 + shift))
    ]
    other = [cell(scores, model, arch="vgg", **PLAIN) for model, scores in (("cnn", BEFORE), ("dwsep", WORSE))]
    told = advice(verdict(*on_curves, *other))
    assert "keep cnn" in told
    assert "take dwsep, width 1 over cnn, width 1" in told


def test_many_comparisons_are_counted_and_nothing_to_compare_has_no_advice() -> None:
    cells = [
        cell(scores, model, arch=f"arch{number}", params=10**number, acts=10**number, macs=10**number)
        for number in range(1, 6)
        for model, scores in (("cnn", BEFORE), ("dwsep", [*BETTER, "collapsed"] if number > 3 else WORSE))
    ]
    assert advice(verdict(*cells)) == (
        "Of 5 comparisons take the conventional network in 3; take the separable network in 2; mind that 2 of 10 "
        "trainings of the separable network failed."
    )
    assert advice(verdict(cell(BEFORE))) == ""


def test_of_three_families_of_a_group_those_that_none_is_ahead_of_are_taken() -> None:
    cells = [
        cell(scores, model, **PLAIN | {"macs": macs}, **budget(1000))
        for model, scores, macs in (("cnn", BEFORE, 1000), ("dwsep", WORSE, 300), ("hybrid", BEFORE, 500))
    ]
    assert advice(verdict(*cells)) == (
        "At 1,000 parameters take the conventional network or the hybrid for accuracy, the separable network for few "
        "MACs (speed is not measured)."
    )
