"""Where a run computes, and with what numbers."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch

from dsbench.errors import InputError, choose
from dsbench.machine import cores
from dsbench.process import keep_freed_memory

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "32", "bf16", "16")
_ALL_THREADS = min(torch.get_num_threads(), cores())  # before any run of this process has asked for fewer
LIGHTNING_PRECISION = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


@dataclass(frozen=True)
class Compute:
    """A resolved device and precision; `name` is the device's, `threads` the CPU threads."""

    device: torch.device
    name: str
    precision: str
    threads: int


def resolve(device: str, precision: str, threads: int | None) -> Compute:
    """The device and precision that `auto` stands for here; the thread count is set for the process as well.

    Raises InputError for an unknown name and for a device or precision that is not there.
    """
    choose("device", device, DEVICES)
    choose("precision", precision, PRECISIONS)
    if threads is not None and threads < 1:
        raise InputError(f"threads {threads} is not a positive integer")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        device = next(name for name, available in there.items() if available)
    if not there[device]:
        raise InputError(f"device={device}: there is none on this machine; device=auto takes the best there is")
    precision = resolve_precision(precision, device)
    if precision == "16" and device != "cuda":
        raise InputError(f"precision=16 needs a CUDA device, this run is on {device}; choose 32 or bf16")
    torch.set_num_threads(threads or _ALL_THREADS)
    return Compute(torch.device(device), _name(device), precision, torch.get_num_threads())


def resolve_precision(precision: str, device: str) -> str:
    """What `auto` stands for on `device` (cpu, cuda, mps); every other precision stands for itself."""
    if precision == "auto":
        return "bf16" if _native_bf16(device) else "32"
    return precision


def set_up_process() -> None:
    """What is the same for everything that is trained or measured, and decides its speed."""
    keep_freed_memory()
    torch.set_flush_denormal(True)  # a dying network's tiny activations would cost a hundred times the normal step
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False  # precision=32 means it


def _native_bf16(device: str) -> bool:
    """Whether the hardware multiplies bf16 itself: CUDA from Ampere on, CPUs with AVX512-BF16 or AMX."""
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    if device == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def _name(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    if platform.system() == "Linux":
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
