"""The peak that is counted, against sums done by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dsbench.measure.probes import allocated_peak, peak_memory_bytes
from dsbench.network.cost import cost
from dsbench.training.device import Compute

Subjects = Callable[..., Any]


def test_the_peak_is_the_most_that_is_held_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    def call() -> None:
        first = torch.empty(4_000_000, dtype=torch.uint8)
        del first
        second = torch.empty(2_000_000, dtype=torch.uint8)
        third = torch.empty(750_000)
        del second, third
        torch.empty(4_500_000, dtype=torch.uint8)

    assert allocated_peak(call) == 2_000_000 + 4 * 750_000
    assert capfd.readouterr().err == ""


STATES = {"sgd": 1, "adam": 2}  # tensors of the weights' size that the optimizer keeps


@pytest.mark.parametrize("optimizer", STATES)
@pytest.mark.parametrize("line", ["experiment=mnist_7800/dwsep_same_budget", "arch=cifar10_fc data=cifar10 width=4"])
def test_the_peak_of_a_step_is_what_the_formulas_say_it_keeps_and_little_more(
    subject: Subjects, line: str, optimizer: str
) -> None:
    """One network is mostly activations, the other mostly weights: each term of the sum is seen."""
    measured = subject(f"{line} optimizer={optimizer} train.batch_size=16")
    card = cost(measured.network)
    weights, kept = 4 * card.params, 16 * card.training_bytes  # the images are among what is kept
    held = kept + weights * (1 + STATES[optimizer])
    peak = peak_memory_bytes(measured)
    assert held <= peak <= 1.1 * (held + weights)


def test_the_peak_of_a_step_does_not_depend_on_what_else_the_process_holds(subject: Subjects) -> None:
    measured = subject("arch=mnist_7800_shallow width=2 train.batch_size=8")
    alone = peak_memory_bytes(measured)
    ballast = torch.zeros(10_000_000)
    assert peak_memory_bytes(measured) == alone
    assert ballast.numel() == 10_000_000


def test_a_device_that_knows_no_peak_has_none(subject: Subjects) -> None:
    assert peak_memory_bytes(subject("", Compute(torch.device("mps"), "a Mac", "32", 1))) is None
