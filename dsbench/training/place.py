"""Where a run computes, known without torch wherever that can be: planning and finished runs need not wait for it."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from glob import iglob
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from dsbench.errors import InputError, choose
from dsbench.training.gpu import gpu

if TYPE_CHECKING:
    from dsbench.training.device import Compute

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "32", "bf16", "16")
# What the driver of any GPU that torch can use makes on Linux: NVIDIA's, Tegra's, that of Windows beneath, AMD's.
_GPU_FILES = ("/dev/nvidia*", "/dev/nvhost*", "/dev/nvgpu*", "/dev/nvmap", "/dev/dxg", "/dev/kfd")
_NATIVE_BF16 = {"avx512_bf16", "amx_tile"}  # the flags of processors that multiply bf16 themselves
_KNOWN_SINCE = (5, 16)  # the version of Linux from which on /proc/cpuinfo names both


@dataclass(frozen=True)
class Place:
    """A resolved device and precision: `kind` is cpu, cuda or mps, `name` the device's own.

    `asked_threads` are the CPU threads that a run names, None stands for those that torch takes by itself.
    """

    kind: str
    name: str
    precision: str
    asked_threads: int | None = None

    @property
    def threads(self) -> int:
        """The CPU threads; where none were asked for, torch is imported."""
        if self.asked_threads is not None:
            return self.asked_threads
        from dsbench.training.device import ALL_THREADS

        return ALL_THREADS

    def compute(self) -> Compute:
        """The same for torch, which is imported; the thread count is set for the process as well."""
        from dsbench.training.device import taken

        return taken(self)


def place(device: str, precision: str, threads: int | None) -> Place:
    """The device and precision that `auto` stands for here.

    Raises InputError for an unknown name and for a device or precision that is not there.
    """
    choose("device", device, DEVICES)
    choose("precision", precision, PRECISIONS)
    if threads is not None and threads < 1:
        raise InputError(f"threads {threads} is not a positive integer")
    if device == "auto":
        device = next(kind for kind in ("cuda", "mps", "cpu") if is_there(kind))
    if not is_there(device):
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") if device == "cuda" else None
        hidden = "" if visible is None else f" that CUDA_VISIBLE_DEVICES={visible} shows"
        raise InputError(f"device={device}: there is none on this machine{hidden}; device=auto takes the best there is")
    precision = resolve_precision(precision, device)
    if precision == "16" and device != "cuda":
        raise InputError(f"precision=16 needs a CUDA device, this run is on {device}; choose 32 or bf16")
    return Place(device, _name(device), precision, threads)


def is_there(kind: str) -> bool:
    """Whether torch can compute on a cpu, cuda or mps; it is asked only where this system may have a GPU for it.

    torch initialises CUDA's driver to answer, but makes no context; Lightning has it ask NVML, which initialises
    nothing. So the server that a sweep's processes are forked from can import it all.
    """
    if kind == "cpu":
        return True
    if platform.system() == "Linux" and (
        kind == "mps" or _built_for_cpus() or not any(next(iglob(files), None) for files in _GPU_FILES)
    ):
        return False
    import torch

    return torch.cuda.is_available() if kind == "cuda" else torch.backends.mps.is_available()


def resolve_precision(precision: str, kind: str) -> str:
    """What `auto` stands for on a cpu, cuda or mps; every other precision stands for itself."""
    if precision == "auto":
        return "bf16" if _native_bf16(kind) else "32"
    return precision


@cache
def _built_for_cpus() -> bool:
    """Whether the torch that is installed says that it was built for no GPU."""
    spec = importlib.util.find_spec("torch")
    for folder in (spec and spec.submodule_search_locations) or ():
        version = Path(folder) / "version.py"
        if version.is_file():
            built_for = dict(re.findall(r"^(cuda|hip)\b[^=\n]*= *(\S+)", version.read_text(encoding="utf-8"), re.M))
            return built_for.keys() == {"cuda", "hip"} and set(built_for.values()) == {"None"}
    return False


def _native_bf16(kind: str) -> bool:
    """Whether the hardware multiplies bf16 itself: CUDA from Ampere on, CPUs with AVX512-BF16 or AMX."""
    if kind == "cuda":
        return gpu().capability >= (8, 0)
    return kind == "cpu" and (bool(_NATIVE_BF16 & set(processor().get("flags", "").split())) or _torch_sees_bf16())


def _torch_sees_bf16() -> bool:
    """What torch says of a processor whose flags do not name bf16; not asked where Linux knows the names."""
    kernel = re.match(r"(\d+)\.(\d+)", platform.release())
    if platform.system() == "Linux" and kernel and tuple(map(int, kernel.groups())) >= _KNOWN_SINCE and processor():
        return False
    import torch

    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


@cache
def processor() -> Mapping[str, str]:
    """What /proc/cpuinfo says of the first processor, by its keys (`model name`, `flags`); empty but on Linux."""
    if platform.system() != "Linux":
        return MappingProxyType({})
    out: dict[str, str] = {}
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                break
            out[name.strip()] = value.strip()
    return MappingProxyType(out)


def _name(kind: str) -> str:
    if kind == "cuda":
        return gpu().name
    return processor().get("model name") or platform.processor() or platform.machine()
