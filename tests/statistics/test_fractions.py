"""Fractions of two-level designs, against their defining relation and the tables of the field."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench.errors import InputError
from dsbench.statistics.fractions import WHOLE, Fraction, smallest_fraction

MOST = 2**12


def signs(design: Fraction) -> np.ndarray:
    """The design as the field writes it: (runs, factors) of -1 and 1."""
    return np.where(design.patterns, 1, -1)


def shortest_word(design: Fraction, most: int = 5) -> int:
    """The fewest factors, up to `most`, whose product is the same in all runs; `most` + 1 where there are none."""
    levels = signs(design)
    for length in range(1, most + 1):
        for some in combinations(range(levels.shape[1]), length):
            if abs(levels[:, some].prod(axis=1).sum()) == len(levels):
                return length
    return most + 1


@pytest.mark.parametrize("factors", range(1, 17))
def test_main_effects_and_interactions_of_two_are_clear_of_each_other(factors: int) -> None:
    design = smallest_fraction(factors, MOST)
    levels, pairs = signs(design), list(combinations(range(factors), 2))
    columns = np.column_stack([np.ones(design.runs), levels, *(levels[:, pair].prod(axis=1) for pair in pairs)])
    assert (columns.T @ columns == design.runs * np.eye(columns.shape[1])).all()
    assert design.resolution == 5
    assert [chain for chain in design.chains if len(chain) > 1] == []
    assert design.whole == (factors <= WHOLE)


@pytest.mark.parametrize("factors", [4, *range(6, 17)])
def test_where_that_is_too_many_runs_main_effects_are_clear_and_chains_name_what_is_not(factors: int) -> None:
    most = smallest_fraction(factors, MOST).runs // 2
    design = smallest_fraction(factors, most)
    levels = signs(design)
    assert design.runs <= most
    assert shortest_word(design, 4) == design.resolution == 4
    products = {pair: levels[:, pair].prod(axis=1) for pair in combinations(range(factors), 2)}
    for chain in design.chains:
        for pair in chain:
            assert (products[pair] == products[chain[0]]).all()
    heads = [products[chain[0]] for chain in design.chains]
    assert all(first @ second == 0 for first, second in combinations(heads, 2))
    assert sorted(pair for chain in design.chains for pair in chain) == sorted(products)


def test_runs_of_the_smallest_designs_are_those_of_the_tables() -> None:
    # Montgomery, Design and Analysis of Experiments, table 8.14, and for more factors Box, Hunter and Hunter 2005
    clear = {5: 16, 6: 32, 7: 64, 8: 64, 9: 128, 10: 128, 11: 128, 12: 256, 17: 256}
    assert {factors: smallest_fraction(factors, MOST).runs for factors in clear} == clear
    main = {4: 8, 5: 16, 6: 16, 7: 16, 8: 16, 9: 32, 16: 32, 17: 64, 32: 64}
    assert {factors: smallest_fraction(factors, runs).runs for factors, runs in main.items()} == main


@given(st.integers(1, 6), st.lists(st.integers(0, 63), min_size=1, max_size=7))
def test_the_resolution_is_the_shortest_word_of_the_defining_relation(base: int, columns: list[int]) -> None:
    design = Fraction(base, tuple(column % 2**base for column in columns))
    assert design.resolution == min(5, max(2, shortest_word(design)))


def test_the_first_pattern_is_all_low_and_no_pattern_comes_twice() -> None:
    for factors in (3, 6, 9):
        patterns = smallest_fraction(factors, 64).patterns
        assert not patterns[0].any()
        assert len(np.unique(patterns, axis=0)) == len(patterns)


@pytest.mark.parametrize(("factors", "most", "needed"), [(6, 8, "16 patterns"), (3, 4, "8 patterns"), (1, 1, "2 pat")])
def test_too_few_runs_are_refused_with_the_number_that_would_do(factors: int, most: int, needed: str) -> None:
    with pytest.raises(InputError, match=rf"sensitivity.runs={most} is too few for {factors} slots: {needed}"):
        smallest_fraction(factors, most)
