"""What a designed experiment says of slots, on results that were given known effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from made import timed
from synthetic import read, run

from dsbench.results.records import runs_table
from dsbench.statistics.fractions import smallest_fraction
from dsbench.verdict.rule import Answer
from dsbench.verdict.slots import Experiment, Sensitivity, entries, sensitivity

MARGIN = 0.01
Plain = dict[str, Any]
PARAMS = np.array([100, 200, 400, 800, 1600, 3200])  # that each slot saves


def experiment(
    accuracy: Callable[[np.ndarray], float],
    slots: int = 3,
    seeds: int = 2,
    most: int = 64,
    noise: float = 0.0,
    change: Callable[[Plain], list[Plain]] = lambda record: [record],
    **facts: Any,
) -> Experiment:
    """Runs whose validation accuracy is `accuracy` of the pattern, and whose parameters each slot makes fewer."""
    rng, design = np.random.default_rng(0), smallest_fraction(slots, most)
    records, patterns = [], {}
    for pattern in design.patterns:
        params = int(10_000 - pattern @ PARAMS[:slots])
        costs = {"params": params, "macs": 7 * params, "bytes": 4 * params, "acts": 500}
        own = {"settings": {"model.pattern": entries(pattern, range(2, slots + 2), slots + 1)}} | costs | facts
        for seed in range(seeds):
            made = run(seed=seed, best_val_acc=accuracy(pattern) + rng.normal(0, noise), model="hybrid", **own)
            patterns[made["cell_id"]] = tuple(map(bool, pattern))
            records += change(made)
    known = read(records)
    by_id = {record.run_id: record for record in known}
    return Experiment(design, tuple(range(2, slots + 2)), slots + 1, patterns, runs_table(known), by_id)


def found(made: Experiment, cost: str = "params") -> Sensitivity:
    return sensitivity(made, MARGIN, cost)


def additive(*effects: float) -> Callable[[np.ndarray], float]:
    return lambda pattern: 0.9 + float(pattern @ np.array(effects))


def by_number(effects: Sensitivity) -> dict[int, float]:
    return {slot.number: slot.accuracy.mean for slot in effects.slots if slot.accuracy}


def test_effects_are_those_that_were_put_in_and_costs_those_that_each_slot_saves() -> None:
    effects = found(experiment(additive(-0.002, 0.001, -0.03)))
    assert by_number(effects) == pytest.approx({2: -0.002, 3: 0.001, 4: -0.03})
    assert [slot.costs["params"].mean for slot in effects.slots] == pytest.approx([-100, -200, -400])
    assert [slot.costs["macs"].mean for slot in effects.slots] == pytest.approx([-700, -1400, -2800])
    assert [slot.costs["acts"].mean for slot in effects.slots] == [0, 0, 0]
    assert "train_step_ms" not in effects.slots[0].costs


def test_the_hybrid_is_the_cheapest_of_all_patterns_that_lose_no_more_than_the_margin() -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        losses = rng.normal(-0.004, 0.006, 6)
        proposal = found(experiment(additive(*losses), slots=6)).proposal
        within = [own for own in product((0, 1), repeat=6) if any(own) and np.dot(own, losses) >= -MARGIN]
        cheapest = max(within, key=lambda own: np.dot(own, PARAMS), default=None)
        assert (proposal and proposal.pattern) == (cheapest and tuple(map(bool, cheapest)))
        if proposal is not None and cheapest is not None:
            assert proposal.accuracy.mean == pytest.approx(np.dot(cheapest, losses))
            assert proposal.saved["params"] == pytest.approx(np.dot(cheapest, PARAMS) / 10_000)


def test_an_interaction_keeps_two_slots_apart_that_would_each_do() -> None:
    def accuracy(pattern: np.ndarray) -> float:
        return 0.9 - 0.02 * float(pattern[0] and pattern[2])

    effects = found(experiment(accuracy, noise=1e-5))
    (seen,) = [one for one in effects.interactions if one.seen]
    assert seen.pairs == ((2, 4),)
    assert seen.change.mean == pytest.approx(-0.02, abs=1e-4)
    assert effects.proposal is not None
    assert effects.proposal.pattern == (False, True, True)


def test_of_resolution_iv_chains_are_named_and_the_hybrid_goes_by_the_slots_alone() -> None:
    effects = found(experiment(additive(0, 0, 0, 0, 0, -0.03), slots=6, most=16))
    assert effects.design.runs == 16
    assert max(len(one.pairs) for one in effects.interactions) > 1
    assert by_number(effects)[7] == pytest.approx(-0.03)
    assert effects.proposal is not None
    assert effects.proposal.pattern == (True, True, True, True, True, False)


def test_answers_are_those_of_simultaneous_intervals_and_the_margin() -> None:
    effects = found(experiment(additive(-0.03, 0.03, 0.0), seeds=4, noise=0.002))
    assert [slot.answer for slot in effects.slots] == [Answer.WORSE, Answer.BETTER, Answer.AS_GOOD]


@pytest.mark.parametrize("status", ["collapsed", "diverged"])
def test_failed_trainings_are_counted_by_slot_and_in_no_mean(status: str) -> None:
    def failing(record: Plain) -> list[Plain]:
        separable = record["settings"]["model.pattern"][3] == "separable"
        return [record | {"status": status, "best_val_acc": 0.1} if separable and record["seed"] == 0 else record]

    effects = found(experiment(additive(-0.002, 0.001, -0.03), change=failing))
    assert by_number(effects) == pytest.approx({2: -0.002, 3: 0.001, 4: -0.03})
    assert (effects.trained, effects.failed, effects.left) == (16, 4, 0)
    assert [slot.failed for slot in effects.slots] == [((2, 8), (2, 8)), ((2, 8), (2, 8)), ((0, 8), (4, 8))]


def test_where_all_trainings_of_a_slot_fail_nothing_is_told_and_nothing_proposed() -> None:
    def failing(record: Plain) -> list[Plain]:
        separable = record["settings"]["model.pattern"][3] == "separable"
        return [record | {"status": "collapsed"} if separable else record]

    effects = found(experiment(additive(0, 0, 0), change=failing))
    assert [slot.accuracy for slot in effects.slots] == [None] * 3
    assert {slot.answer for slot in effects.slots} == {Answer.TOO_FEW}
    assert effects.proposal is None


@pytest.mark.parametrize("status", ["missing", "failed", "killed"])
def test_runs_without_a_result_are_left(status: str) -> None:
    effects = found(experiment(additive(0, 0, 0), change=lambda record: [record | {"status": status}]))
    assert (effects.trained, effects.left) == (0, 16)


def test_times_that_all_patterns_took_by_turns_have_effects_with_intervals_over_repeats() -> None:
    def measured(record: Plain) -> list[Plain]:
        if record["seed"]:
            return [record]
        return timed([record], 20 - record["settings"]["model.pattern"].count("separable"), spread=0.01)

    effects = found(experiment(additive(0, 0, 0), change=measured), "train_step_ms")
    steps: list[Mapping[str, Any]] = [vars(slot.costs["train_step_ms"]) for slot in effects.slots]
    assert [step["mean"] for step in steps] == pytest.approx([-1] * 3, rel=0.02)
    assert all(step["interval"].low < -1 < step["interval"].high for step in steps)
    assert effects.proposal is not None
    assert effects.proposal.pattern == (True, True, True)
    assert effects.proposal.saved["train_step_ms"] == pytest.approx(3 / 20, rel=0.02)


def test_without_times_nothing_is_proposed_by_a_time() -> None:
    assert found(experiment(additive(0, 0, 0)), "latency_ms").proposal is None


def test_a_cost_that_no_slot_saves_proposes_nothing() -> None:
    assert found(experiment(additive(0, 0, 0)), "acts").proposal is None


def test_the_seeds_that_would_decide_do() -> None:
    effects = additive(-0.03, 0.006, 0.0)
    few = found(experiment(effects, seeds=2, noise=0.012))
    assert few.seeds_to_decide is not None
    assert 2 < few.seeds_to_decide < 30
    assert found(experiment(effects, seeds=2 * few.seeds_to_decide, noise=0.012)).seeds_to_decide is None


def test_what_fails_once_in_a_while_leaves_the_times_of_all_other_patterns() -> None:
    """The pattern of the first two slots has no run that is done, so none that could be measured."""

    def measured(record: Plain) -> list[Plain]:
        separable = record["settings"]["model.pattern"][1:]
        if separable == ["separable", "separable", "plain"]:
            return [record | {"status": "collapsed"}]
        return [record] if record["seed"] else timed([record], 20 - separable.count("separable"), spread=0.01)

    effects = found(experiment(additive(0, 0, 0), change=measured), "train_step_ms")
    steps = [slot.costs["train_step_ms"].mean for slot in effects.slots]
    assert steps == pytest.approx([-1] * 3, rel=0.03)
    assert effects.proposal is not None
    assert effects.proposal.pattern == (True, True, True)
    assert (effects.proposal.failed, effects.proposal.worst) == ((0, 2), None)


@pytest.mark.parametrize(("seeds", "failed", "kept"), [(2, 1, True), (2, 2, False), (3, 2, False)])
def test_no_pattern_is_proposed_most_of_whose_trainings_failed(seeds: int, failed: int, kept: bool) -> None:
    def failing(record: Plain) -> list[Plain]:
        all_separable = record["settings"]["model.pattern"][1:] == ["separable"] * 3
        return [record | {"status": "diverged"} if all_separable and record["seed"] < failed else record]

    proposal = found(experiment(additive(0, 0, 0), seeds=seeds, change=failing)).proposal
    assert proposal is not None
    assert proposal.pattern == (kept, True, True)
    assert proposal.failed == ((failed, seeds) if kept else (0, seeds))


def test_no_untrained_pattern_is_proposed_with_a_slot_most_of_whose_trainings_failed() -> None:
    """Of six slots, the last of which fails in three of four trainings where it is separable."""
    count = iter(range(1000))

    def failing(record: Plain) -> list[Plain]:
        bad = record["settings"]["model.pattern"][6] == "separable" and next(count) % 4
        return [record | {"status": "collapsed"} if bad else record]

    effects = found(experiment(additive(*[0] * 6), slots=6, most=16, seeds=4, change=failing))
    assert effects.proposal is not None
    assert effects.proposal.pattern[5] is False


def test_accuracies_are_those_of_the_weights_that_are_tested() -> None:
    effects = found(experiment(additive(0, 0, 0), test_weights="last", val_acc=0.7))
    assert by_number(effects) == {2: 0, 3: 0, 4: 0}
    made = experiment(additive(-0.002, 0.001, -0.03), test_weights="last", val_acc=0.7)
    assert {accuracy for own in made.accuracies for accuracy in own} == {0.7}


def test_few_proposals_truly_lose_more_than_the_margin() -> None:
    """Half a point a slot and a margin of one: three slots are too many, however kind the noise is to them.

    By the estimates with every interaction three in four proposals would be such.
    """
    losses, rng = np.full(6, 0.005), np.random.default_rng(0)
    quiet, over = experiment(additive(*-losses), slots=6), 0
    for _ in range(30):
        noise = rng.normal(0, 0.01, len(quiet.runs))
        runs = quiet.runs.assign(best_val_acc=quiet.runs["best_val_acc"] + noise)
        runs.attrs = quiet.runs.attrs
        proposal = found(replace(quiet, runs=runs)).proposal
        over += proposal is not None and float(np.array(proposal.pattern) @ losses) > MARGIN + 1e-9
    assert over <= 4
