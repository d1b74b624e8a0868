"""Counts and rates with the prefix of their size."""

from __future__ import annotations

import pytest

from dsbench.numerals import engineering, rounded, short


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, ""),
        (0, "0"),
        (999, "999"),
        (1000, "1.00k"),
        (7841, "7.84k"),
        (99_949, "99.9k"),
        (99_950, "100k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (2_911_937_152, "2.91G"),
        (1_500_000_000_000, "1.50T"),
        (3_000_000_000_000_000, "3.00P"),
    ],
)
def test_counts_are_rounded_to_three_digits(number: int | None, text: str) -> None:
    assert rounded(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(265.9e9, "266 GB/s"), (1.5e12, "1.5 TB/s"), (12.0, "12 B/s"), (989e12, "989 TB/s"), (999.9e9, "1 TB/s")],
)
def test_numbers_have_the_prefix_of_their_size(number: float, text: str) -> None:
    assert engineering(number, "B/s") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (-1500, "-1.5k"), (7800, "7.8k"), (999.5, "1k"), (1e10, "10G"), (5e15, "5P")],
)
def test_a_tick_has_no_more_digits_than_it_needs(value: float, text: str) -> None:
    assert short(value) == text
