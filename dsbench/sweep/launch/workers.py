"""How many runs fit on this machine at once, and with which threads and GPU each."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from dsbench.errors import InputError
from dsbench.provenance import N_JOBS


@dataclass(frozen=True)
class Workers:
    """Places for a process each: its environment variables, and the `threads` of a run in it."""

    environments: tuple[dict[str, str], ...]
    threads: int

    def __len__(self) -> int:
        return len(self.environments)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_for(jobs: int, n_jobs: int | None = None, threads: int | None = None, device: str = "auto") -> Workers:
    """The workers for `jobs` runs; None stands for what gives the most runs an hour.

    On CPUs that is a run a core with one thread each: small networks gain little from a second thread, and two
    processes of one thread beat one of two. Fewer runs than cores share them all. On GPUs it is one run a GPU.
    """
    for name, value in (("n_jobs", n_jobs), ("threads", threads)):
        if value is not None and value < 1:
            raise InputError(f"{name} {value} is not a positive integer")
    gpus = _gpus() if device in ("auto", "cuda") else 0
    fit = gpus or max(1, cores() // (threads or 1))
    count = max(1, min(n_jobs or fit, jobs))
    threads = threads or max(1, cores() // count)
    shared = {N_JOBS: str(count)}
    environments = tuple(shared | ({"CUDA_VISIBLE_DEVICES": _visible(i % gpus)} if gpus else {}) for i in range(count))
    return Workers(environments, threads)


def _gpus() -> int:
    """CUDA devices, counted without touching them: a process that forks must not have a CUDA context."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    if shutil.which("nvidia-smi") is None:
        return 0  # and no need for torch, which takes seconds to import
    import torch

    return torch.cuda.device_count()  # through NVML


def _visible(index: int) -> str:
    """The name of the `index`-th of the devices that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[index].strip() if visible else str(index)
