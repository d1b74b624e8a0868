"""How long each layer takes within real training steps, by marks that hooks set between the layers.

A mark ends one stretch of a step and starts the next, so the stretches of a step add up to the step. Forward hooks set
a mark after each layer. In the backward pass a hook on a layer's output sets one when its gradient is complete, which
is when the layer's own backward pass starts. On CUDA the marks are events, read once the device has done everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor, nn

from dsbench.errors import InputError
from dsbench.measure.subject import Subject, Training
from dsbench.network.build import Scale, Sum

WARM_UP = 2  # steps at the beginning of each turn that are not counted
MOST_STEPS = 100  # counted in a turn
TURNS = 3  # of each network


@dataclass(frozen=True)
class LayerTimes:
    """Milliseconds, medians over `steps` steps; `step_ms` are lower quartile, median and upper quartile of whole steps.

    `busy` is the share of the time in which the process had a core, 0 to 1; None where another device computed.
    `forward_ms` and `backward_ms` have an entry for each of dsbench.measure.traffic.operations, then the loss's.
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


class MarkedTraining:
    """A network in training, with a mark after each layer's forward pass and before each layer's backward pass.

    Operations are numbered from 0 in order of execution, the loss comes after them. A stretch between two marks has the
    number of what was computed, plus `count` in the backward pass; that of the optimizer is 2 * `count`.
    """

    def __init__(self, subject: Subject) -> None:
        """Train on one random batch: its values decide nothing about time."""
        self.device = subject.compute.device
        self.now, self.milliseconds = clock(self.device)
        self.training = Training(subject.network, subject.compute, subject.recipe)
        self.batch = subject.batch()
        modules = list(operation_modules(self.training.module))
        self.count = len(modules) + 1
        self.seconds = self.core_seconds = 0.0  # of all turns, and those in which this thread had a core
        self._marks: list[tuple[int, Any]] = []
        self._backward = 0  # the stretch that a backward pass is in
        for number, module in enumerate(modules):
            module.register_forward_hook(partial(self._after, number))

    def step(self) -> list[tuple[int, Any]]:
        """Train on the batch; a mark costs some microseconds.

        Returns the marks: the stretch that each ends (-1 for the first, which ends none), and when.
        """
        self._marks = []
        self._mark(-1)
        loss = self.training.loss(*self.batch)
        self._mark(self.count - 1)
        self._backward = 2 * self.count - 1
        self.training.backward(loss)
        self._mark(self._backward)
        self.training.update()
        self.training.optimizer.zero_grad()  # the next backward pass would do it, in the loss's time
        self._mark(2 * self.count)
        return self._marks

    def stretches(self, marks: Sequence[tuple[int, Any]]) -> list[float]:
        """Milliseconds of each stretch of one step; their sum is the step's."""
        out = [0.0] * (2 * self.count + 1)
        for (_, start), (number, end) in pairwise(marks):
            out[number] += self.milliseconds(start, end)
        return out

    def turn(self, seconds: float) -> list[list[float]]:
        """Warm up, then train for about `seconds` with frozen weights; returns the stretches of each step."""
        self.training.freeze()
        for _ in range(WARM_UP):
            start = time.perf_counter()
            self.step()
            wait(self.device)
            taken = time.perf_counter() - start
        start, core_start = time.perf_counter(), time.thread_time()
        steps = [self.step() for _ in range(min(MOST_STEPS, max(1, round(seconds / taken))))]
        wait(self.device)
        self.seconds += time.perf_counter() - start
        self.core_seconds += time.thread_time() - core_start
        return [self.stretches(marks) for marks in steps]

    def _mark(self, stretch: int) -> None:
        self._marks.append((stretch, self.now()))

    def _after(self, number: int, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.requires_grad and output is not inputs[0]:  # flattening a vector returns it as it is
            output.register_hook(partial(self._before_backward, number))
        self._mark(number)

    def _before_backward(self, number: int, gradient: Tensor) -> None:
        self._mark(self._backward)
        self._backward = self.count + number


def operation_modules(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that stand for the network's operations, in order of execution."""
    if isinstance(module, (Sum, Scale, nn.Sequential)):
        for child in module.children():
            yield from operation_modules(child)
    if not isinstance(module, nn.Sequential):
        yield module


def clock(device: torch.device) -> tuple[Callable[[], Any], Callable[[Any, Any], float]]:
    """What reads the clock of `device`, and the milliseconds between two readings. Raises InputError for no clock."""
    if device.type == "cuda":
        return _event, lambda start, end: start.elapsed_time(end)
    if device.type == "cpu":
        return time.perf_counter, lambda start, end: 1000 * (end - start)
    raise InputError(f"device={device.type}: layers are timed on cpu and cuda only; add device=cpu")


def _event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def wait(device: torch.device) -> None:
    """Return once `device` has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
