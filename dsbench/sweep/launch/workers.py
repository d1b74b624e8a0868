"""How many runs fit on this machine at once, and with which threads and GPU each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from dsbench import machine
from dsbench.errors import InputError
from dsbench.numerals import counted, memory
from dsbench.provenance import N_JOBS
from dsbench.training.memory import IMPORTED_BYTES
from dsbench.training.place import is_there

# A run takes at the most so many times what is counted of it, and so much more: workspaces, what oneDNN compiles, W&B,
# memory in pieces. By benchmarks/memory.py.
_SPARE = 1.5
_SPARE_BYTES = 110 << 20


@dataclass(frozen=True)
class Workers:
    """Places for a process each: its environment variables, and the `threads` of a run in it; `why` so many."""

    environments: tuple[dict[str, str], ...]
    threads: int
    why: str = ""

    def __len__(self) -> int:
        return len(self.environments)


def workers_for(
    jobs: int,
    n_jobs: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    run_bytes: Sequence[int] = (),
) -> Workers:
    """The workers for `jobs` runs; None stands for what gives the most runs an hour.

    On CPUs that is a run a core with one thread each: small networks gain little from a second thread, and two
    processes of one thread beat one of two. Fewer runs than cores share them all. On GPUs it is one run a GPU. Whatever
    is asked for, there are no more than fit into the memory that is free, where `run_bytes` says what each run takes.
    """
    for name, value in (("n_jobs", n_jobs), ("threads", threads)):
        if value is not None and value < 1:
            raise InputError(f"{name} {value} is not a positive integer")
    gpus, cores = _gpus() if device in ("auto", "cuda") else 0, machine.cores()
    fit = gpus or max(1, cores // (threads or 1))
    asked = max(1, min(n_jobs or fit, jobs))
    threads = threads or max(1, cores // asked)
    count = min(asked, in_memory(run_bytes, forked=True))
    places = f"n_jobs={n_jobs}" if n_jobs else counted(gpus, "GPU") if gpus else counted(cores, "core")
    why = f"{count} at once: {places}, {_memory_words(run_bytes, lowered=count < asked)}" if run_bytes else ""
    shared = {N_JOBS: str(count)}
    environments = tuple(shared | ({"CUDA_VISIBLE_DEVICES": _visible(i % gpus)} if gpus else {}) for i in range(count))
    return Workers(environments, threads, why)


def in_memory(run_bytes: Sequence[int], forked: bool) -> int:
    """How many of the runs that take `run_bytes` each fit into the memory that is free, whichever; one at the least.

    `forked`: whether their processes are forked from one, and share what that has imported.
    """
    taken = accumulate(sorted((_taken(each, forked) for each in run_bytes), reverse=True))
    free = _free(forked)
    fitting = sum(total <= free for total in taken)
    return max(1, fitting) if fitting < len(run_bytes) else 1 << 30


def _memory_words(run_bytes: Sequence[int], lowered: bool) -> str:
    """How many of the largest run fit, and what is free where they are fewer than there are places for."""
    most, free = _taken(max(run_bytes), forked=True), _free(forked=True)
    fitting = f"{counted(free // most, 'run')} of {memory(most)}"
    return f"but memory for {fitting} ({memory(free)} are free)" if lowered else f"and memory for {fitting}"


def _taken(run_bytes: int, forked: bool) -> int:
    return int(_SPARE * run_bytes) + _SPARE_BYTES + (0 if forked else IMPORTED_BYTES)


def _free(forked: bool) -> int:
    return max(0, machine.memory().available - (IMPORTED_BYTES if forked else 0))


def _gpus() -> int:
    """CUDA devices, counted without touching them: a process that forks must not have a CUDA context."""
    if not is_there("cuda"):
        return 0
    import torch

    # Through NVML. CUDA leaves out what CUDA_VISIBLE_DEVICES names from its first device on that is not there.
    return torch.cuda.device_count()


def _visible(index: int) -> str:
    """The name of the `index`-th of the devices that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[index].strip() if visible else str(index)
