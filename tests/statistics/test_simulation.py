"""The simulation of the rule judges as the rule does, and what was replaced is what it says."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from dsbench.statistics.means import ALPHA, Sample, contrast
from dsbench.verdict.better import decide
from dsbench.verdict.rule import Answer

REPEATS = 60


@pytest.fixture(scope="module")
def simulation() -> Any:
    spec = importlib.util.spec_from_file_location("simulation", Path(__file__).parents[2] / "benchmarks" / "verdict.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["simulation"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drawn(simulation: Any, kind: str, design: Any) -> Any:
    """Experiments of which some are decided and some are not."""
    model = next(iter(simulation.CROSSED.values()))[0]
    draw = model.draw if kind == "crossed" else getattr(simulation, kind)(simulation.THRICE)
    means = np.asarray(design.steps) * (0.02 if kind == "crossed" else 1.0)
    return draw(np.random.default_rng(0), REPEATS, means)


def samples(experiments: Any, at: int, n: int, weights: Sequence[float]) -> list[Sample]:
    """Those of one experiment after n seeds."""
    out = []
    for cell in np.flatnonzero(weights):
        done = np.ones(n, dtype=bool) if experiments.done is None else experiments.done[at, cell, :n]
        correct = None if experiments.correct is None else experiments.correct[at, cell, :n]
        out.append(Sample(experiments.values[at, cell, :n][done], weights[cell], correct))
    return out


@pytest.mark.parametrize("kind", ["normal", "skewed", "falls", "collapses", "crossed"])
@pytest.mark.parametrize("name", ["PAIR", "SHARED", "FACTORIAL"])
def test_many_at_once_are_judged_as_one_by_one(simulation: Any, kind: str, name: str) -> None:
    design = getattr(simulation, name)
    experiments, level, margin = drawn(simulation, kind, design), 0.02, 0.02 if kind == "crossed" else 1.0
    given = set()
    for n in (3, 8):
        for weights in design.contrasts:
            many = replace(experiments.first(n, weights), cautious=n == 8)
            answers = simulation.answers(many, level, margin)
            for at in range(REPEATS):
                one = contrast(samples(experiments, at, n, weights), cautious=n == 8)
                if one is None or min(one.runs) < 2:
                    assert simulation.ANSWERS[answers[at]] is Answer.TOO_FEW
                    continue
                assert many.difference[at] == pytest.approx(one.difference)
                assert many.variance[at] == pytest.approx(one.variance)
                assert many.df[at] == pytest.approx(one.df)
                decision = decide(one, level, margin)
                assert simulation.ANSWERS[answers[at]] is decision.answer
                given.add(decision.answer)
    assert len(given) > 1


def test_a_decision_stands_as_of_its_look(simulation: Any) -> None:
    """Judged again one by one, until the first look that decides."""
    design, margin = simulation.GROUPS, 1.5
    experiments = drawn(simulation, "normal", design)
    found = simulation.looked(experiments, design, margin)
    levels = simulation.look_levels(len(design.contrasts))
    for at in range(REPEATS):
        for number, weights in enumerate(design.contrasts):
            above = False
            for n, level in zip(simulation.LOOKS, levels, strict=True):
                one = contrast(samples(experiments, at, n, weights), cautious=True)
                assert one is not None
                answer = decide(one, level, margin).answer
                above |= answer in (Answer.BETTER, Answer.AS_GOOD, Answer.NO_WORSE)
                if answer in (Answer.BETTER, Answer.WORSE, Answer.AS_GOOD):
                    break
            assert simulation.ANSWERS[found.answers[at, number]] is answer
            assert (found.seeds[at, number], found.above[at, number]) == (n, above)


@pytest.mark.parametrize("name", ["PAIR", "SHARED", "GROUPS", "FACTORIAL"])
def test_every_comparison_of_a_family_truly_differs_by_as_much_as_is_drawn(simulation: Any, name: str) -> None:
    design = getattr(simulation, name)
    np.testing.assert_allclose(np.asarray(design.contrasts) @ np.asarray(design.steps), 1.0)
    for kind in (simulation.normal, simulation.skewed, simulation.falls):
        (many,) = simulation.experiments(kind(simulation.TWICE), design, 3.0, 10_000, 10_000)
        for weights in design.contrasts:
            assert many.values.mean(axis=(0, 2)) @ np.asarray(weights) == pytest.approx(3.0, abs=0.1)


def test_images_are_drawn_with_the_accuracy_that_is_true_of_all_runs_and_images(simulation: Any) -> None:
    for model, margin in simulation.CROSSED.values():
        parts = simulation.experiments(model.draw, simulation.PAIR, margin, 200, 100)
        values = np.concatenate([part.values.mean(axis=2) for part in parts])
        error = scipy.stats.sem(values[:, 1] - values[:, 0])
        assert values[:, 1].mean() - values[:, 0].mean() == pytest.approx(margin, abs=4 * error)
        assert values[:, 0].mean() == pytest.approx(0.8, abs=0.02)


def test_the_rule_that_was_replaced_flips_all_signs_and_adjusts_by_holm(simulation: Any) -> None:
    pairs = np.random.default_rng(1).normal(0.5, 1, (30, 7))
    expected = [
        scipy.stats.permutation_test(
            (row, np.zeros(7)), lambda a, b, axis: np.mean(a - b, axis), permutation_type="samples",
            vectorized=True, n_resamples=np.inf,
        ).pvalue
        for row in pairs
    ]  # fmt: skip
    np.testing.assert_allclose(simulation.sign_flip_ps(pairs), expected)
    np.testing.assert_allclose(
        simulation.holm(np.array([[0.01, 0.04, 0.03], [0.5, 0.01, 0.9], [0.02, 0.02, 0.02]])),
        [[0.03, 0.06, 0.06], [1.0, 0.03, 1.0], [0.06, 0.06, 0.06]],
    )


def test_no_more_families_of_equal_accuracies_are_called_different_than_stated(simulation: Any) -> None:
    for design in simulation.DESIGNS:
        for own in simulation.judged(simulation.normal(), design, 0.0, 0.0, 2_000).values():
            false = int(np.isin(own.answers, (simulation.BETTER, simulation.WORSE)).any(axis=1).sum())
            assert scipy.stats.binomtest(false, 2_000, ALPHA, alternative="greater").pvalue > 0.001
