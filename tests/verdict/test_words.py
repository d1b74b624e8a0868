"""The verdict in sentences: each with its unit, its number of seeds and what it rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made import budget, cell, timed, verdict

from dsbench.verdict.sentences import headline, paragraphs

BEFORE = [0.98, 0.981, 0.982, 0.983, 0.984, 0.985, 0.986, 0.987]
AFTER = [round(one - by, 4) for one, by in zip(BEFORE, (0.003, 0.004) * 4, strict=True)]
COSTS = ({"params": 7800, "macs": 680_932}, {"params": 7841, "macs": 2_097_704})


def said(*cells: list[dict[str, Any]], compare: str | None = None) -> list[str]:
    return paragraphs(verdict(*cells, compare=compare), "out")


def test_three_sentences_say_lighter_faster_and_better() -> None:
    before = timed(cell(BEFORE, width=16, **COSTS[0]), 3.65, 0.04)
    after = timed(cell(AFTER, "dwsep", width=32, **COSTS[1]), 16.3, 0.01)
    (text,) = said(before, after)
    lighter, faster, better = text.split(": ", 1)[1].split(". ")[:3]
    assert text.startswith("7,800 parameters (a matched budget as built): ")
    assert lighter == (
        "dwsep is heavier than cnn: as many parameters (7,841 against 7,800), 3.08 times the MACs (2,097,704 against "
        "680,932), as many activations (1,000 against 1,000) and as many bytes (1,000 against 1,000)"
    )
    assert faster.startswith(
        "It is slower: training step 4.47 times as long (16.3 ± 0.163 against 3.65 ± 0.146 ms, p < 0.0001), "
    )
    where = "a CPU, precision 32, 1 thread, load average 0.1 before"
    assert faster.endswith(f"(medians ± interquartile ranges and adjusted p of 20 rounds by turns on {where})")
    assert better == (
        "Its test accuracy is lower by 0.35 pp (95 % interval -0.39 to -0.31 pp, p = 0.0078, n = 8 seeds): it is worse"
    )


def test_what_is_better_is_called_so() -> None:
    (text, _) = said(cell(AFTER), cell(BEFORE, "dwsep"))
    assert "Its test accuracy is higher by 0.35 pp (95 % interval +0.31 to +0.39 pp, p = " in text
    assert ": it is better." in text


def test_too_few_seeds_are_said_to_be_too_few() -> None:
    (text, three, _) = said(cell(BEFORE[:3]), cell(AFTER[:3], "dwsep"))
    assert three.startswith(
        "1,000 parameters: 3 seeds cannot settle 1 comparison: the smallest adjusted p that they can"
    )
    assert three.endswith(" reach is 0.25; 6 seeds can.")
    assert "Whether it is better cannot be told: its test accuracy is lower by 0.33 pp (95 % interval -0.48" in text
    assert "n = 3 seeds); about 6 seeds would probably tell, if the differences are as they seem." in text
    cells = [cell(BEFORE, "dwsep" if index else "cnn", arch=f"a{index}", width=index) for index in range(5)]
    assert said(*cells)[10] == (
        "1,000 parameters: 8 seeds cannot settle 10 comparisons: the smallest adjusted p that "
        "they can reach is 0.078; 9 seeds can."
    )


def test_equal_accuracies_have_no_effect_to_find() -> None:
    (text, _) = said(cell(BEFORE), cell(BEFORE, "dwsep"))
    assert "its test accuracy is the same in the mean (95 % interval +0.00 to +0.00 pp, p = 1, n = 8" in text
    assert "; if the differences are as they seem, there is no effect to find." in text


def test_failures_of_training_stand_beside_the_answer() -> None:
    after: list[Any] = [one + 0.004 for one in BEFORE]
    after[2] = after[5] = "collapsed"
    after[7] = "diverged"
    (text, *_) = said(cell(BEFORE), cell(after, "dwsep"))
    assert "dwsep failed to train in 3 of 8 seeds (collapsed: 2 and 5; diverged: 7)." in text
    assert "These runs are in no mean; counted at the accuracy that they ended with, or that of guessing, its" in text
    assert ": the answer stays." in text


def test_an_answer_that_failures_would_change_says_so() -> None:
    after: list[Any] = [one + 0.004 for one in BEFORE]
    after[2] = after[5] = "collapsed"
    (text, _) = said(cell(BEFORE), cell(after, "dwsep"))
    assert ": it is better." in text
    assert "n = 8 seeds): the answer would change: this cannot tell." in text


def test_runs_without_a_result_stand_beside_the_answer_too() -> None:
    (text, *_) = said(cell([*BEFORE[:6], "failed", "killed"]), cell([*AFTER[:6], "failed", "timeout"], "dwsep"))
    assert "cnn ended without a result in 2 of 8 seeds (failed: 6; killed: 7)." in text
    assert "dwsep ended without a result in 2 of 8 seeds (failed: 6; timeout: 7)." in text


def test_a_pair_with_too_few_seeds_is_named_where_others_have_enough() -> None:
    cells = [cell(BEFORE), cell(AFTER, "hybrid"), cell([*AFTER[:6], "collapsed", "collapsed"], "dwsep")]
    texts = [text for text in said(*cells) if "cannot settle" in text]
    assert [text.partition(": ")[0] for text in texts] == [
        "1,000 parameters, dwsep against cnn",
        "1,000 parameters, dwsep against hybrid",
    ]
    # the third pair comes first, so that two are left for these: 2 * 2 / 64
    assert all("6 seeds cannot settle it beside the others" in text and text.endswith("is 0.062.") for text in texts)


def test_a_seed_that_stands_alone_is_named_with_the_reason() -> None:
    (text, missing, _) = said(cell([*BEFORE[:7], "failed"]), cell([*AFTER[:6], None, AFTER[7]], "dwsep"))
    assert "Seed 6 of cnn is left out: dwsep has no result there (not asked for)." in text
    assert "Seed 7 of dwsep is left out: cnn has no result there (failed)." in text
    assert missing == "1 of 15 runs has no result (1 failed): this is the verdict on the others."


def test_an_unfinished_sweep_says_that_it_is() -> None:
    texts = said(cell([*BEFORE[:6], "running", "missing"]), cell([*AFTER[:6], "missing", "missing"], "dwsep"))
    assert "4 of 16 runs have no result (1 running and 3 missing): this is the verdict on the others." in texts


def test_a_sweep_without_any_result_is_no_verdict_on_others() -> None:
    texts = said(cell(["missing"] * 2), cell(["running", "missing"], "dwsep"))
    assert texts[-1] == "None of 4 runs has a result (3 missing and 1 running): this is what their costs say."


def test_what_is_left_out_of_many_pairs_is_counted() -> None:
    cells = [
        cell(
            BEFORE, model, width=index + 10 * (model == "dwsep"), params=1000 * 2**index, macs=1 + index, acts=1 + index
        )
        for index in range(3)
        for model in ("cnn", "dwsep")
    ]
    found = verdict(*cells)
    assert [len(judged.pairs) for judged in found.groups] == [1, 1, 1]
    texts = paragraphs(found, most=2)
    assert sum(": dwsep, width " in text for text in texts) == 2
    assert "1 more pair in dsbench verdict." in texts
    assert not any("more pair" in text for text in paragraphs(found))


def test_nothing_to_compare_is_said() -> None:
    texts = said(cell(BEFORE, width=8, params=1, macs=1, acts=1), cell(BEFORE, width=16, params=2, macs=2, acts=2))
    assert texts == [
        "No two cells share data, recipe and either a budget or a width: there is nothing to compare.",
        "In no group: width 8; width 16.",
    ]


def test_what_is_not_measured_comes_with_the_command_that_measures_it() -> None:
    before, after = cell(BEFORE), cell(AFTER, "dwsep")
    text, command = said(before, after)
    assert "Whether it is faster has not been measured: no measurement of cnn and dwsep." in text
    assert command.endswith(f"by: dsbench bench out/runs/{before[0]['run_id']} out/runs/{after[0]['run_id']}")


def test_times_of_too_few_rounds_are_not_asked_for_as_if_they_were_missing() -> None:
    before, after = timed(cell(BEFORE), 1.0, n=5), timed(cell(AFTER, "dwsep"), 2.0, n=5)
    _, last = said(before, after)
    assert last.startswith("The times of 2 cells were measured, but not often enough to settle which is faster. More")
    assert last.endswith(f"--seconds=60 out/runs/{before[0]['run_id']} out/runs/{after[0]['run_id']}")
    (_, missing) = said(cell(BEFORE), after)
    assert missing.startswith("What is faster is measured by turns")


def test_a_cell_that_has_none_to_compare_with_is_not_to_be_measured() -> None:
    texts = said(cell(BEFORE), cell(["failed"] * 8, "dwsep"))
    assert not [text for text in texts if "dsbench bench" in text]


def test_groups_of_equal_width_are_counted_apart_from_those_of_a_budget() -> None:
    cells = [
        cell(BEFORE, model, width=width, params=params, macs=params, acts=params)
        for model, width, params in (("cnn", 8, 1000), ("dwsep", 16, 1001), ("cnn", 16, 3000))
    ]
    (overall,) = [text for text in said(*cells) if text.startswith("Over")]
    assert overall.startswith(
        "Over 2 groups, is dwsep lighter than cnn? At 1,000 parameters: equal; at equal width 16 (budgets differ): "
        "lighter (parameters x 0.334, MACs x 0.334 and activations x 0.334)."
    )


def test_of_many_groups_those_of_each_budget_and_of_equal_width_are_counted_apart() -> None:
    """By parameters dwsep is better, by activations worse, and so it is said."""
    cells = [
        cell(scores, model, width=index + 1, params=params, macs=9 * params, acts=acts, **budget(target, kind))
        for index, (kind, target, model, scores, params, acts) in enumerate(
            [
                (kind, 1000 * size, model, scores, 1000 * size + other * (kind == "acts"), 1000 * size + other)
                for size in (1, 2)
                for kind, loser in (("params", "cnn"), ("acts", "dwsep"))
                for other, model in ((0, "cnn"), (500, "dwsep"))
                for scores in (AFTER if model == loser else BEFORE,)
            ]
        )
    ]
    for one in (one for some in cells for one in some if one["requested"]["kind"] == "acts"):
        one["acts"] = one["requested"]["target"]
    (overall,) = [text for text in said(*cells) if text.startswith("Over 4 groups")]
    better = overall.partition("(p adjusted over 4 groups)? ")[2]
    assert better.startswith(
        "At equal parameters: better in 2 (+0.35 pp), n = 8 seeds; at equal activations: worse in 2"
    )


def test_what_is_slower_in_the_step_alone_is_not_called_slower() -> None:
    before, after = timed(cell(BEFORE), 1.0), timed(cell(AFTER, "dwsep"), 2.0)
    for one in (*before, *after):
        for found in one["latency_ms"].values():
            found["torch"] |= {"rounds_ms": found["torch"]["rounds_ms"][:3]}
    text = said(before, after)[0]
    assert ". It is slower in the training step, for the rest this cannot be told: training step 2 times as" in text
    assert "; latency at batch 1 left out, 3 rounds cannot settle it; lat" in text
    assert "slower:" not in text


def test_costs_that_differ_are_each_called_what_they_are() -> None:
    costs = {"params": 1000, "macs": 500, "acts": 2000, "bytes": 3000}
    (text, _) = said(cell(BEFORE), cell(AFTER, "dwsep", **costs))
    assert "dwsep is lighter than cnn in MACs and heavier in activations and bytes: as many par" in text


def test_a_refusal_says_why() -> None:
    (text, _) = said(timed(cell(BEFORE), 1.0), timed(cell(AFTER, "dwsep"), 2.0, threads=2))
    assert "Whether it is faster cannot be said: measured with different threads (1 and 2)." in text
    (unsettled, _) = said(timed(cell(BEFORE), 1.0, n=5), timed(cell(AFTER, "dwsep"), 2.0, n=5))
    assert "faster cannot be told: 5 rounds cannot settle it." in unsettled
    (text,) = said(timed(cell(BEFORE, n_jobs=1), 1.0), timed(cell(AFTER, "dwsep", n_jobs=2), 1.01))
    assert "Whether it is faster cannot be told: training step 1.01 times as long" in text
    assert "; not compared: trained with different n_jobs: 1 and 2)." in text


def test_all_groups_together_are_a_sentence_a_question() -> None:
    cells = [
        cell(scores, model, width=width + (model == "dwsep"), params=target, **budget(target))
        for target, width in ((1000, 8), (2000, 16))
        for model, scores in (("cnn", BEFORE), ("dwsep", AFTER if target == 1000 else BEFORE))
    ]
    (overall,) = [text for text in said(*cells) if text.startswith("Over 2 groups")]
    assert overall == (
        "Over 2 groups, is dwsep lighter than cnn? At 1,000 parameters: equal; at 2,000 parameters: equal. Is dwsep "
        "faster than cnn? At 1,000 parameters: not measured; at 2,000 parameters: not measured. Is dwsep better than "
        "cnn (p adjusted over 2 groups)? At 1,000 parameters: worse, -0.35 pp (95 % interval -0.39 to -0.31 pp, "
        "p = 0.016, n = 8 seeds); at 2,000 parameters: cannot tell, +0.00 pp (95 % interval +0.00 to +0.00 "
        "pp, p = 1, n = 8 seeds)."
    )


def factorial(before: list[float]) -> list[list[dict[str, Any]]]:
    """Cells of which dwsep shallow is 0.2 pp worse than `before`, and both deep ones are 0.1 pp better."""
    return [
        cell(np.add(before, effect).tolist(), model, arch=arch, acts=acts, width=acts, **budget(1000))
        for model, arch, acts, effect in (
            ("cnn", "shallow", 1, 0.0),
            ("dwsep", "shallow", 2, -0.002),
            ("cnn", "deep", 3, 0.001),
            ("dwsep", "deep", 4, 0.001),
        )
    ]


def test_the_effects_of_a_factorial_are_one_sentence() -> None:
    cells = factorial(BEFORE)
    (text,) = [text for text in said(*cells) if "block and" in text]
    assert text == (
        "1,000 parameters: block and topology apart (n = 8 seeds): "
        "block -0.10 pp (dwsep - cnn, mean over shallow and deep, 95 % interval -0.10 to -0.10 pp, adjusted p = "
        "0.023); topology +0.20 pp (deep - shallow, mean over cnn and dwsep, 95 % interval +0.20 to +0.20 pp, adjusted "
        "p = 0.023); interaction +0.20 pp (dwsep - cnn in deep, less that in shallow, 95 % interval +0.20 to +0.20 pp, "
        "adjusted p = 0.023)."
    )


def test_six_seeds_are_too_few_for_three_effects() -> None:
    cells = factorial(BEFORE[:6])
    (text,) = [text for text in said(*cells) if "block and" in text]
    too_few = "6 seeds cannot settle 3 comparisons: the smallest adjusted p that they can reach is 0.094; 7 seeds can."
    assert text.endswith(too_few)


def test_of_a_factorial_the_headline_is_the_effect_of_the_block_as_one_question() -> None:
    found = verdict(*factorial(BEFORE[:6]))
    assert headline(found)[2] == (
        "Is dwsep better than cnn? At 1,000 parameters: worse, -0.10 pp (mean over 2 pairs, 95 % interval -0.10 to "
        "-0.10 pp, p = 0.031, n = 6 seeds)."
    )
    (judged,) = found.groups
    assert judged.factorial is not None
    assert found.overall is not None
    assert found.overall.groups[0].tested.differences == pytest.approx(judged.factorial.effects[0].by_seed)


@pytest.mark.parametrize("seeds", [0, 1, 8])
def test_every_pair_has_at_least_three_sentences_however_little_is_known(seeds: int) -> None:
    cells = [
        cell([*scores[:seeds], *["missing"] * (8 - seeds)], model, width=8)
        for model, scores in (("cnn", BEFORE), ("dwsep", AFTER))
    ]
    text = said(*cells)[0]
    assert text.startswith("1,000 parameters (a matched budget as built): dwsep is as heavy as cnn: ")
    assert "Whether it is faster has not been measured: " in text
    assert ("Its test accuracy is lower by" if seeds == 8 else "Whether it is better cannot be told: ") in text
    assert "None" not in text
    assert "nan" not in text


def test_what_is_asked_for_names_the_difference_in_recipe() -> None:
    cells = cell(BEFORE), cell(AFTER, "dwsep", settings={"optimizer.lr": 0.2})
    assert said(*cells, compare="cnn,dwsep")[0].startswith("cnn and dwsep, optimizer.lr 0.1 and 0.2 (as asked): dwsep ")


def test_of_many_cells_the_first_are_named_and_the_sweep_measures_them() -> None:
    alone = [cell(BEFORE, width=2**n, params=10**n, macs=10**n, acts=10**n) for n in range(15)]
    *_, unmatched = said(*alone)
    assert unmatched.endswith("; width 2048; 3 more.")
    pairs = [
        cell(BEFORE, model, width=2**n, params=10**n, macs=10**n, acts=10**n)
        for n in range(7)
        for model in ("cnn", "dwsep")
    ]
    assert said(*pairs)[-1].endswith("by: dsbench bench out/sweeps/NAME")


def test_of_few_pairs_in_a_group_the_headline_has_each_with_its_figures() -> None:
    cells = factorial(BEFORE)
    for some, macs in zip(cells, (100, 200, 300, 450), strict=True):
        for one in some:
            one["macs"] = macs
    assert headline(verdict(*cells))[0] == (
        "Is dwsep lighter than cnn? At 1,000 parameters: dwsep, shallow against cnn, shallow heavier (MACs x 2 and "
        "activations x 2) and dwsep, deep against cnn, deep heavier (MACs x 1.5 and activations x 1.33)."
    )
