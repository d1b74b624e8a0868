"""What a plan says of solved widths that cost time; what networks take is given here, but for one real measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dsbench.config.compose import compose
from dsbench.measure import bench
from dsbench.measure.timing import Timing
from dsbench.network.cost import cost
from dsbench.network.description import Network
from dsbench.run.plan import Plan, plan
from dsbench.sweep import odd_width
from dsbench.sweep.odd_width import odd_widths


def planned(line: str, outputs: Path) -> Plan:
    return plan(compose([*line.split(), f"outputs={outputs}", "device=cpu"]))


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], list[tuple[Network, ...]]]:
    """What sets the first of two networks to take so many times as long as the second; gives the networks timed."""
    timed: list[tuple[Network, ...]] = []

    def setting(times: float) -> list[tuple[Network, ...]]:
        def timings(networks: Sequence[Network], *_: Any) -> list[Timing]:
            timed.append(tuple(networks))
            return [Timing(ms, 0.0, (ms, ms, ms), True) for ms in (times, 1.0)]

        monkeypatch.setattr(bench, "forward_undisturbed", timings)
        return timed

    return setting


def test_a_width_that_costs_time_is_named_with_the_nearest_multiple(
    tmp_path: Path, stopwatch: Callable[[float], list[tuple[Network, ...]]]
) -> None:
    timed = stopwatch(1.3)
    said = odd_widths([planned("budget.params=63940", tmp_path)])
    assert said is not None
    assert said.startswith("odd widths cost time here: 15 takes 1.3 times what 16 lets expect (one image, ")
    assert [cost(network).params for network in timed[0]] == [63_940, 72_666]
    stopwatch(1.1)
    assert odd_widths([planned("budget.params=63940", tmp_path)]) is None


def test_a_network_may_take_as_much_longer_than_a_narrower_one_as_it_has_more_macs(
    tmp_path: Path, stopwatch: Callable[[float], list[tuple[Network, ...]]]
) -> None:
    """Of width 17 the nearest multiple is 16; it has 1.13 times its MACs."""
    asked = planned("model=cnn budget.params=81940 budget.fine=false", tmp_path)
    assert asked.config.width == 17
    stopwatch(1.25)
    assert odd_widths([asked]) is None
    stopwatch(1.5)
    assert "17 takes 1.3 times what 16 lets expect" in (odd_widths([asked]) or "")


def test_nothing_is_timed_where_no_budget_was_solved_or_all_are_multiples(
    tmp_path: Path, stopwatch: Callable[[float], list[tuple[Network, ...]]]
) -> None:
    timed = stopwatch(2)
    lines = ("width=15", "model=dwsep width=16 budget.match=cnn budget.by=params budget.multiple=8")
    assert odd_widths([planned(line, tmp_path) for line in lines]) is None
    assert timed == []


def test_of_many_widths_a_few_are_tried_and_that_is_said(
    tmp_path: Path, stopwatch: Callable[[float], list[tuple[Network, ...]]]
) -> None:
    timed = stopwatch(2)
    plans = [planned(f"model=dwsep width={w} budget.match=cnn budget.by=params", tmp_path) for w in (5, 9, 11, 13, 15)]
    assert "4 of 5 such widths tried" in (odd_widths([*plans, *plans]) or "")
    assert len(timed) == 4


def test_a_width_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odd_width, "SECONDS", 0.01)
    monkeypatch.setattr(odd_width, "SLOW", 0.0)
    asked = planned("budget.params=2000 budget.tolerance=0.1", tmp_path)
    first = odd_widths([asked])
    assert len([*(tmp_path / "latency" / "widths").iterdir()]) == 2
    monkeypatch.setattr(bench, "interleaved", None)
    assert first is not None
    assert odd_widths([asked]) == first
