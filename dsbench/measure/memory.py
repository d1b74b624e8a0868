"""The memory of a training step, by torch's own count."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from itertools import accumulate

import torch

from dsbench.measure.subject import Subject, Training, random_batch

WHAT = "the most that torch's allocator holds in a training step: weights, gradients, optimizer state, activations"


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
    images, labels = random_batch(subject.network, subject.compute.device, subject.recipe.batch_size)
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
