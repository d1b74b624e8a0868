"""How long each layer takes within real training steps: medians over many, several networks in turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsbench.roofline.marks import MarkedTraining

TURNS = 3  # several networks are measured in turns, so that what disturbs the machine disturbs all


@dataclass(frozen=True)
class LayerTimes:
    """Milliseconds, medians over `steps` steps; `step_ms` are lower quartile, median and upper quartile of whole steps.

    `busy` is the share of the time in which the process had a core, 0 to 1; None where another device computed.
    `forward_ms` and `backward_ms` have an entry for each of dsbench.roofline.operations.operations, then the loss's.
    """

    forward_ms: tuple[float, ...]
    backward_ms: tuple[float, ...]
    optimizer_ms: float
    step_ms: tuple[float, float, float]
    steps: int
    busy: float | None


def layer_times(trainings: Sequence[MarkedTraining], seconds: float) -> list[LayerTimes]:
    """The times of each training's layers, from about `seconds` of steps each, taken in turns."""
    steps: list[list[list[float]]] = [[] for _ in trainings]
    for _ in range(TURNS):
        for training, own in zip(trainings, steps, strict=True):
            own += training.turn(seconds / TURNS)
    return [_medians(own, training) for training, own in zip(trainings, steps, strict=True)]


def _medians(steps: Sequence[Sequence[float]], training: MarkedTraining) -> LayerTimes:
    count, on_cpu = training.count, training.device.type == "cpu"
    middle = [median(stretch) for stretch in zip(*steps, strict=True)]
    low, half, high = quantiles([sum(step) for step in steps], n=4, method="inclusive")
    return LayerTimes(
        forward_ms=tuple(middle[:count]),
        backward_ms=tuple(middle[count:-1]),
        optimizer_ms=middle[-1],
        step_ms=(low, half, high),
        steps=len(steps),
        busy=min(1.0, training.core_seconds / training.seconds) if on_cpu else None,
    )
