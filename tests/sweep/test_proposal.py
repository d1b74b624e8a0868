"""What a sensitivity says and chooses of made results: the hybrid, in words and as overrides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from made import cell
from synthetic import read, run, table

from dsbench.config.compose import compose
from dsbench.results.cells import cells_table
from dsbench.results.records import runs_table
from dsbench.statistics.fractions import smallest_fraction
from dsbench.sweep.design import Choice, Explored
from dsbench.sweep.sensitivity import SlotPatterns
from dsbench.verdict.rule import Rule
from dsbench.verdict.sentences import headline
from dsbench.verdict.verdict import judge

NETWORK = ["data=mnist5k", "depth=1"]  # three slots
Loss = Callable[[np.ndarray], float]


def explored(
    slots: SlotPatterns, loss: Loss, network: list[str] = NETWORK, noise: float = 0.0002, **facts: Any
) -> Explored:
    """Runs of the cells that `slots` explores: validation accuracy is .9 less the `loss` of a pattern."""
    rng = np.random.default_rng(0)
    cells = slots.explore(network, 3, lambda line: compose(list(line)))
    patterns = smallest_fraction(len(cells[1].overrides[-1].split(",")), slots.most).patterns
    records, named = [], {}
    for own_cell, pattern in zip(cells, patterns, strict=True):
        params = 1000 - 100 * int(pattern.sum())
        costs = {"params": params, "macs": 10 * params, "acts": 1000 + 50 * int(pattern.sum())}
        for seed in range(own_cell.seeds):
            accuracy = float(0.9 - loss(pattern) + rng.normal(0, noise))
            own = {"settings": {"model.pattern": str(pattern)}, "best_val_acc": accuracy, "seed": seed}
            records.append(run(**(own | costs | facts)))
        named[records[-1]["cell_id"]] = own_cell.overrides
    return Explored(table(records), named, {}, {}, 0.01)


def chosen(choice: Choice) -> list[str]:
    return [" ".join(cell.overrides).removeprefix("data=mnist5k depth=1 ") for cell in choice.cells]


def made(**options: Any) -> SlotPatterns:
    return SlotPatterns({"runs": 64, "seeds": 2, "cost": None} | options)


def test_the_proposal_is_printed_as_it_can_be_pasted_and_trained_beside_both_families() -> None:
    choice = made().choose(explored(made(), lambda pattern: 0.03 * pattern[1] + 0.002 * pattern[2], noise=0))
    assert choice.sentences[0] == (
        "Slots 1 and 3 are proposed to be separable: together they are predicted to lose 0.20 points (0.20 to 0.20) "
        "on validation, all of it within the margin of 1.00, and to save 20 % of the MACs and 20 % of the parameters, "
        "with 10 % more of the activations: model=hybrid model.pattern=[separable,plain,separable]"
    )
    assert chosen(choice) == ["model=cnn", "model=dwsep", "model=hybrid model.pattern=[1,0,1]"]
    assert [cell.role for cell in choice.cells] == ["cnn", "dwsep", "hybrid"]
    assert "All 8 patterns of 3 slots were tried, in 16 trainings." in choice.sentences


def test_a_hybrid_of_all_slots_is_the_separable_family_and_none_leaves_both_families() -> None:
    everything = made().choose(explored(made(), lambda pattern: 0.0))
    assert everything.sentences[0].startswith("All slots are proposed to be separable")
    assert chosen(everything) == ["model=cnn", "model=dwsep", "model=dwsep"]
    nothing = made().choose(explored(made(), lambda pattern: 0.03 * float(pattern.any())))
    assert nothing.sentences[0].startswith(
        "No hybrid is proposed: none that saves MACs is sure to lose at most the margin of 1.00 points on validation. "
        "The nearest, model=hybrid model.pattern=["
    )
    assert chosen(nothing) == ["model=cnn", "model=dwsep"]


def test_slots_that_lose_together_what_neither_loses_alone_are_said_to_interact() -> None:
    choice = made().choose(explored(made(), lambda pattern: 0.05 * float(pattern[0] and pattern[1])))
    (sentence,) = [one for one in choice.sentences if "interact" in one]
    assert sentence.startswith("Slots 1 and 2 interact: both separable lose ")
    assert "No two slots" not in " ".join(choice.sentences)


def test_under_a_budget_an_effect_is_said_to_be_of_the_width_too_and_the_cost_is_another() -> None:
    budget = {"kind": "macs", "scope": "total", "match": None, "target": 1.0, "actual": 1.0, "residual": 0.0}
    choice = made().choose(explored(made(), lambda pattern: 0.0, requested=budget))
    assert "and to save 30 % of the parameters" in choice.sentences[0]
    assert any("of the width that pays for it" in sentence for sentence in choice.sentences)


def test_a_fraction_of_resolution_iv_says_that_interactions_come_in_chains() -> None:
    slots = made(runs=16)
    choice = slots.choose(explored(slots, lambda pattern: 0.05 * pattern[5], ["data=mnist5k"]))
    assert any("16 of the 64 patterns of 6 slots" in one and "resolution IV" in one for one in choice.sentences)
    assert chosen(choice)[-1].endswith("model.pattern=[1,1,1,1,1,0]")


def test_while_runs_are_left_nothing_is_chosen() -> None:
    runs = explored(made(), lambda pattern: 0.0)
    runs.runs.loc[runs.runs.index[:3], "status"] = "missing"
    choice = made().choose(runs)
    assert (choice.sentences, choice.cells) == (("3 runs have no result yet.",), ())


def test_the_first_cell_is_the_plain_family_and_one_of_all_slots_the_separable_one() -> None:
    cells = made().explore(["width=4"], 3, lambda line: compose(list(line)))
    assert len(cells) == 32
    assert cells[0].overrides == ("width=4", "model=cnn")
    assert [cell.overrides for cell in cells].count(("width=4", "model=dwsep")) == 1
    assert all(cell.seeds == 2 for cell in cells)


def test_a_slot_that_is_pinned_to_plain_is_no_factor_and_keeps_its_place_in_the_pattern() -> None:
    layers = "[{conv:{width:1,family:plain}},{conv:{width:1}},{conv:{width:2}},global_avg_pool,{linear:classes}]"
    network = ["data=mnist5k", f"arch.layers={layers}"]
    cells = made().explore(network, 3, lambda line: compose(list(line)))
    listed = [cell.overrides[len(network) :] for cell in cells]
    hybrids = [("model=hybrid", f"model.pattern=[0,{own}]") for own in ("1,0", "0,1")]
    assert listed == [("model=cnn",), *hybrids, ("model=dwsep",)]
    ids = [str(number) for number in range(4)]
    tried = Explored(table([]), dict(zip(ids, (cell.overrides for cell in cells), strict=True)), {})
    assert made().found(tried).free == [2, 3]


PLAIN = [0.9 + by for by in (0.001, -0.001, 0.002, -0.002, 0.0, 0.0005)]


@pytest.mark.parametrize(
    ("gain", "margin", "said"),
    [
        (
            0.0,
            1.0,
            "kept the accuracy of the conventional network to within 1.00 points (0.00 points (-0.18 to +0.18))",
        ),
        (0.02, 1.0, "gained 2.00 points (1.82 to 2.18) against the conventional network"),
        (-0.02, 1.0, "lost 2.00 points (1.82 to 2.18), more than the margin of 1.00, against the conventional network"),
        (
            -0.005,
            1.0,
            "lost 0.50 points (0.32 to 0.68), less than the margin of 1.00, against the conventional network",
        ),
        (-0.01, 1.0, "lost 1.00 points (0.82 to 1.18), perhaps more than the margin of 1.00, against the conventional"),
        (0.0, 0.1, "cannot be told from the conventional network in accuracy (0.00 points (-0.18 to +0.18)"),
    ],
)
def test_the_headline_of_what_was_chosen_is_the_hybrid_against_the_plain_network_whatever_else_matches(
    gain: float, margin: float, said: str
) -> None:
    """The separable network has the parameters of the plain one, by which these two are a group of their own."""
    hybrid = {"model.pattern": "[0,1]"}
    cells = {
        "cnn": cell(PLAIN, "cnn", params=358, macs=1000, acts=100),
        "dwsep": cell(PLAIN, "dwsep", params=358, macs=500, acts=140),
        "hybrid": cell([own + gain for own in PLAIN], "hybrid", params=300, macs=700, acts=110, settings=hybrid),
    }
    records = read([record for own in cells.values() for record in own])
    runs = runs_table(records)
    runs.attrs |= {"roles": {own[0]["cell_id"]: [role] for role, own in cells.items()}, "own": []}
    judged = judge(runs, cells_table(runs), {}, rule=Rule(margin=margin))
    (pair,) = judged.headline
    assert [own.names["model"] for own in pair.cells] == ["cnn", "hybrid"]
    assert (pair.better.comparisons, pair.better.level) == (1, 0.05)
    sentence, others = headline(judged)
    assert sentence.startswith(f"The hybrid [plain,separable] {said}")
    assert "and saves 30 % of the MACs and 16 % of the parameters, with 10 % more of the activations, at " in sentence
    assert others.startswith("Of the other pairs in test accuracy: dwsep against cnn ")


def test_by_a_time_that_was_not_measured_nothing_is_chosen_and_it_is_said_what_measures_it() -> None:
    choice = made(cost="latency_ms").choose(explored(made(), lambda pattern: 0.0))
    assert choice.cells == ()
    assert choice.sentences == (
        "No hybrid is chosen: the latency at batch 1, by which it was to be, was not measured of all patterns by "
        "turns. The same line with bench_minutes=3 measures it and goes on.",
    )


def test_where_no_hybrid_saves_anything_that_is_said_and_not_that_all_lose_too_much() -> None:
    choice = made(cost="acts").choose(explored(made(), lambda pattern: 0.0))
    assert choice.sentences[0] == "No hybrid is proposed: none saves activations."
    assert len(choice.cells) == 2


def test_failed_trainings_of_what_is_proposed_are_said() -> None:
    runs = explored(made(), lambda pattern: 0.0)
    runs.runs.loc[runs.runs.index[-1], "status"] = "collapsed"
    said = made().choose(runs).sentences
    assert said[1] == "Of the 2 trainings of this pattern itself 1 failed."
