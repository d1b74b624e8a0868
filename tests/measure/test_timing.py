"""Rounds, turns and their statistics, on seconds that are made up."""

from collections.abc import Callable, Iterator
from itertools import cycle, repeat

import numpy as np
import pytest

from dsbench.measure.timing import Timing, interleaved

Probe = Callable[[], tuple[float, ...]]


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def giving(values: Iterator[float], clock: Clock | None = None) -> Probe:
    """A probe that gives `values` one after the other, and takes a second for each."""

    def probe() -> tuple[float, ...]:
        if clock is not None:
            clock.now += 1
        return (next(values),)

    return probe


@pytest.mark.parametrize("rounds", [2, 3, 10, 11, 12, 13, 100])
def test_median_and_range_are_numpys(rounds: int) -> None:
    seconds = np.random.default_rng(rounds).lognormal(size=rounds)
    low, middle, high = 1e3 * np.percentile(seconds, [25, 50, 75])
    timing = Timing.of(list(seconds))
    assert (timing.median_ms, timing.iqr_ms) == (pytest.approx(middle), pytest.approx(high - low))
    assert timing.rounds_ms == pytest.approx(1000 * seconds)


@pytest.mark.parametrize(("spread", "settled"), [(0.024, True), (0.026, False)])
def test_settled_is_a_range_within_five_percent_of_the_median(spread: float, settled: bool) -> None:
    assert Timing.of([3 * (1 - spread)] * 8 + [3.0] * 8 + [3 * (1 + spread)] * 8).settled is settled


def test_few_rounds_have_not_settled_however_alike_they_are() -> None:
    assert not Timing.of([1.0] * 15).settled
    assert Timing.of([1.0] * 16).settled


def test_the_mean_of_a_process_has_the_log_ratio_of_its_turns() -> None:
    first, second = np.random.default_rng(0).lognormal(size=(2, 40))
    log_ratio = np.log(Timing.of(list(second)).mean_ms / Timing.of(list(first)).mean_ms)
    assert log_ratio == pytest.approx(np.mean(np.log(second / first)))


def test_several_processes_have_the_median_and_range_of_all_their_rounds() -> None:
    rounds = np.random.default_rng(1).lognormal(size=(3, 20))
    low, middle, high = 1e3 * np.percentile(rounds, [25, 50, 75])
    pooled = Timing.over([Timing.of(list(seconds)) for seconds in rounds])
    assert (pooled.median_ms, pooled.iqr_ms) == (pytest.approx(middle), pytest.approx(high - low))


def test_each_round_has_an_order_of_its_own_to_the_end() -> None:
    order: list[str] = []

    def probe(name: str, seconds: Iterator[float]) -> Probe:
        def run() -> tuple[float, ...]:
            order.append(name)
            return (next(seconds),)

        return run

    late = iter([1.0, 9.0] * 40 + [1.0] * 1000)  # settles long after the others
    interleaved([probe("a", repeat(1.0)), probe("b", late), probe("c", repeat(2.0))], 1000)
    rounds = len(order) // 3
    turns = ["".join(order[start : start + 3]) for start in range(0, len(order), 3)]
    assert {"".join(sorted(turn)) for turn in turns} == {"abc"}
    assert len(set(turns)) == 6  # all that there are; that one is not among 120 has a chance of 2e-9
    assert rounds > 100


def test_rounds_end_with_the_first_in_which_all_have_settled() -> None:
    late = [5.0, 1.0, 9.0, 2.0, 8.0, 3.0, 7.0, 4.0] * 2 + [5.0] * 100

    def settles(rounds: int) -> bool:
        low, middle, high = np.percentile(late[:rounds], [25, 50, 75])
        return high - low <= 0.05 * middle

    expected = next(rounds for rounds in range(16, 100) if settles(rounds))
    ((first,), (second,)) = interleaved([giving(repeat(1.0)), giving(iter(late))], 1000)
    assert (len(first.rounds_ms), len(second.rounds_ms), first.settled, second.settled) == (
        expected,
        expected,
        True,
        True,
    )
    assert expected > 16


def test_what_does_not_settle_ends_with_its_time_and_says_so() -> None:
    clock = Clock()
    probes = [giving(cycle([1.0, 2.0]), clock), giving(repeat(1.0), clock)]
    ((restless,), (calm,)) = interleaved(probes, 20, clock)
    assert clock.now == 40  # twenty seconds each
    assert (len(restless.rounds_ms), restless.settled, restless.median_ms) == (20, False, 1500)
    assert (len(calm.rounds_ms), calm.settled) == (20, True)


def test_a_time_too_short_for_enough_rounds_gives_an_unsettled_figure_of_three() -> None:
    clock = Clock()
    ((timing,),) = interleaved([giving(repeat(1.0), clock)], 0.1, clock)
    assert (len(timing.rounds_ms), timing.settled, timing.median_ms, timing.iqr_ms) == (3, False, 1000, 0)


def test_parts_of_a_probe_have_a_timing_each_and_all_must_settle() -> None:
    clock, uneven = Clock(), cycle([1.0, 2.0])

    def probe() -> tuple[float, ...]:
        clock.now += 1
        return 4.0, next(uneven)

    ((whole, part),) = interleaved([probe], 30, clock)
    assert (whole.median_ms, whole.settled, len(whole.rounds_ms)) == (4000, True, 30)
    assert (part.median_ms, part.settled, len(part.rounds_ms)) == (1500, False, 30)
