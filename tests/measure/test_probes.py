"""What a probe runs, how often and on what threads."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dsbench.measure import probes
from dsbench.measure.probes import Block, StepProbe

Subjects = Callable[..., Any]


def test_a_block_runs_its_calls_on_the_threads_asked_for() -> None:
    threads: list[int] = []
    before = torch.get_num_threads()
    block = Block(lambda: threads.append(torch.get_num_threads()), before + 1, 0.01)
    threads.clear()
    (seconds,) = block()
    assert set(threads) == {before + 1}
    assert len(threads) >= block.calls >= 1
    assert seconds > 0
    assert torch.get_num_threads() == before


def test_parts_of_a_step_are_forward_backward_and_optimizer(subject: Subjects, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = StepProbe(subject("arch=mnist_7800_shallow width=1 train.batch_size=2"), 0.01)
    real, now = probe.training, 0.0
    done: list[str] = []

    class Slow:
        """The real training, by a clock on which its parts take 1, 2 and 4 seconds."""

        compute = real.compute
        step = real.step

        def _pass(self, name: str, seconds: float) -> None:
            nonlocal now
            now += seconds
            done.append(name)

        def loss(self, *batch: torch.Tensor) -> torch.Tensor:
            self._pass("forward", 1.0)
            return real.loss(*batch)

        def backward(self, loss: torch.Tensor) -> None:
            self._pass("backward", 2.0)
            real.backward(loss)

        def update(self) -> None:
            self._pass("update", 4.0)
            real.update()

    monkeypatch.setattr(probes, "timer", lambda: now)
    monkeypatch.setattr(probe, "training", Slow())
    total, *parts = probe()
    assert total > 0
    assert parts == [1.0, 2.0, 4.0]
    assert done == ["forward", "backward", "update"] * probe.whole.calls


@pytest.mark.parametrize(("seconds", "calls"), [(0.05, 1), (0.005, 3)])
def test_a_long_call_is_timed_by_itself_and_a_short_one_after_two_more(seconds: float, calls: int) -> None:
    made: list[int] = []
    now = 0.0

    def call() -> None:
        nonlocal now
        now += seconds
        made.append(torch.get_num_threads())

    before = torch.get_num_threads()
    block = Block(call, before + 1, 0.01, lambda: now)
    made.clear()
    assert block() == (pytest.approx(seconds),)
    assert made == [before + 1] * calls
    assert torch.get_num_threads() == before
