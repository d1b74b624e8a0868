"""The steps of an epoch as one program, led by the host or recorded once and replayed, and their random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from dsbench.errors import first_line
from dsbench.training.device import out_of_memory
from dsbench.training.passes import At, Pass
from dsbench.training.step import Step

WARM_UPS = 3  # runs of a step before it is captured: libraries choose algorithms and take workspaces in the first


class RefusedError(Exception):
    """A step that cannot be recorded, and why. What tried to may be in any state: training starts again without it."""


class Recorder(Protocol):
    """Makes of a function without arguments one that does the same to the same memory without the host."""

    def warm_up(self, function: Callable[[], None]) -> None:
        """Run it as it is, as often as libraries need to settle before it can be recorded."""

    def record(self, function: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        """The recorded function. Recording computes nothing. Raises RuntimeError for what cannot be recorded.

        `generators` are those beside torch's own that the function draws from.
        """

    def pace(self) -> None:
        """Return once the device is no more than some steps behind."""

    def drop(self) -> None:
        """Give back the memory of all that was recorded, which cannot be run any more."""


class Program:
    """The steps of a training and of its validation: one by one or, with a `recorder`, recorded once and replayed.

    What is recorded takes all from the memory of its pass, the learning rate of each step too, and moves the index of
    the pass itself. There is a recording for the full batch and one for the last, smaller one.
    """

    def __init__(
        self,
        step: Step,
        train: Pass,
        rate_of: Callable[[int], float],
        rate: Tensor | None = None,
        recorder: Recorder | None = None,
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        """`rate_of` says the learning rate of each step of the epoch that is running.

        With a recorder the optimizer takes it from the tensor `rate`; `generators` are those beside torch's own.
        """
        self.step, self.train, self.rate, self.recorder, self.generators = step, train, rate, recorder, generators
        self.counting = torch.ones_like(train.losses[:, 0])  # members: 0 for the loss of one that trains no more
        self.rates = [0.0] * len(train)  # of the steps of the epoch that is running
        self._rate_of = rate_of
        self._rates = torch.zeros(len(train), dtype=None if rate is None else rate.dtype, device=train.losses.device)
        self._recorded: dict[tuple[Pass, int], Callable[[], None]] = {}

    def begin(self) -> None:
        """Begin an epoch."""
        if self.recorder is not None:
            self.rates = [self._rate_of(step) for step in range(len(self.train))]
            self._rates.copy_(torch.tensor(self.rates, dtype=torch.float64))

    def run_train(self, steps: range) -> None:
        """Train for some steps, which follow those done. Raises RefusedError where they cannot be recorded."""
        for step in self._replayed(self.train, steps, self._train):
            self.rates[step] = self._rate_of(step)
            self._set_rate(self.rates[step])
            self._train(self.train.at(step))
        self.train.done = steps.stop

    def run_evaluation(self, counted: Pass, steps: range, once: bool = False) -> None:
        """Evaluate some steps of a pass, which follow those done; a pass that is made `once` is not recorded."""

        def evaluate(at: At) -> None:
            images, labels = counted.batch(at)
            counted.count(at, *self.step.losses(images, labels, cache=self.recorder is None))

        for step in steps if once else self._replayed(counted, steps, evaluate):
            evaluate(counted.at(step))
        counted.done = steps.stop

    def _train(self, at: At) -> None:
        images, labels = self.train.batch(at)
        losses, logits = self.step.losses(images, labels, self.step.label_smoothing, cache=self.recorder is None)
        self.train.count(at, losses, logits)
        self.step.backward(losses if losses.ndim == 0 else (losses * self.counting).sum())
        self.step.update()

    def _set_rate(self, rate: float) -> None:
        if self.rate is not None:
            self.rate.fill_(rate)
            return
        for group in self.step.optimizer.param_groups:
            group["lr"] = rate

    def _replayed(self, counted: Pass, steps: range, do: Callable[[At], None]) -> range:
        """Replay the steps; returns those that the host is to lead: all where nothing is recorded, else none."""
        if self.recorder is None:
            return steps
        self.recorder.pace()
        for step in steps:
            key = counted, counted.size(step)
            if key not in self._recorded:
                again, drawing = self._warm_up(counted, counted.size(step), do)
                try:
                    self._recorded[key] = self.recorder.record(again, drawing)
                except RuntimeError as error:
                    if out_of_memory(error):
                        raise
                    # that a recording cannot be ended then says less
                    raise RefusedError(first_line(error.__context__ or error)) from error
            self._recorded[key]()
        return range(steps.stop, steps.stop)

    def _warm_up(
        self, counted: Pass, size: int, do: Callable[[At], None]
    ) -> tuple[Callable[[], None], list[torch.Generator]]:
        """A step of `size` images that can be recorded, and the generators that it draws from.

        Everything is as it was before. What goes wrong here goes wrong without a recorder too, and is raised.
        """
        assert self.recorder is not None
        training = counted is self.train

        def step() -> None:
            if training:
                assert self.rate is not None
                self.rate.copy_(self._rates[counted.index][0])
            do(counted.here(size))
            counted.index.add_(1)

        # on the host: a device that has room for a step may have none for its weights twice
        before = {id(t): t.detach().to("cpu", copy=True) for t in self._changing(counted)}
        drawn = RandomStates(self.step.compute.device, self.generators)
        drawing: list[torch.Generator] = []
        for _ in range(WARM_UPS):
            self.recorder.warm_up(step)
            with torch.no_grad():
                for t in self._changing(counted):  # an optimizer's state begins with zeros, in the first step
                    t.copy_(before[id(t)]) if id(t) in before else t.zero_()
            drawing = drawn.changed()
            drawn.restore()
        self.step.optimizer.zero_grad()  # what is recorded takes memory of its own for them
        return step, drawing

    def _changing(self, counted: Pass) -> Iterator[Tensor]:
        """All that a step changes and a later one reads."""
        yield counted.index
        if counted is self.train:
            yield from self.step.module.parameters()
            yield from self.step.module.buffers()
            for state in self.step.optimizer.state.values():
                yield from (t for t in state.values() if isinstance(t, Tensor))


class RandomStates:
    """The states of torch's random numbers as they are now: the CPU's, the device's, and those of some generators."""

    def __init__(self, device: torch.device, generators: Sequence[torch.Generator] = ()) -> None:
        self.device, self.generators = device, generators
        self.cpu = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        self.states = [generator.get_state() for generator in generators]

    def changed(self) -> list[torch.Generator]:
        """Those of the generators from which numbers were drawn since."""
        pairs = zip(self.generators, self.states, strict=True)
        return [generator for generator, state in pairs if not torch.equal(generator.get_state(), state)]

    def restore(self) -> None:
        """Draw again what was drawn since."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)
        for generator, state in zip(self.generators, self.states, strict=True):
            generator.set_state(state)
