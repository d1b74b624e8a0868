"""What accuracies of chosen seeds come to: answers, families and their levels, images, failures of training."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import scipy.stats
from made import budget, cell, group, pair, verdict

from dsbench.statistics.looks import spent
from dsbench.statistics.means import Interval
from dsbench.verdict.better import key
from dsbench.verdict.rule import Answer, Family, Kept, Rule, Standing

SPREAD = [0.97 + 0.001 * seed for seed in range(8)]  # sd 0.24 points
MNIST = 0.002  # the margin


def shifted(by: float, spread: float = 0.0002, seed: int = 0, n: int = 8) -> list[float]:
    """The accuracies of SPREAD, higher by about `by` in every seed."""
    return (np.array(SPREAD[:n]) + by + np.random.default_rng(seed).normal(0, spread, n)).round(4).tolist()


@pytest.mark.parametrize("n", [3, 5, 8])
def test_a_pair_has_the_difference_interval_and_p_of_welchs_test(n: int) -> None:
    after = shifted(-0.01, 0.002, n=n)
    better = pair(cell(SPREAD[:n]), cell(after, "dwsep")).better
    expected = scipy.stats.ttest_ind(after, SPREAD[:n], equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert (better.answer, better.beyond, better.runs) == (Answer.WORSE, True, (n, n))
    assert better.mean == pytest.approx(np.mean(after) - np.mean(SPREAD[:n]))
    assert better.interval is not None
    assert (better.interval.low, better.interval.high) == pytest.approx((interval.low, interval.high))
    assert better.p == pytest.approx(expected.pvalue)
    u = scipy.stats.mannwhitneyu(after, SPREAD[:n]).statistic
    assert better.probability_of_improvement == pytest.approx(u / n**2)


def test_seeds_are_not_paired_and_each_side_has_its_own() -> None:
    after = shifted(0.003)
    better = pair(cell(SPREAD[:5]), cell([*[None] * 3, *after[3:]], "dwsep")).better
    expected = scipy.stats.ttest_ind(after[3:], SPREAD[:5], equal_var=False)
    assert better.runs == (5, 5)
    assert better.p == pytest.approx(expected.pvalue)


def test_the_order_given_decides_which_is_better() -> None:
    cells = cell(SPREAD), cell(shifted(0.01), "dwsep")
    assert pair(*cells).better.answer is Answer.BETTER
    assert pair(*reversed(cells)).better.answer is Answer.BETTER  # cnn stays the reference
    (turned,) = verdict(*cells, compare="dwsep,cnn").groups
    assert turned.comparisons[0].better.answer is Answer.WORSE


@pytest.mark.parametrize(
    ("difference", "spread", "margin", "answer", "beyond"),
    [
        (0.01, 0.0005, None, Answer.BETTER, True),
        (0.001, 0.0002, None, Answer.BETTER, False),
        (-0.01, 0.0005, None, Answer.WORSE, True),
        (0.0, 0.0005, None, Answer.AS_GOOD, False),
        (0.0, 0.0005, 0.0, Answer.CANNOT_TELL, False),
        (0.0015, 0.0025, None, Answer.NO_WORSE, False),
        (0.0, 0.005, None, Answer.CANNOT_TELL, False),
        (0.0, 0.005, 1.0, Answer.AS_GOOD, False),
    ],
)
def test_the_first_answer_that_holds(
    difference: float, spread: float, margin: float | None, answer: Answer, beyond: bool
) -> None:
    """Eight accuracies evenly about 0.9: the half interval of the difference is 1.0 times the largest deviation."""
    around = np.linspace(-spread, spread, 8)
    better = pair(
        cell((0.9 + around).tolist()), cell((0.9 + difference + around).tolist(), "dwsep"), rule=Rule(margin=margin)
    ).better
    assert (better.answer, better.beyond) == (answer, beyond)
    assert better.margin == (MNIST if margin is None else margin / 100)


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_runs_a_side_decide_nothing_however_large_the_difference(n: int) -> None:
    better = pair(cell([0.9, 0.901][:n]), cell([0.5, 0.502, 0.501], "dwsep")).better
    assert (better.answer, better.seeds_to_decide) == (Answer.TOO_FEW, None)
    assert better.mean == pytest.approx(0.501 - np.mean([0.9, 0.901][:n]))
    assert (better.interval is None) == (n == 1)


@pytest.mark.parametrize(("data", "margin"), [("mnist", 0.002), ("mnist5k", 0.01), ("cifar10", 0.01), ("mine", 0.01)])
def test_the_margin_is_that_of_the_data(data: str, margin: float) -> None:
    assert pair(cell(SPREAD, data=data), cell(SPREAD, "dwsep", data=data)).better.margin == margin


def test_what_cannot_be_told_says_how_many_seeds_would_probably_tell() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.normal(0.9, 0.01, 5), rng.normal(0.908, 0.01, 5)
    better = pair(cell(before.tolist()), cell(after.tolist(), "dwsep")).better
    assert better.answer is Answer.CANNOT_TELL
    assert better.seeds_to_decide is not None
    assert better.difference is not None
    sds = before.std(ddof=1), after.std(ddof=1)

    def power(n: int) -> float:
        tests = scipy.stats.ttest_ind(
            rng.normal(0, sds[0], (n, 4000)), rng.normal(better.mean, sds[1], (n, 4000)), equal_var=False
        )
        return float(np.mean(tests.pvalue < 0.05))

    assert power(better.seeds_to_decide) == pytest.approx(0.8, abs=0.04)


def test_pairs_of_the_headline_share_a_level_over_all_groups_and_the_others_within_theirs() -> None:
    cells = [
        cell(shifted(-loss, seed=target), model, width=target + len(model), params=target, **budget(target))
        for target in (1000, 2000, 4000)
        for model, loss in (("cnn", 0.0), ("hybrid", 0.004), ("dwsep", 0.008))
    ]
    judged = verdict(*cells)
    headline = [(pair.reference, pair.candidate) for pair in judged.headline]
    assert len(judged.groups) == 3
    assert [(first[:3], second[:5]) for first, second in headline] == [("cnn", "dwsep")] * 3
    for pair_ in judged.comparisons:
        of_headline = pair_ in judged.headline
        assert pair_.better.family is (Family.HEADLINE if of_headline else Family.OTHER)
        assert pair_.better.comparisons == (3 if of_headline else 2)
        assert pair_.better.level == pytest.approx(0.05 / pair_.better.comparisons)
        assert pair_.reliable.level == pair_.better.level
        after, before = (pair_.better.values[side] for side in (1, 0))
        interval = scipy.stats.ttest_ind(after, before, equal_var=False).confidence_interval(1 - pair_.better.level)
        assert pair_.better.interval is not None
        assert pair_.better.interval.low == pytest.approx(interval.low)


def test_a_pair_in_two_groups_is_one_comparison() -> None:
    """Equal in width and in parameters: the group of equal width is the same cells, and the pair counts once."""
    cells = [cell(SPREAD, width=8), cell(SPREAD, "dwsep", width=8), cell(SPREAD, "hybrid", width=8, params=2000)]
    judged = verdict(*cells)
    keys = [key(pair.cells) for pair in judged.comparisons]
    assert len(judged.groups) == 2
    assert sum(len(group.comparisons) for group in judged.groups) == 4
    assert len(keys) == len(set(keys)) == 3


def test_a_pair_that_is_asked_for_keeps_the_level_of_its_family() -> None:
    cells = [cell(SPREAD, model) for model in ("cnn", "hybrid", "dwsep")]
    (asked,) = verdict(*cells, compare="cnn,hybrid").groups
    assert (asked.comparisons[0].better.family, asked.comparisons[0].better.comparisons) == (Family.OTHER, 2)


@pytest.mark.parametrize("models", [("hybrid", "dwsep"), ("cnn", "hybrid"), ("cnn", "dwsep")])
def test_the_headline_is_about_the_families_that_there_are(models: tuple[str, str]) -> None:
    (headline,) = verdict(*(cell(SPREAD, model) for model in models)).headline
    assert (headline.reference, headline.candidate) == models


def test_the_headline_pairs_networks_of_one_topology_where_some_share_theirs() -> None:
    cells = [
        cell(SPREAD, arch="shallow", width=1, **budget(1000)),
        cell(SPREAD, "dwsep", arch="shallow", width=2, **budget(1000)),
        cell(shifted(0.006), "dwsep", arch="deep", width=3, **budget(1000)),
    ]
    (headline,) = verdict(*cells).headline
    assert (headline.reference, headline.candidate) == ("cnn, shallow", "dwsep, shallow")


def test_few_runs_of_unequal_spread_are_fragile() -> None:
    before, after = [0.9, 0.9001, 0.8999, 0.9, 0.9001], [0.95, 0.97, 0.93, 0.99, 0.96]
    better = pair(cell(before), cell(after, "dwsep")).better
    f = np.var(before, ddof=1) / np.var(after, ddof=1)
    assert 2 * scipy.stats.f.cdf(f, 4, 4) < 0.01
    assert (better.answer, better.fragile) == (
        Answer.BETTER,
        "few runs of unequal spread (sd 0.01 and 2.24 points)",
    )


def test_an_answer_that_a_permutation_test_contradicts_is_fragile() -> None:
    """Of many pairs of skewed samples those are fragile on which the two tests differ, and no others."""
    rng = np.random.default_rng(5)
    contradicted = 0
    for _ in range(60):
        before, after = 0.9 - 0.01 * rng.exponential(size=8), 0.908 - 0.01 * rng.exponential(size=8)
        better = pair(cell(before.tolist()), cell(after.tolist(), "dwsep")).better
        assert better.permutation_p is not None
        assert better.p is not None
        differ = (better.p < 0.05) != (better.permutation_p < 0.05)
        contradicted += differ
        assert bool(better.fragile) == differ
    assert contradicted


def test_the_permutation_test_is_scipys_where_so_few_runs_can_reject_at_all() -> None:
    for n in (3, 4, 5):
        before, after = np.random.default_rng(n).normal(0.9, 0.01, (2, n)).tolist()
        better = pair(cell(before), cell(after, "dwsep")).better
        if n == 3:
            assert better.permutation_p is None  # 2 of 20 splits
            continue

        def t(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
            return np.abs(scipy.stats.ttest_ind(first, second, equal_var=False, axis=axis).statistic)

        exact = scipy.stats.permutation_test(
            (before, after), t, n_resamples=np.inf, alternative="greater", vectorized=True
        )
        assert better.permutation_p == pytest.approx(exact.pvalue)


def images_of(cells: list[list[dict[str, object]]], images: int = 500) -> dict[str, np.ndarray]:
    """Which of `images` each run got right, at random, as often as its accuracy says."""
    rng = np.random.default_rng(0)
    return {
        str(record["run_id"]): (rng.permutation(images) < round(float(str(record["test_acc"])) * images)).astype(int)
        for records in cells
        for record in records
    }


def test_with_the_images_that_runs_got_right_the_interval_is_of_new_images_too() -> None:
    rng = np.random.default_rng(1)
    cells = [
        cell((rng.normal(mean, 0.004, 5) * 500).round().__truediv__(500).tolist(), model)
        for model, mean in (("cnn", 0.9), ("dwsep", 0.92))
    ]
    with_images = verdict(*cells, correct=images_of(cells)).comparisons[0].better
    seeds_alone = pair(*cells).better
    assert with_images.difference is not None
    assert with_images.difference.n_images == 500
    assert seeds_alone.difference is not None
    assert with_images.difference.seeds == seeds_alone.difference.seeds
    assert with_images.interval is not None
    assert seeds_alone.interval is not None
    assert with_images.interval.high - with_images.interval.low > seeds_alone.interval.high - seeds_alone.interval.low


def test_a_run_without_its_images_is_judged_without_them_and_the_others_with_theirs() -> None:
    """Four of five a side say which images: their part is that of these, the seeds' that of all."""
    rng = np.random.default_rng(1)
    cells = [cell((rng.integers(440, 460, 5) / 500).tolist(), model) for model in ("cnn", "dwsep")]
    everything = images_of(cells)
    some = {run_id: images for run_id, images in everything.items() if run_id != cells[0][0]["run_id"]}
    judged = verdict(*cells, correct=some).comparisons[0].better
    assert judged.difference is not None
    assert (judged.difference.imaged, judged.difference.seeds) == ((4, 5), pair(*cells).better.difference.seeds)  # type: ignore[union-attr]
    assert judged.without_images == (cells[0][0]["run_id"],)
    shorter = everything | {str(cells[0][0]["run_id"]): np.ones(250, dtype=int)}
    other = verdict(*cells, correct=shorter)
    assert other.comparisons[0].better.interval == judged.interval
    assert other.damaged == {cells[0][0]["run_id"]: "it has 250 images, not 500"}


def test_a_pair_the_other_way_round_has_the_same_interval_and_cost() -> None:
    cells = [
        cell(SPREAD, width=8, params=1000, **budget(1000)),
        cell(shifted(0.01), "dwsep", width=9, params=940, **budget(1000)),
        cell(SPREAD, "hybrid", width=9, params=1000, **budget(1000)),
    ]
    straight, turned = (
        verdict(*cells, compare=names).groups[0].comparisons[0] for names in ("cnn,hybrid", "hybrid,cnn")
    )
    assert (straight.better.comparisons, turned.better.comparisons) == (2, 2)
    assert straight.better.interval is not None
    assert turned.better.interval is not None
    assert turned.better.interval.low == pytest.approx(-straight.better.interval.high)
    (asked,) = verdict(*cells, compare="dwsep,cnn").groups
    assert asked.comparisons[0].lighter[0].answer is Answer.EQUAL


def test_too_few_images_cannot_tell_whatever_the_seeds() -> None:
    """50 images, on which each family is right on another nine tenths: their part alone is wider than the margin."""
    cells = [cell([0.9] * 4, "cnn", data="mnist5k"), cell([0.9] * 4, "dwsep", data="mnist5k")]
    correct = {
        str(record["run_id"]): np.arange(50) % 10 != number
        for number, records in enumerate(cells)
        for record in records
    }
    better = verdict(*cells, correct=correct).comparisons[0].better
    assert (better.answer, better.images_cannot_tell, better.seeds_to_decide) == (Answer.CANNOT_TELL, 50, None)


def test_two_trained_networks_are_compared_on_the_images_by_mcnemars_test() -> None:
    cells = [cell([0.6], "cnn"), cell([0.8], "dwsep")]
    right = [np.arange(50) < 30, (np.arange(50) < 44) & (np.arange(50) > 3)]
    correct = {str(records[0]["run_id"]): images for records, images in zip(cells, right, strict=True)}
    better = verdict(*cells, correct=correct).comparisons[0].better
    assert better.answer is Answer.TOO_FEW
    assert better.mcnemar_p == pytest.approx(scipy.stats.binomtest(4, 4 + 14).pvalue)


def test_a_decision_stands_as_of_its_look() -> None:
    cells = [cell(SPREAD), cell(shifted(0.01), "dwsep")]
    (before,) = verdict(*cells).comparisons
    standing = Standing((0.2,), 1, (frozenset(range(3)), frozenset(range(4))))
    (after,) = verdict(*cells, rule=Rule(standings={key(before.cells): standing})).comparisons
    assert (after.better.runs, after.better.look) == ((3, 4), 1)
    assert after.better.level == pytest.approx(spent(0.2))
    assert after.better.runs_later == 5 + 4


def test_a_decision_is_kept_whatever_becomes_of_its_runs() -> None:
    cells = [cell(SPREAD), cell(shifted(0.01), "dwsep")]
    (before,) = verdict(*cells).comparisons
    kept = Kept(0.02, Interval(0.015, 0.025), 0.01, 3)
    standing = Standing((0.2,), 1, (frozenset(range(8)), frozenset(range(8))), kept)
    for candidate in (shifted(0.01), ["failed"] * 8):
        rule = Rule(standings={key(before.cells): standing})
        (after,) = verdict(cell(SPREAD), cell(candidate, "dwsep"), rule=rule).comparisons
        better = after.better
        assert (better.answer, better.mean, better.interval, better.level) == (Answer.BETTER, 0.02, kept.interval, 0.01)
        assert (better.comparisons, better.changed) == (3, True)
    (turned,) = verdict(*cells, compare="dwsep,cnn", rule=rule).groups
    assert turned.comparisons[0].better.interval == Interval(-0.025, -0.015)
    assert turned.comparisons[0].better.answer is Answer.WORSE


def test_failures_of_training_are_in_no_mean() -> None:
    fallen: list[float | str | None] = [*shifted(0.003)]
    fallen[2], fallen[4] = "collapsed", "diverged"
    kept = [accuracy for accuracy in fallen if isinstance(accuracy, float)]
    better = pair(cell(SPREAD), cell(fallen, "dwsep")).better
    assert better.mean == pytest.approx(np.mean(kept) - np.mean(SPREAD))
    assert better.runs == (8, 6)


def test_without_a_finished_run_all_that_is_known_is_the_cost() -> None:
    comparison = pair(cell(["missing"] * 8, macs=100), cell(["running"] * 8, "dwsep", macs=50))
    assert (comparison.better.answer, comparison.better.mean) == (Answer.TOO_FEW, None)
    assert {measure.name: measure.answer for measure in comparison.lighter}["macs"] is Answer.LIGHTER


FACTORIAL = (
    ("cnn", "shallow", 100, 0.0),
    ("dwsep", "shallow", 200, -0.004),
    ("cnn", "deep", 300, 0.001),
    ("dwsep", "deep", 400, 0.003),
)


def factorial_scores(noise: float = 0.0005, n: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [0.97 + effect + rng.normal(0, noise, n) for *_, effect in FACTORIAL]


def factorial_cells(scores: list[np.ndarray]) -> list[list[dict[str, object]]]:
    return [
        cell(accuracies.tolist(), model, arch=arch, acts=acts, width=index, **budget(1000))
        for index, ((model, arch, acts, _), accuracies) in enumerate(zip(FACTORIAL, scores, strict=True))
    ]


def test_block_and_depth_are_told_apart() -> None:
    """Effects of -0.1, +0.4 and an interaction of +0.6 points, by sums of means and of squared standard errors."""
    scores = factorial_scores()
    factorial = group(*factorial_cells(scores)).factorial
    assert factorial is not None
    assert (factorial.families, factorial.topologies) == (("cnn", "dwsep"), ("shallow", "deep"))
    weights = {"block": (-1, 1, -1, 1), "topology": (-1, -1, 1, 1), "interaction": (2, -2, -2, 2)}
    for effect in factorial.effects:
        w = np.array(weights[effect.name]) / 2
        parts = np.array([weight**2 * values.var(ddof=1) / 8 for weight, values in zip(w, scores, strict=True)])
        df = parts.sum() ** 2 / (parts**2 / 7).sum()
        half = scipy.stats.t.ppf(1 - 0.05 / 3 / 2, df) * parts.sum() ** 0.5
        mean = sum(weight * values.mean() for weight, values in zip(w, scores, strict=True))
        assert effect.better.interval is not None
        assert effect.better.mean == pytest.approx(mean)
        assert (effect.better.interval.low, effect.better.interval.high) == pytest.approx((mean - half, mean + half))
        assert (effect.better.family, effect.better.comparisons) == (Family.EFFECT, 3)
    assert {effect.name: str(effect.better.answer) for effect in factorial.effects} == {
        "block": "worse",
        "topology": "better",
        "interaction": "better",
    }


def test_the_topology_with_more_activations_is_the_second_in_whatever_order_they_come() -> None:
    factorial = group(*reversed(factorial_cells(factorial_scores()))).factorial
    assert factorial is not None
    assert factorial.topologies == ("shallow", "deep")


def test_a_factorial_needs_all_four_and_three_runs_of_each() -> None:
    cells = factorial_cells(factorial_scores())
    assert group(*cells[:3]).factorial is None
    cells[2] = cells[2][:2]
    factorial = group(*cells).factorial
    assert factorial is not None
    assert {effect.better.answer for effect in factorial.effects} == {Answer.TOO_FEW}


def test_every_pair_of_a_group_is_compared_once() -> None:
    cells = [cell(shifted(0.001 * index), "dwsep", width=index + 1, arch=f"a{index}") for index in range(5)]
    judged = group(*cells)
    assert len(judged.comparisons) == len(list(combinations(cells, 2))) == 10
    assert {pair.better.level for pair in judged.comparisons} == {0.005}
