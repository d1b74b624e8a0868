"""Effects by least squares, against numpy, contrasts of means, known effects, and simulation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import scipy.stats

from dsbench.statistics.effects import Term, columns, fitted_effects
from dsbench.statistics.fractions import smallest_fraction
from dsbench.statistics.means import Sample, contrast

RNG = np.random.default_rng


def terms_of(factors: int) -> list[Term]:
    return [*((factor,) for factor in range(factors)), *combinations(range(factors), 2)]


def made(seed: int, factors: int, seeds: int, sd: float) -> tuple[np.ndarray, np.ndarray, dict[Term, float]]:
    """Patterns, values (patterns, seeds), and the effects and interactions of two that the values have been given."""
    rng, patterns = RNG(seed), smallest_fraction(factors, 64).patterns
    known = {term: rng.normal(0, 0.02) for term in terms_of(factors)}
    levels = np.where(patterns, 0.5, -0.5)
    mean = 0.8 + sum(size * levels[:, list(term)].prod(axis=1) for term, size in known.items())
    return patterns, mean[:, None] + rng.normal(0, sd, (len(patterns), seeds)), known


def test_known_effects_and_interactions_are_found_exactly_where_nothing_varies() -> None:
    for factors in (1, 2, 4, 5, 6):
        patterns, values, known = made(factors, factors, 2, 0.0)
        found = fitted_effects(patterns, list(values), terms_of(factors))
        assert found is not None
        assert found.error == 0
        for term, size in known.items():
            assert found.of(term) == pytest.approx(size, abs=1e-12)
        assert found.predicted(patterns) == pytest.approx(values[:, 0])


def test_coefficients_and_errors_are_those_of_a_regression_written_out_where_patterns_have_unequal_seeds() -> None:
    rng = RNG(0)
    for case in range(10):
        patterns, values, known = made(case, 6, 4, 0.01)
        some = [own[: rng.integers(0 if case % 2 and row == 3 else 1, 5)] for row, own in enumerate(values)]
        found = fitted_effects(patterns, some, list(known))
        rows = [(pattern, value) for pattern, own in zip(patterns, some, strict=True) for value in own]
        levels = np.array([[1.0 if high else -1.0 for high in pattern] for pattern, _ in rows]) / 2
        matrix = np.array([[1.0, *(np.prod(row[list(term)]) for term in known)] for row in levels])
        y = np.array([value for _, value in rows])
        expected = np.linalg.lstsq(matrix, y, rcond=None)[0]
        assert found is not None
        assert found.coefficients == pytest.approx(expected, abs=1e-10)
        groups = [own for own in some if len(own)]
        error = sum(np.sum((own - np.mean(own)) ** 2) for own in groups) / (len(y) - len(groups))
        own = np.sum(np.linalg.inv(np.linalg.qr(matrix)[1]) ** 2, axis=1)
        t = scipy.stats.t(len(y) - len(groups)).isf(0.01 / 2)
        for place, term in enumerate(known, 1):
            interval = found.interval(term, 0.01)
            assert interval is not None
            assert (interval.high - interval.low) / 2 == pytest.approx(t * np.sqrt(error * own[place]), rel=1e-9)


def test_with_equal_seeds_an_effect_is_the_difference_of_means_and_an_interaction_one_of_differences() -> None:
    patterns, values, known = made(3, 4, 3, 0.02)
    found = fitted_effects(patterns, list(values), list(known))
    assert found is not None
    for a, b in combinations(range(4), 2):
        assert found.of((a,)) == pytest.approx(values[patterns[:, a]].mean() - values[~patterns[:, a]].mean())
        own = [values[patterns[:, b] == level] for level in (True, False)]
        of = [patterns[patterns[:, b] == level, a] for level in (True, False)]
        changes = [some[high].mean() - some[~high].mean() for some, high in zip(own, of, strict=True)]
        assert found.of((a, b)) == pytest.approx(changes[0] - changes[1])


def test_of_one_factor_with_equal_seeds_the_interval_is_students_of_two_samples() -> None:
    low, high = RNG(1).normal(0.8, 0.01, (2, 5))
    found = fitted_effects(np.array([[False], [True]]), [low, high], [(0,)])
    assert found is not None
    expected = scipy.stats.ttest_ind(high, low).confidence_interval(0.95)
    assert vars(found.interval((0,), 0.05)) == pytest.approx({"low": expected.low, "high": expected.high})


def test_the_error_of_a_balanced_design_is_that_of_its_contrast_of_means() -> None:
    patterns, values, known = made(5, 5, 3, 0.02)
    found = fitted_effects(patterns, list(values), list(known))
    weights = columns(patterns, [(2,)])[:, 1] * 4 / len(patterns)
    by_means = contrast([Sample(own, weight) for own, weight in zip(values, weights, strict=True)])
    assert found is not None
    assert by_means is not None
    assert found.of((2,)) == pytest.approx(by_means.difference)
    assert found.error is not None
    assert found.error * found.inverse[3, 3] == pytest.approx(by_means.variance)


@pytest.mark.parametrize("seeds", [2, 3])
def test_simultaneous_intervals_hold_all_effects_in_as_many_experiments_as_they_say(seeds: int) -> None:
    trials, level = 1000, 0.05
    held = 0
    for trial in range(trials):
        patterns, values, known = made(trial, 5, seeds, 0.01)
        found = fitted_effects(patterns, list(values), list(known))
        assert found is not None
        intervals = [(known[(factor,)], found.interval((factor,), level / 5)) for factor in range(5)]
        held += all(interval is not None and interval.low <= true <= interval.high for true, interval in intervals)
    expected = 1 - level  # Bonferroni's are at most a little wider: 0.951 where estimates are independent
    assert held / trials == pytest.approx(expected, abs=4 * (expected * level / trials) ** 0.5)


def test_patterns_that_do_not_tell_terms_apart_have_no_effects_and_single_values_no_interval() -> None:
    patterns = smallest_fraction(6, 16).patterns
    assert fitted_effects(patterns, list(np.ones((16, 2))), terms_of(6)) is None
    assert fitted_effects(patterns, [[0.5]] * 5 + [[]] * 11, [(0,), (1,)]) is not None
    found = fitted_effects(patterns, [[0.5 + row[0] / 10] for row in patterns], [(0,)])
    assert found is not None
    assert found.of((0,)) == pytest.approx(0.1)
    assert found.interval((0,), 0.05) is None
    assert fitted_effects(patterns, [[]] * 16, [(0,)]) is None


def test_of_one_factor_the_values_that_decide_are_about_two_times_the_seeds_a_side() -> None:
    low, high = RNG(2).normal(0.8, 0.01, (2, 6)) + np.array([[0.0], [0.004]])
    found = fitted_effects(np.array([[False], [True]]), [low, high], [(0,)])
    pair = contrast([Sample(low, -1.0), Sample(high)])
    assert found is not None
    assert pair is not None
    seeds = pair.seeds_to_decide(0.05)
    assert seeds is not None
    assert found.values_to_decide((0,), 0.05, 0.0) == pytest.approx(2 * seeds, abs=4)
