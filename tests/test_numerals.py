"""Counts, shares, times and rates as they are read."""

from __future__ import annotations

import pytest

from dsbench.numerals import (
    difference_points,
    duration,
    engineering,
    listed,
    mean_percent,
    milliseconds,
    points,
    quantity,
    rounded,
    short,
    signed_points,
    times,
)


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
    [
        (0, "0"),
        (0.25, "0.25"),
        (-1500, "-1.5k"),
        (7800, "7.8k"),
        (7765, "7.765k"),
        (999.5, "999.5"),
        (0.1 + 0.2, "0.3"),
        (1e10, "10G"),
        (5e15, "5P"),
    ],
)
def test_a_tick_has_the_digits_that_it_needs(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.123"), (7.0, "7"), (26.44, "26.4"), (999.4, "999"), (999.7, "1,000"), (1234.5, "1,234")],
)
def test_figures_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert (times(value), quantity(value), milliseconds(value)) == (text, text, f"{text} ms")
    assert (quantity(2_097_704), quantity(999), quantity(None), milliseconds(None)) == ("2,097,704", "999", "", "")


@pytest.mark.parametrize(
    ("share", "text"), [(0.0039, "0.39"), (-0.3222, "32.22"), (0.0, "0.00"), (0.00002, "0.002"), (None, "")]
)
def test_points_are_two_digits_or_the_first_that_is_not_zero(share: float | None, text: str) -> None:
    assert points(share) == text


@pytest.mark.parametrize("rest", [0.0, -0.0, sum((0.9802 - 0.9800, 0.9899 - 0.9901)) / 2, -1e-16])
def test_a_difference_that_is_zero_but_for_rounding_is_written_as_zero_without_a_sign(rest: float) -> None:
    assert (points(rest), signed_points(rest)) == ("0.00", "0.00")
    assert difference_points(rest, 0.0004) == "0.00"
    assert difference_points(rest, 0.01) == "0.0"
    one_image_of_many = 1e-6 / 8  # in one of eight seeds, a million images
    assert difference_points(-one_image_of_many, 0.01) == signed_points(-one_image_of_many) == "-0.00001"


def test_means_durations_and_lists_are_read_as_in_a_sentence() -> None:
    assert mean_percent(0.9799, 0.9820) == "97.99 ± 0.21 %"
    assert mean_percent(0.9799, None, 1) == "97.99 % (n 1)"
    assert mean_percent(0.9340, 1.0260, 6) == "93.40 (84.20 to 100) % (n 6)"
    assert mean_percent(0.7550, 1.8350) == "75.50 (0 to 100) %"
    assert mean_percent(0.2000, 0.4500) == "20.00 (0 to 45.00) %"
    assert mean_percent(0.5000, 1.0000) == "50.00 ± 50.00 %"
    assert mean_percent(None, None) == ""
    assert [duration(value) for value in (50.4, 185, 7800)] == ["50 s", "3 min 05 s", "2 h 10 min"]
    assert [listed(value) for value in (["a"], ["a", "b"], ["a", "b", 3])] == ["a", "a and b", "a, b and 3"]
