"""Budgets of measured costs; what a stopwatch would say is given here, so that the solution is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dsbench.budget.request import solved
from dsbench.config.compose import Composed, compose
from dsbench.config.network import network_of
from dsbench.errors import InputError
from dsbench.machine import Memory
from dsbench.measure import bench
from dsbench.measure.timing import Timing
from dsbench.network.cost import Cost, cost
from dsbench.network.description import Network


@cache
def composed(model: str) -> Composed:
    return compose([f"model={model}"])


@cache
def priced(width: int, model: str = "dwsep") -> Cost:
    configured = composed(model)
    return cost(network_of(replace(configured, config=replace(configured.config, width=width))))


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> list[Network]:
    """Timings in proportion to the activations: 1 ms for 10,000. Returns the networks that were timed."""
    timed: list[Network] = []

    def timing(timed_network: Network, *_: Any, **__: Any) -> Timing:
        timed.append(timed_network)
        return Timing(cost(timed_network).acts / 1e4, 0.0, (1.0,), True)

    monkeypatch.setattr(bench, "forward_latency", timing)
    monkeypatch.setattr(bench, "step_latency", timing)
    return timed


def test_a_latency_is_met_by_the_nearest_width_and_no_network_is_timed_twice_or_far_beyond_it(
    stopwatch: list[Network],
) -> None:
    met, requested = solved(compose(["model=dwsep", "budget.latency_ms=20", "budget.tolerance=0.05"]))
    assert requested is not None
    brute = [(abs(priced(width).acts / 1e4 - 20), width) for width in range(1, 60)]
    assert met.config.width == min(brute)[1] < 50
    assert met.config.arch.fine_width is None
    assert requested.actual == priced(met.config.width).acts / 1e4
    params = [cost(timed).params for timed in stopwatch]
    assert len(params) == len(set(params)) <= 12
    assert max(params) <= priced(2 * met.config.width).params


def test_no_network_is_timed_that_the_memory_does_not_hold(
    stopwatch: list[Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsbench.machine.memory", lambda: Memory(1 << 29, 1 << 29))
    with pytest.raises(InputError, match=r"no cnn network of arch plain has 1,000,000; the largest has"):
        solved(compose(["budget.latency_ms=1e6"]))
    assert 1000 < max(cost(timed).training_bytes for timed in stopwatch) * 128 < 1 << 29


def test_seconds_an_epoch_count_its_steps(stopwatch: list[Network]) -> None:
    """55,000 images of MNIST in batches of 100 are 550 steps, 60,000 under the studies' split 600."""
    line = ["budget.train_seconds_per_epoch=10", "train.batch_size=100", "budget.tolerance=0.2"]
    for split, steps in (("standard", 550), ("study", 600)):
        composed, requested = solved(compose([*line, f"data.split={split}"]))
        assert requested is not None
        assert requested.actual == pytest.approx(priced(composed.config.width, "cnn").acts / 1e4 * steps / 1000)


def test_a_matched_latency_is_that_of_the_reference(stopwatch: list[Network]) -> None:
    line = "model=dwsep width=16 budget.match=cnn budget.by=latency_ms budget.tolerance=0.1"
    _, requested = solved(compose(line.split()))
    assert requested is not None
    assert requested.target == priced(16, "cnn").acts / 1e4


@pytest.mark.parametrize(
    "budget",
    [
        "budget.latency_ms=20",
        "budget.train_seconds_per_epoch=10",
        "model=dwsep budget.match=cnn budget.by=latency_ms",
        "model=dwsep budget.match=cnn budget.by=train_seconds_per_epoch",
    ],
)
def test_a_network_that_no_width_changes_is_refused_before_any_is_timed(
    budget: str, stopwatch: list[Network], fixed: Callable[..., Composed]
) -> None:
    with pytest.raises(InputError, match="scales with width, give one a width in place of channels") as error:
        solved(fixed("channels: 8, fine: true", budget))
    assert "\n" not in str(error.value)
    assert stopwatch == []


def test_a_reference_that_no_width_changes_is_its_own_budget(
    stopwatch: list[Network], fixed: Callable[..., Composed]
) -> None:
    composed, requested = solved(fixed("channels: 8", "model=cnn budget.match=cnn budget.by=latency_ms"))
    assert requested is not None
    assert (requested.actual, requested.residual) == (cost(network_of(composed)).acts / 1e4, 0)


def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device=mps: there is none on this machine"):
        solved(compose(["budget.latency_ms=20", "device=mps", f"outputs={tmp_path}"]))
    assert list(tmp_path.iterdir()) == []
