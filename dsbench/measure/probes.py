"""What is measured: forward passes, by torch here and by runtimes in dsbench.deploy, and training steps."""

from __future__ import annotations

import copy
import gc
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from statistics import fmean
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer, timer
from torch.utils.benchmark.utils.common import set_torch_threads

from dsbench.measure.subject import Subject, Training
from dsbench.measure.timing import MIN_ROUNDS
from dsbench.network.build import FORMATS, drawn, formatted
from dsbench.network.layers import Layer, Shape
from dsbench.training.batches import Batches
from dsbench.training.device import Compute
from dsbench.training.step import DTYPES, autocast

_ROUND_SECONDS = 0.05  # of one block: long beside the clock's resolution, short beside disturbances
_WARM_UP_SECONDS = 0.2
LONG_SECONDS = 0.01  # from which on a call is timed by itself: torch's timer would warm up each block by two more calls
PEAK_MEMORY = (
    "the most that torch's allocator holds in a training step: weights, gradients, optimizer state, activations"
)


class Backend(Protocol):
    """`prepared` brings images (B, C, H, W) into the form that `forward` computes logits (B, classes) from fastest."""

    @property
    def threads(self) -> int:
        """CPU threads."""

    def prepared(self, images: Tensor) -> Any:
        """What `forward` takes."""

    def forward(self, images: Any) -> Any:
        """Logits (B, classes), a tensor or an array."""


class Inference:
    """A module by torch in evaluation mode, without gradients, on a device and in its precision."""

    def __init__(self, module: nn.Sequential, compute: Compute) -> None:
        self.compute = compute
        if compute.memory_format != "channels_last":  # in which networks are built and loaded
            module = formatted(module, compute.memory_format)
        self.module: Callable[[Tensor], Tensor] = module.to(compute.device).eval()

    @property
    def threads(self) -> int:
        """CPU threads of the process."""
        return self.compute.threads

    def prepared(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) on the device, in the memory format that networks are trained in."""
        return images.to(self.compute.device).contiguous(memory_format=FORMATS[self.compute.memory_format])

    def forward(self, images: Tensor) -> Tensor:
        """Prepared images (B, C, H, W) to logits (B, classes)."""
        with torch.inference_mode(), autocast(self.compute):
            return self.module(images)


def accuracy(backend: Backend, batches: Batches) -> float:
    """The share of images predicted right."""
    right = total = 0
    for images, labels in batches:
        predicted = torch.as_tensor(backend.forward(backend.prepared(images))).argmax(1)
        right += int((predicted == labels).sum())
        total += len(labels)
    return right / total


def compiled(inference: Inference, backend: str = "inductor") -> Inference:
    """The same network through torch.compile, compiled anew at the first call with each shape."""
    twin = copy.copy(inference)
    twin.module = torch.compile(inference.module, backend=backend, dynamic=False, fullgraph=True)
    return twin


def compile_seconds(inference: Inference, images: Tensor) -> float:
    """Seconds of the first call of a compiled network with images of a new shape, the forward pass included."""
    torch.set_num_threads(inference.threads)  # the generated code depends on their number
    prepared = inference.prepared(images)
    start = timer()
    inference.forward(prepared)
    return timer() - start


@contextmanager
def compiler(variants: int, backend: str = "inductor") -> Iterator[None]:
    """A context for compiling `variants` networks, counted by network and shape, each without a cache on disk.

    The networks share the code that torch.compile starts from, and beyond eight variants of one code it would refuse.
    The compiler's own start, ten seconds on a slow machine, comes first, so that no network's compile time has it.
    """
    import torch._dynamo
    import torch._inductor.config

    with (
        warnings.catch_warnings(),
        torch._dynamo.config.patch(recompile_limit=variants + 8),
        torch._inductor.config.patch(force_disable_caches=True),
    ):
        warnings.filterwarnings("ignore", "dynamo_pgo force disabled", UserWarning)
        warnings.filterwarnings("ignore", "TensorFloat32 tensor cores", UserWarning)  # precision=32 means it
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's compiler uses what torch calls deprecated
        torch.compiler.reset()  # what this process compiled before counts against the limit too
        layers = nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1, 2)
        with torch.inference_mode():
            torch.compile(nn.Sequential(*layers).eval(), backend=backend)(torch.zeros(1, 1, 4, 4))
        yield


class Block:
    """A probe of `call` on `threads` CPU threads: a block of calls, warmed up, between synchronised clocks.

    The number of calls in a block is set once, by a warm-up that `limit_seconds` shortens. `clock` gives seconds.
    """

    def __init__(
        self, call: Callable[[], object], threads: int, limit_seconds: float, clock: Callable[[], float] = timer
    ) -> None:
        self._call, self._threads, self._clock = call, threads, clock
        self._timer = Timer("call()", globals={"call": call}, num_threads=threads, timer=clock)
        warm = self._timer.blocked_autorange(min_run_time=min(_WARM_UP_SECONDS, limit_seconds / 10))
        self.calls = max(1, round(min(_ROUND_SECONDS, limit_seconds / MIN_ROUNDS) / warm.median))
        self._alone = self.calls == 1 and warm.median >= LONG_SECONDS

    def __call__(self) -> tuple[float]:
        if self._alone:
            with set_torch_threads(self._threads):
                start = self._clock()
                self._call()
                return (self._clock() - start,)
        return (fmean(self._timer.timeit(self.calls).times),)


def forward_probe(backend: Backend, images: Tensor, limit_seconds: float, clock: Callable[[], float] = timer) -> Block:
    """A probe of the forward pass of `images` (B, C, H, W), which are prepared for it beforehand."""
    prepared = backend.prepared(images)
    return Block(lambda: backend.forward(prepared), backend.threads, limit_seconds, clock)


class StepProbe:
    """A probe of the training step: whole, then its forward, backward and optimizer parts.

    The parts are timed in steps of their own, with synchronised clocks between them.
    """

    def __init__(self, subject: Subject, limit_seconds: float) -> None:
        self.training = Training(subject.network, subject.compute, subject.recipe)
        self.training.freeze()
        self.batch = subject.batch()
        # A round has two such blocks.
        self.whole = Block(lambda: self.training.step(*self.batch), subject.compute.threads, limit_seconds / 2)

    def __call__(self) -> tuple[float, ...]:
        (total,) = self.whole()
        torch.set_num_threads(self.training.compute.threads)
        parts = [self._parts() for _ in range(self.whole.calls)]
        return total, *map(fmean, zip(*parts, strict=True))

    def _parts(self) -> tuple[float, float, float]:
        """Seconds of the forward pass and the loss, of the backward pass, and of the optimizer."""
        start = timer()
        loss = self.training.loss(*self.batch)
        forward = timer()
        self.training.backward(loss)
        backward = timer()
        self.training.update()
        return forward - start, backward - forward, timer() - backward


class SlotProbes:
    """Probes of layers alone on `batch` inputs of `shape`, as they compute within a network.

    Their input comes as another layer leaves it, in that precision and memory format; in training it gets a gradient,
    and so do the weights, which nothing moves. On one thread of a CPU the time is that in which the thread had the
    core, so that waits for it are in no ratio.
    """

    def __init__(self, layers: Sequence[Layer], shape: Shape, batch: int, compute: Compute) -> None:
        self._compute = compute
        alone = compute.device.type == "cpu" and compute.threads == 1
        self._clock = time.thread_time if alone else timer
        module = formatted(drawn(layers, shape, seed=0), compute.memory_format)
        self._module = module.to(compute.device)
        generator = torch.Generator().manual_seed(0)
        given = torch.randn(batch, *shape, generator=generator).to(compute.device, DTYPES[compute.precision])
        self._input = given.contiguous(memory_format=FORMATS[compute.memory_format]).requires_grad_()
        self._wanted = [self._input, *self._module.parameters()]
        self._gradient = torch.randn_like(self._forward())

    def _forward(self) -> Tensor:
        with autocast(self._compute):
            return self._module(self._input)

    def inference(self) -> Tensor:
        """What the layers give, without gradients."""
        with torch.inference_mode():
            return self._forward()

    def training(self) -> tuple[Tensor, ...]:
        """The gradients of the input and of each weight, after a forward and a backward pass."""
        return torch.autograd.grad(self._forward(), self._wanted, self._gradient)

    def probe(self, phase: str, limit_seconds: float) -> Block:
        """A probe of `phase`, training or inference, whose mode the layers have until the next is asked for."""
        self._module.train(phase == "training")
        return Block(getattr(self, phase), self._compute.threads, limit_seconds, self._clock)


def peak_memory_bytes(subject: Subject) -> int | None:
    """The most bytes that torch's allocator holds for `subject` in a training step, beyond what it held before.

    Weights, gradients, optimizer state, one batch, activations and the workspaces of operators count; code, caches of
    libraries and memory that the allocator keeps unused do not, so a process takes more. CUDA's allocator knows its
    peak; on a CPU the allocations that the profiler records are added up, which is exact, the same each time, and blind
    to the other networks of the process, unlike its resident size. None on MPS, which knows no peak.
    """
    device = subject.compute.device
    torch.set_num_threads(subject.compute.threads)
    if device.type == "cpu":
        return allocated_peak(lambda: _steps(subject))
    if device.type == "cuda":
        gc.collect()
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        _steps(subject)
        return torch.cuda.max_memory_allocated(device) - before
    return None


def _steps(subject: Subject) -> None:
    """Two steps: from the second on, gradients and optimizer state are held during the forward pass."""
    training = Training(subject.network, subject.compute, subject.recipe)
    images, labels = subject.batch()
    for _ in range(2):
        training.step(images, labels)


def allocated_peak(call: Callable[[], object]) -> int:
    """The most bytes of CPU memory that torch holds at once of what it allocates within `call`."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # else the profiler reports its start and end on standard error
    gc.collect()  # what is freed within `call` should be its own
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        call()
    assert profile.profiler is not None
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(accumulate((event.nbytes() for event in events), initial=0))
