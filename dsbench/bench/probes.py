"""What a round of a measurement does: a block of forward passes, or of training steps and of their parts."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor
from torch.utils.benchmark import Timer, timer

from dsbench.bench.backend import Backend
from dsbench.bench.subject import Subject, Training, random_batch
from dsbench.bench.timing import MIN_ROUNDS

_ROUND_SECONDS = 0.05  # of one block: long beside the clock, short beside what disturbs it
_WARM_UP_SECONDS = 0.2


class Block:
    """A probe of `call` on `threads` CPU threads: a block of calls, warmed up, between synchronised clocks.

    The number of calls in a block is set once, by a warm-up that `limit_seconds` shortens.
    """

    def __init__(self, call: Callable[[], object], threads: int, limit_seconds: float) -> None:
        self._timer = Timer("call()", globals={"call": call}, num_threads=threads)
        warm = self._timer.blocked_autorange(min_run_time=min(_WARM_UP_SECONDS, limit_seconds / 10))
        self.calls = max(1, round(min(_ROUND_SECONDS, limit_seconds / MIN_ROUNDS) / warm.median))

    def __call__(self) -> tuple[float]:
        return (fmean(self._timer.timeit(self.calls).times),)


def forward_probe(backend: Backend, images: Tensor, limit_seconds: float) -> Block:
    """A probe of the forward pass of `images` (B, C, H, W), which are prepared for it beforehand."""
    prepared = backend.prepared(images)
    return Block(lambda: backend.forward(prepared), backend.threads, limit_seconds)


class StepProbe:
    """A probe of the training step: whole, then its forward, backward and optimiser parts.

    The parts are of steps of their own, with a synchronised clock between them.
    """

    def __init__(self, subject: Subject, limit_seconds: float) -> None:
        self.training = Training(subject.network, subject.compute, subject.recipe)
        self.training.hold_still()
        self.batch = random_batch(subject.network, subject.compute.device, subject.recipe.batch_size)
        # A round has two such blocks.
        self.whole = Block(lambda: self.training.step(*self.batch), subject.compute.threads, limit_seconds / 2)

    def __call__(self) -> tuple[float, ...]:
        (total,) = self.whole()
        torch.set_num_threads(self.training.compute.threads)
        parts = [self._parts() for _ in range(self.whole.calls)]
        return total, *map(fmean, zip(*parts, strict=True))

    def _parts(self) -> tuple[float, float, float]:
        """Seconds of the forward pass and the loss, of the backward pass, and of the optimiser."""
        start = timer()
        loss = self.training.loss(*self.batch)
        forward = timer()
        self.training.backward(loss)
        backward = timer()
        self.training.update()
        return forward - start, backward - forward, timer() - backward
