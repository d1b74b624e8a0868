"""Where a run computes, and with what numbers, as torch has them."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass

import torch
from torch import nn

from dsbench.errors import InputError
from dsbench.machine import cores
from dsbench.process import keep_freed_memory
from dsbench.training.place import Place, place

ALL_THREADS = min(torch.get_num_threads(), cores())  # before any run of this process has asked for fewer
_NO_MEMORY = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


@dataclass(frozen=True)
class Compute:
    """A resolved device and precision; `name` is the device's, `threads` the CPU threads.

    `memory_format` is that of images and weights, channels_last or contiguous.
    """

    device: torch.device
    name: str
    precision: str
    threads: int
    memory_format: str = "channels_last"


def resolve(device: str, precision: str, threads: int | None) -> Compute:
    """The device and precision that `auto` stands for here; the thread count is set for the process as well.

    Raises InputError as `place` does.
    """
    return place(device, precision, threads).compute()


def taken(there: Place) -> Compute:
    """What `there` is for torch; the thread count is set for the process."""
    torch.set_num_threads(there.asked_threads or ALL_THREADS)
    return Compute(torch.device(there.kind), there.name, there.precision, torch.get_num_threads())


def moved(module: nn.Sequential, device: str | torch.device) -> nn.Sequential:
    """The module on a device, by torch's name for it. Raises InputError where there is none of that name."""
    try:
        return module.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {str(device)!r}: {str(error).splitlines()[0]}") from None


def set_up_process() -> None:
    """What is the same for everything that is trained or measured, and decides its speed."""
    keep_freed_memory()
    torch.set_flush_denormal(True)  # a dying network's tiny activations would cost a hundred times the normal step
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False  # else cuDNN's choice of kernels is up to the clock
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself on several streams too
    with warnings.catch_warnings():  # torch 2.9 to 2.11 advise against these, and the later names are not in 2.8
        warnings.simplefilter("ignore", UserWarning)
        torch.backends.cudnn.allow_tf32 = False  # precision=32 means it
        torch.backends.cuda.matmul.allow_tf32 = False  # torch's default, unless the environment says else


def out_of_memory(error: BaseException) -> bool:
    """Whether a device had no memory left: for torch's allocator, or for CUDA and its libraries, which have words."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
    )
