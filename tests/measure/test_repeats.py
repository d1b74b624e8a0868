"""Measurements in fresh processes: how many fit, what they come to together, and what becomes of one that fails."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dsbench.errors import InputError
from dsbench.measure import repeats as module
from dsbench.measure.bench import Forward, Measured, Step
from dsbench.measure.by_turns import RunningCosts
from dsbench.measure.repeats import in_fresh_process, repeated
from dsbench.measure.timing import Timing
from dsbench.training.device import Compute

MACHINE = Compute(torch.device("cpu"), "a CPU", "32", 1)


def costs(ms: float, session: str) -> RunningCosts:
    """What a process says of a network each of whose times is `ms` in 20 rounds."""
    timing = Timing.of([ms / 1e3 * factor for factor in (0.99, 1.01)] * 10)
    forward = Forward({1: {"torch": timing}, 128: {"torch": timing}})
    measured = Measured(forward, Step(64, timing, timing, timing, timing), 1000, session)
    return RunningCosts(MACHINE, measured, None, {"measured_on": {"threads": 1}, "peak_memory_bytes": 1000})


class Processes:
    """Stands for fresh processes that take `seconds` each, as a clock of its own has it."""

    def __init__(self, *seconds: float) -> None:
        self.now, self.seconds, self.limits, self.rooflines = 0.0, list(seconds), list[float](), list[Any]()

    def start(self, measure: Any, limit: float, end: float | None, *_: Any) -> list[RunningCosts] | None:
        self.limits.append(limit)
        self.rooflines.append(measure.keywords["rooflines_of"])
        self.now += self.seconds[len(self.limits) - 1]
        number = len(self.limits)
        killed = end is not None and self.now > end
        return None if killed else [costs(number, f"day {number}"), costs(2 * number, f"day {number}")]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(*seconds: float) -> Processes:
        made = Processes(*seconds)
        monkeypatch.setattr(module, "in_fresh_process", made.start)
        monkeypatch.setattr(module.time, "monotonic", lambda: made.now)
        return made

    return make


def test_times_are_of_all_processes_and_the_rest_is_the_firsts(processes: Any) -> None:
    made = processes(1, 1, 1)
    (first, second), count = repeated(list, 2.0, 3, rooflines_of=["a", "b"])
    assert (count, made.rooflines) == (3, [["a", "b"], None, None])
    for one, factor in ((first, 1), (second, 2)):
        for entry in (one.record["train_step_ms"]["total"], one.record["latency_ms"]["batch_128"]["torch"]):
            rounds = np.outer([1, 2, 3], [0.99, 1.01]) * factor
            assert entry["median"] == pytest.approx(np.median(rounds))
            assert entry["session"] == "day 3"
            expected = [factor * number * np.sqrt(0.99 * 1.01) for number in (1, 2, 3)]
            assert [repeat["ms"] for repeat in entry["repeats"]] == pytest.approx(expected, rel=1e-5)
            assert [repeat["session"] for repeat in entry["repeats"]] == ["day 1", "day 2", "day 3"]
        assert one.measured.step.total.median_ms == pytest.approx(one.record["train_step_ms"]["total"]["median"])
        assert (one.record["peak_memory_bytes"], one.record["measured_on"]) == (1000, {"threads": 1})


@pytest.mark.parametrize(
    ("seconds", "within", "count"),
    [
        ((10,) * 5, 60, 5),
        ((10,) * 5, 50, 5),
        ((10,) * 5, 35, 3),  # a fourth would take it beyond
        ((20, 12, 12, 12, 12), 58, 4),  # the later are given less time each, where the first took too long
        ((10, 30), 35, 1),  # the second is killed
        ((40,), 35, 0),
        ((10,) * 5, None, 5),
    ],
)
def test_as_many_processes_run_as_fit(
    processes: Any, seconds: tuple[float, ...], within: float | None, count: int
) -> None:
    made = processes(*seconds)
    found, ended = repeated(list, 2.0, 5, within)
    assert (ended, len(found)) == (count, 2 if count else 0)
    assert all(0.2 <= limit <= 2.0 for limit in made.limits)
    if seconds[0] == 20:
        assert made.limits[1] == pytest.approx(2.0 + ((58 - 20) / 4 - 20) / 6)


def measured_in(tell: str, *_: Any, **options: Any) -> Any:
    """What a test has a fresh process do."""
    if tell == "say":
        options["say"]("a word")
        options["refused"](InputError("no roofline"))
        return [os.getpid()]
    if tell == "sleep":
        time.sleep(60)
    if tell == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if tell == "input":
        raise InputError("device=mps: there is none")
    raise UnicodeDecodeError("utf-8", b"", 0, 1, "cannot be pickled as it is")


def test_a_fresh_process_tells_what_it_does_and_returns() -> None:
    said: list[str] = []
    refused: list[Exception] = []
    (pid,) = in_fresh_process(partial(measured_in, "say"), 1.0, None, refused.append, said.append) or []
    assert pid != os.getpid()
    assert (said, [str(error) for error in refused]) == (["a word"], ["no roofline"])


@pytest.mark.parametrize(
    ("tell", "kind", "message"),
    [
        ("input", InputError, "device=mps: there is none"),
        ("fail", RuntimeError, "cannot be pickled as it is"),
        ("die", RuntimeError, "the process that measured ended with exit code -9"),
    ],
)
def test_what_a_fresh_process_raises_is_raised_here(tell: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        in_fresh_process(partial(measured_in, tell), 1.0, None, None, print)


def test_a_process_that_is_not_done_in_time_is_killed(tmp_path: Path) -> None:
    start = time.monotonic()
    assert in_fresh_process(partial(measured_in, "sleep"), 1.0, start + 0.5, None, print) is None
    assert time.monotonic() - start < 30
