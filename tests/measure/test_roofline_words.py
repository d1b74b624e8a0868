"""Each rule by which numbers become words, on numbers made up for it."""

from __future__ import annotations

from dataclasses import replace

from made_up import roofline

from dsbench.measure.roofline_words import SUBJECTS, comparison, verdict
from dsbench.measure.traffic import KINDS


def named(**kinds: tuple[float, ...]) -> str:
    return verdict(roofline(**kinds))


def test_every_kind_has_words() -> None:
    assert set(SUBJECTS) == set(KINDS)


def test_the_first_sentence_is_the_step_and_what_would_do() -> None:
    text = named(dense_conv=(30, 10, 20, 5), norm=(10, 0, 1, 4))
    assert text.startswith("net: a step of 32 images takes 40.0 ms; at the best rates of this device 24.0 ms would do.")


def test_a_kind_bound_by_memory_is_said_to_be_with_its_flop_per_byte() -> None:
    """5 ms of arithmetic at 2e11 FLOP/s are 1e9 FLOP, 10 ms of memory at 4e10 B/s are 4e8 bytes: 2.5."""
    text = named(depthwise=(20, 8, 5, 10), dense_conv=(20, 92, 15, 1))
    assert (
        "Depthwise layers are 8.0 % of the MACs and 50 % of the time: bound by memory, 2.5 FLOP per byte where this "
        "device balances at 5.0, at 50 % of what memory allows." in text
    )


def test_a_kind_bound_by_arithmetic_is_said_to_be_with_its_share_of_the_rate() -> None:
    text = named(dense_conv=(20, 1, 15, 10))
    assert "Dense convolutions are 100 % of the MACs and 100 % of the time: bound by arithmetic, at 75 % of the" in text


def test_a_kind_faster_than_memory_is_said_to_come_from_a_cache() -> None:
    assert "faster than memory allows, so mostly from a cache" in named(activation=(8, 0, 1, 10), linear=(2, 1, 2, 1))
    assert "cache" not in named(activation=(10, 0, 1, 10), linear=(2, 1, 2, 1))


def test_a_kind_bound_by_neither_is_said_to_be_with_how_many_times() -> None:
    text = named(dropout=(90, 0, 1, 10), linear=(10, 1, 9, 1))
    assert "Dropout layers take 90 % of the time, without a MAC: 9 times what arithmetic and memory need" in text
    assert "bound by neither" not in text
    assert "with nothing to compute or to move" in named(flatten=(9, 0, 0, 0), linear=(10, 1, 9, 1))


def test_loss_and_optimizer_are_single() -> None:
    assert "The optimizer takes 50 % of the time" in named(optimizer=(5, 0, 1, 4), linear=(5, 1, 4, 1))


def test_a_tenth_of_the_time_is_spoken_of_and_less_is_not() -> None:
    text = named(linear=(90, 1, 80, 1), norm=(10, 0, 1, 9))
    assert "Norms take 10 %" in text
    assert "Norms" not in named(linear=(91, 1, 80, 1), norm=(9, 0, 1, 9))


def test_three_kinds_at_most_are_spoken_of() -> None:
    quarter = (25.0, 1, 20.0, 1.0)
    text = named(linear=quarter, pointwise=quarter, depthwise=quarter, dense_conv=quarter)
    assert text.count("bound by arithmetic") == 3


def test_what_has_no_macs_is_summed_from_a_quarter_of_the_time_on() -> None:
    assert "All that has no MACs takes 25 % of the time." in named(linear=(75, 1, 70, 1), norm=(25, 0, 1, 20))
    assert "All that has no MACs" not in named(linear=(76, 1, 70, 1), norm=(24, 0, 1, 20))


def test_a_disturbed_measurement_says_so() -> None:
    layers = {"linear": (50.0, 1, 40.0, 1.0)}
    assert "It had a core for only 50 % of the time: these times are too long." in verdict(roofline(busy=0.5, **layers))
    other = roofline("b", busy=0.5, **layers)
    assert comparison(roofline("a", **layers), other).endswith(
        "for only 50 % of the time, so this comparison may be wrong."
    )
    assert "core" not in comparison(roofline("a", busy=None, **layers), roofline("b", **layers))
    for quiet in (0.9, None):
        assert "core" not in verdict(roofline(busy=quiet, **layers))


def test_fewer_macs_and_yet_slower() -> None:
    """The puzzle of the published study: half the MACs, more time."""
    hybrid = roofline("hybrid", dense_conv=(80, 90, 70, 10), depthwise=(20, 10, 1, 15))
    dwsep = roofline("dwsep", pointwise=(50, 45, 20, 15), depthwise=(60, 5, 2, 50))
    text = comparison(hybrid, dwsep)
    assert text.startswith(
        "dwsep has 0.50 times the MACs of hybrid and takes 1.10 times its time: fewer MACs, yet slower; a MAC takes "
        "2.20 times as long."
    )
    assert "Dense convolutions take 80.0 ms less, pointwise layers take 50.0 ms more and depthwise layers take" in text
    assert "In dwsep, depthwise layers are 10 % of the MACs and 55 % of the time: bound by memory" in text
    assert "In dwsep, dense" not in text


def test_more_macs_and_yet_faster() -> None:
    first, second = roofline("a", depthwise=(100, 10, 1, 90)), roofline("b", dense_conv=(50, 20, 45, 1))
    assert "more MACs, yet faster" in comparison(first, second)


def test_faster_and_slower_are_held_against_the_macs() -> None:
    first = roofline("a", dense_conv=(100, 100, 90, 1))
    ratios = {
        (50, 80): "faster, by less than its MACs say",
        (50, 30): "faster, by more than its MACs say",
        (200, 150): "slower, by less than its MACs say",
        (200, 300): "slower, by more than its MACs say",
        (50, 52): "about what its MACs say",
        (100, 150): "slower, by more than its MACs say",
    }
    for (macs, time_ms), words in ratios.items():
        assert words in comparison(first, roofline("b", dense_conv=(time_ms, macs, 20, 1)))


def test_of_steps_that_overlap_that_is_said() -> None:
    first, second = (roofline(name, spread=0.1, dense_conv=(time, 9, 9, 1)) for name, time in (("a", 100), ("b", 110)))
    assert "middle halves of their steps overlap" in comparison(first, second)
    assert "overlap" not in comparison(first, replace(second, step_ms=(111.0, 112.0, 113.0)))


def test_changes_below_a_tenth_of_all_are_not_spoken_of() -> None:
    first = roofline("a", dense_conv=(100, 9, 90, 1), norm=(10, 0, 1, 9), linear=(10, 1, 9, 1))
    second = roofline("b", dense_conv=(50, 9, 40, 1), norm=(14, 0, 1, 9), linear=(20, 1, 9, 1))
    text = comparison(first, second)
    assert "Dense convolutions take 50.0 ms less and linear layers take 10.0 ms more." in text
    assert "orms" not in text


def test_a_kind_that_takes_as_long_in_both_is_named() -> None:
    first = roofline("a", dense_conv=(100, 9, 90, 1), dropout=(40, 0, 1, 9))
    second = roofline("b", dense_conv=(20, 2, 15, 1), dropout=(42, 0, 1, 9))
    assert "Dropout layers take about as long in both: 42.0 ms, 68 % of the time of b." in comparison(first, second)
    second = roofline("b", dense_conv=(20, 2, 15, 1), dropout=(45, 0, 1, 9))
    assert "about as long" not in comparison(first, second)
