"""What accuracies of chosen seeds come to: answers, failures of training, seeds that stand alone, too few seeds."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from made import budget, cell, group, pair, verdict

from dsbench.verdict.answers import Answer
from dsbench.verdict.pair_sentences import better_sentence
from dsbench.verdict.sentences import factorial_sentence, failures, headline, paragraphs

BASE = [0.97 + 0.001 * seed for seed in range(8)]


def lower(by: float, spread: float = 0.0002, seed: int = 0) -> list[float]:
    """The accuracies of BASE, lower by about `by` in every seed."""
    return (np.array(BASE) - by + np.random.default_rng(seed).normal(0, spread, 8)).round(4).tolist()


def test_a_loss_in_all_eight_seeds_is_no_with_the_figures_of_scipy() -> None:
    after = lower(0.003)
    found = pair(cell(BASE), cell(after, "dwsep")).better
    expected = scipy.stats.ttest_rel(after, BASE)
    interval = expected.confidence_interval(0.95)
    test = found.tested.paired
    assert test is not None
    assert test.t is not None
    assert found.tested.differences == pytest.approx(np.subtract(after, BASE))
    assert (found.answer, test.n, test.p) == (Answer.NO, 8, 2 / 2**8)
    assert test.mean == pytest.approx(np.mean(np.subtract(after, BASE)))
    assert (test.t.low, test.t.high) == pytest.approx((interval.low, interval.high))
    u = scipy.stats.mannwhitneyu(after, BASE).statistic
    assert found.probability_of_improvement == pytest.approx(u / 64)
    assert found.seeds_needed is None


def test_the_same_gain_is_yes_and_the_order_given_decides_which() -> None:
    cells = cell(BASE), cell(lower(-0.003), "dwsep")
    assert pair(*cells).better.answer is Answer.YES
    assert pair(*reversed(cells)).better.answer is Answer.YES  # cnn stays the reference
    (turned,) = verdict(*cells, compare="dwsep,cnn").groups
    assert turned.pairs[0].better.answer is Answer.NO


def test_equal_accuracies_in_all_seeds_cannot_tell_and_no_seeds_would() -> None:
    found = pair(cell(BASE), cell(BASE, "dwsep")).better
    assert (found.answer, found.tested.adjusted_p, found.seeds_needed) == (Answer.CANNOT_TELL, 1, None)
    assert found.probability_of_improvement == 0.5


def test_a_small_difference_cannot_be_told_and_says_how_many_seeds_would() -> None:
    after = np.add(BASE, [0.002, -0.001, 0.002, -0.001, 0.001, -0.0005, 0.001, 0.0005]).tolist()
    found = pair(cell(BASE), cell(after, "dwsep")).better
    assert found.answer is Answer.CANNOT_TELL
    assert found.seeds_needed is not None
    assert found.seeds_needed > 8
    differences = np.subtract(after, BASE)
    effect = differences.mean() / differences.std(ddof=1)
    power = [
        scipy.stats.nct.sf(scipy.stats.t.ppf(0.975, n - 1), n - 1, effect * np.sqrt(n))
        for n in (found.seeds_needed - 1, found.seeds_needed)
    ]
    assert power[0] < 0.8 <= power[1]


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_fewer_than_six_seeds_settle_nothing_however_large_the_difference(seeds: int) -> None:
    judged = group(cell([0.9] * seeds), cell([0.5] * seeds, "dwsep"))
    assert judged.pairs[0].better.answer is Answer.CANNOT_TELL
    assert judged.smallest_adjusted_p == 2 / 2**seeds
    assert judged.seeds_to_settle == 6


def test_one_seed_has_a_difference_and_no_interval() -> None:
    test = pair(cell([0.9]), cell([0.8], "dwsep")).better.tested.paired
    assert test is not None
    assert (test.n, test.mean, test.sd, test.t, test.bca, test.p) == (1, pytest.approx(-0.1), None, None, None, 1)


def test_p_is_adjusted_over_the_pairs_of_a_group_and_not_over_other_groups() -> None:
    """Three families at three budgets: eight seeds settle the three pairs of each, and never nine at once."""
    cells = [
        cell(lower(loss, seed=target), model, width=target + len(model), params=target, **budget(target))
        for target in (1000, 2000, 4000)
        for model, loss in (("cnn", 0.0), ("hybrid", 0.004), ("dwsep", 0.008))
    ]
    found = verdict(*cells)
    pairs = [one for judged in found.groups for one in judged.pairs]
    assert len(found.groups) == 3
    assert len(pairs) == 9
    assert {one.better.tested.paired.p for one in pairs if one.better.tested.paired} == {2 / 256}
    assert {one.better.tested.adjusted_p for one in pairs} == {6 / 256}
    assert {one.better.answer for one in pairs} == {Answer.NO}
    assert 9 * 2 / 256 > 0.05
    assert found.overall is not None  # of the conventional and the fully separable family alone
    assert (found.overall.reference, found.overall.candidate) == ("cnn", "dwsep")
    assert [of.tested.adjusted_p for of in found.overall.groups] == [6 / 256] * 3
    assert {of.tested.answer for of in found.overall.groups} == {Answer.NO}


def test_ten_pairs_of_one_group_are_too_many_for_eight_seeds() -> None:
    """Five cells make ten pairs: the least p is 20 / 256, whatever the accuracies."""
    cells = [
        cell(lower(0.01 * index), "dwsep" if index else "cnn", width=index + 1, arch=f"a{index}") for index in range(5)
    ]
    judged = group(*cells)
    assert len(judged.pairs) == 10
    assert judged.smallest_adjusted_p == pytest.approx(20 / 256)
    assert judged.seeds_to_settle == 9
    assert {one.better.answer for one in judged.pairs} == {Answer.CANNOT_TELL}


def test_the_sentence_over_all_groups_is_adjusted_for_all_groups() -> None:
    """Seven groups of one pair: each is settled by itself, at 2/256; the seven together are not, at 14/256."""
    cells = [
        cell(lower(loss, seed=index), model, width=10 * index + 1 + len(model), params=1000 * 2**index)
        for index in range(7)
        for model, loss in (("cnn", 0.0), ("dwsep", 0.004))
    ]
    found = verdict(*[[one | budget(one["params"]) for one in some] for some in cells])
    assert [judged.pairs[0].better.answer for judged in found.groups] == [Answer.NO] * 7
    one = found.overall
    assert one is not None
    assert one.smallest_adjusted_p == pytest.approx(14 / 256)
    assert one.seeds_to_settle == 9
    assert {of.tested.answer for of in one.groups} == {Answer.CANNOT_TELL}
    better = headline(found)[2]
    assert better.startswith(
        "Is dwsep better than cnn (p adjusted over 7 groups)? At equal parameters: cannot tell in 7 ("
    )
    assert "worse" not in better
    assert better in paragraphs(found)[-2]


def test_without_the_two_extremes_the_sentence_is_about_the_families_that_there_are() -> None:
    for models in (("hybrid", "dwsep"), ("cnn", "hybrid")):
        one = verdict(*(cell(BASE, model) for model in models)).overall
        assert one is not None
        assert (one.reference, one.candidate) == models


def test_seeds_that_a_family_has_not_in_all_its_cells_are_in_no_mean_and_counted_in_when_they_failed() -> None:
    """Two cells of dwsep in one of two groups, one of which collapsed in seed 2."""
    fallen: list[float | str | None] = [*lower(0.004)]
    fallen[2] = "collapsed"
    cells = [
        cell(BASE, width=1, **budget(1000)),
        cell(lower(0.004), "dwsep", width=2, **budget(1000)),
        cell(fallen, "dwsep", width=3, **budget(1000)),
        cell(BASE, width=4, params=2000, **budget(2000)),
        cell(lower(0.004), "dwsep", width=5, params=2000, **budget(2000)),
    ]
    one = verdict(*cells).overall
    assert one is not None
    first, second = one.groups
    assert (first.tested.seeds, first.asked, len(second.tested.seeds)) == ((0, 1, 3, 4, 5, 6, 7), 8, 8)
    assert first.with_failures.differences[2] == pytest.approx((lower(0.004)[2] + 0.1135) / 2 - BASE[2])
    assert second.with_failures == second.tested
    assert failures(one) == [
        "dwsep failed in 1 of 16 runs at 1,000 parameters (1 collapsed).",
        "Counting runs that collapsed or diverged, at what they ended with or at guessing, would change no answer.",
    ]


def test_costs_of_other_topologies_are_left_out_where_some_share_theirs() -> None:
    cells = factorial_cells(np.zeros((4, 8)))
    for some, macs in zip(
        cells, (100, 50, 1000, 500), strict=True
    ):  # the deep one of dwsep costs more than shallow cnn
        for one in some:
            one["macs"] = macs
    one = verdict(*cells).overall
    assert one is not None
    assert one.groups[0].answers["lighter"] == [Answer.MIXED, Answer.MIXED]


def test_a_family_that_collapses_in_two_of_eight_has_it_in_its_verdict() -> None:
    after: list[float | str | None] = [*lower(-0.004)]
    after[2] = after[5] = "collapsed"
    found = pair(cell(BASE), cell(after, "dwsep")).better
    assert found.tested.seeds == (0, 1, 3, 4, 6, 7)
    assert (found.answer, found.tested.adjusted_p) == (Answer.YES, 2 / 64)
    assert [run.seed for run in found.failed_candidate] == [2, 5]
    assert (found.failed_reference, found.unpaired.reference) == ((), ())
    counted = found.with_failures
    assert counted is not None
    assert counted.seeds == tuple(range(8))
    assert counted.answer is Answer.CANNOT_TELL
    assert counted.paired is not None
    scores = [0.1135 if one == "collapsed" else float(str(one)) for one in after]
    assert counted.paired.mean == pytest.approx(np.mean(np.subtract(scores, BASE)))


def test_a_diverged_run_counts_as_guessing_among_the_classes_of_its_data() -> None:
    own = {"data": "a_set_of_my_own", "classes": 4}
    found = pair(cell(BASE, **own), cell(["diverged", *BASE[1:]], "dwsep", **own)).better
    assert found.with_failures is not None
    assert found.with_failures.paired is not None
    assert found.with_failures.paired.mean == pytest.approx((0.25 - BASE[0]) / 8)


def test_without_failures_nothing_is_counted_twice() -> None:
    assert pair(cell(BASE), cell(BASE, "dwsep")).better.with_failures is None


def test_seeds_of_one_alone_are_in_no_pair_and_are_named() -> None:
    before: list[float | str | None] = [*BASE]
    before[1] = "failed"
    after: list[float | str | None] = [*lower(0.003)]
    after[6], after[7] = None, "running"
    found = pair(cell(before), cell(after, "dwsep")).better
    assert found.tested.seeds == (0, 2, 3, 4, 5)
    assert (found.unpaired.reference, found.unpaired.candidate) == ((6, 7), (1,))
    assert found.failed_reference == found.failed_candidate == ()


def test_an_unfinished_sweep_counts_what_is_missing() -> None:
    found = verdict(cell([*BASE[:6], "running", "missing"]), cell([*lower(0.003)[:6], "missing", "missing"], "dwsep"))
    assert found.unfinished == 4
    assert found.statuses == {"done": 12, "running": 1, "missing": 3}
    assert found.groups[0].pairs[0].better.answer is Answer.NO


def test_without_a_finished_run_all_that_is_known_is_the_cost() -> None:
    one = pair(cell(["missing"] * 8, macs=100), cell(["running"] * 8, "dwsep", macs=50))
    assert (one.better.answer, one.better.tested.adjusted_p) == (Answer.CANNOT_TELL, None)
    assert {measure.name: measure.answer for measure in one.lighter}["macs"] is Answer.YES


FACTORIAL = (
    ("cnn", "shallow", 100, 0.0),
    ("dwsep", "shallow", 200, -0.004),
    ("cnn", "deep", 300, 0.001),
    ("dwsep", "deep", 400, 0.003),
)


def factorial_cells(noise: np.ndarray) -> list[list[dict[str, object]]]:
    return [
        cell(
            (np.array(BASE) + effect + noise[index]).tolist(), model, arch=arch, acts=acts, width=index, **budget(1000)
        )
        for index, (model, arch, acts, effect) in enumerate(FACTORIAL)
    ]


def test_block_and_depth_are_told_apart() -> None:
    """Effects of -0.1 pp, +0.4 pp and an interaction of +0.6 pp, paired by seed, are those of scipy's tests."""
    noise = np.random.default_rng(0).normal(0, 0.0005, (4, 8))
    found = group(*factorial_cells(noise)).factorial
    assert found is not None
    assert (found.families, found.topologies, found.seeds) == (("cnn", "dwsep"), ("shallow", "deep"), tuple(range(8)))
    scores = [np.array(BASE) + effect + noise[index] for index, (*_, effect) in enumerate(FACTORIAL)]
    cnn_shallow, dwsep_shallow, cnn_deep, dwsep_deep = scores
    expected = {
        "block": (dwsep_shallow + dwsep_deep - cnn_shallow - cnn_deep) / 2,
        "topology": (cnn_deep + dwsep_deep - cnn_shallow - dwsep_shallow) / 2,
        "interaction": (dwsep_deep - cnn_deep) - (dwsep_shallow - cnn_shallow),
    }
    for effect in found.effects:
        t = scipy.stats.ttest_1samp(expected[effect.name], 0).confidence_interval(0.95)
        assert effect.paired is not None
        assert effect.paired.t is not None
        assert effect.by_seed == pytest.approx(expected[effect.name])
        assert effect.paired.mean == pytest.approx(expected[effect.name].mean())
        assert (effect.paired.t.low, effect.paired.t.high) == pytest.approx((t.low, t.high))
    assert {effect.name: str(effect.answer) for effect in found.effects} == {
        "block": "no",
        "topology": "yes",
        "interaction": "yes",
    }


def test_the_topology_with_more_activations_is_the_second_in_whatever_order_they_come() -> None:
    found = group(*reversed(factorial_cells(np.zeros((4, 8))))).factorial
    assert found is not None
    assert found.topologies == ("shallow", "deep")


def test_a_factorial_uses_the_seeds_of_all_four_and_needs_all_four() -> None:
    cells = factorial_cells(np.zeros((4, 8)))
    cells[3][4]["status"] = "collapsed"
    del cells[0][0]
    found = group(*cells).factorial
    assert found is not None
    assert found.seeds == (1, 2, 3, 5, 6, 7)
    assert group(*cells[:3]).factorial is None


def test_a_factorial_without_results_has_no_effects() -> None:
    cells = [
        [one | {"status": "missing", "test_acc": None} for one in some] for some in factorial_cells(np.zeros((4, 8)))
    ]
    found = group(*cells).factorial
    assert found is not None
    assert (found.seeds, [effect.paired for effect in found.effects]) == ((), [None] * 3)


def test_regimes_stand_side_by_side() -> None:
    cells = [
        cell([accuracy] * 2, model, width=8, stop={"by": by, "target": target})
        for (by, target), accuracy in {("epochs", 15): 0.9, ("train_macs", 1e12): 0.8, ("seconds", 60): 0.7}.items()
        for model in ("cnn", "dwsep")
        if (model, by) != ("dwsep", "seconds")
    ]
    found = verdict(*cells)
    assert len(found.groups) == 2
    assert [row.network for row in found.regimes] == ["cnn", "dwsep block keras"]
    assert [str(one) for one in found.regimes[0].regimes] == [
        "15 epochs",
        "1e+12 training MACs",
        "60 seconds (a CPU, threads 1)",
    ]
    means = [[one and one.mean for one in row.accuracies] for row in found.regimes]
    assert means == [pytest.approx([0.9, 0.8, 0.7]), [pytest.approx(0.9), pytest.approx(0.8), None]]
    assert verdict(*cells[:2]).regimes == ()


def test_seconds_of_two_machines_are_two_regimes() -> None:
    cells = [
        cell([accuracy], stop={"by": "seconds", "target": 60}, threads=threads, cell_id=f"{threads} threads")
        for threads, accuracy in ((1, 0.7), (2, 0.8))
    ]
    (row,) = verdict(*cells).regimes
    assert [(str(regime), one and one.mean) for regime, one in zip(row.regimes, row.accuracies, strict=True)] == [
        ("60 seconds (a CPU, threads 1)", 0.7),
        ("60 seconds (a CPU, threads 2)", 0.8),
    ]


def test_all_questions_of_the_headline_are_about_the_same_pairs() -> None:
    """The deep network, which only one family has, is better; the shallow ones are alike in accuracy."""
    cells = [
        cell(BASE, arch="shallow", width=1, macs=1000, **budget(1000)),
        cell(BASE, "dwsep", arch="shallow", width=2, macs=500, **budget(1000)),
        cell(lower(-0.006), "dwsep", arch="deep", width=3, macs=5000, **budget(1000)),
    ]
    one = verdict(*cells).overall
    assert one is not None
    (of,) = one.groups
    assert [(pair.reference, pair.candidate) for pair in of.pairs] == [("cnn, shallow", "dwsep, shallow")]
    assert of.answers == {"lighter": [Answer.YES], "faster": [Answer.NOT_MEASURED], "better": [Answer.CANNOT_TELL]}
    assert of.tested.differences == (0.0,) * 8


def test_a_factorial_says_how_many_seeds_it_lost_and_what_they_would_change() -> None:
    """The block costs 0.1 pp in each of six seeds; in the two others dwsep collapsed once each."""
    cells = factorial_cells(np.zeros((4, 8)))
    for number, seed in ((1, 6), (3, 7)):
        cells[number][seed] |= {"status": "collapsed", "test_acc": 0.1135}
    judged = group(*cells)
    found = judged.factorial
    assert found is not None
    assert (found.seeds, found.asked) == ((0, 1, 2, 3, 4, 5), 8)
    assert found.with_failures is not None
    block = found.with_failures[0]
    assert block.by_seed[:6] == pytest.approx(found.effects[0].by_seed)
    deep = cells[3][6]["test_acc"] - cells[2][6]["test_acc"]
    assert block.by_seed[6] == pytest.approx((deep + 0.1135 - BASE[6]) / 2)
    assert (found.effects[0].answer, block.answer) == (Answer.CANNOT_TELL, Answer.NO)
    assert "(n = 6 of 8 seeds)" in factorial_sentence(found)
    assert "would change the answer on the block to no" in factorial_sentence(found)


def test_the_seeds_needed_count_the_trainings_that_fail() -> None:
    """5 of 8 train: 6 seeds in which both do are 10 begun."""
    after: list[float | str | None] = [one + 0.004 for one in BASE]
    after[:3] = ["collapsed"] * 3
    found = pair(cell(BASE), cell(after, "dwsep")).better
    assert (found.seeds_needed, len(found.tested.seeds)) == (6, 5)
    assert better_sentence(found).endswith(
        "about 6 seeds would probably tell, if the differences are as they seem and both train in them, as in 5 of 8 "
        "here: about 10 have to be begun."
    )


def test_a_training_that_fails_beats_none() -> None:
    """8 trainings against 8: the 5 that train are above all, the 3 that collapse below all."""
    after: list[float | str | None] = [0.999] * 8
    after[:3] = ["collapsed"] * 3
    found = pair(cell(BASE), cell(after, "dwsep")).better
    assert (found.probability_of_improvement, found.probability_with_failures) == (1.0, 5 / 8)
    assert pair(cell(BASE), cell(BASE, "dwsep")).better.probability_with_failures is None


def test_seeds_that_nobody_asked_for_are_not_lost() -> None:
    one = verdict(cell(BASE), cell(lower(0.004)[:4], "dwsep")).overall
    assert one is not None
    assert (len(one.groups[0].tested.seeds), one.groups[0].asked) == (4, 4)
