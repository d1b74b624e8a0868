"""What a device is beyond its name, which many share: times compare only where all of it agrees."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import tempfile
from functools import cache
from typing import Any

import torch

from dsbench.training.gpu import gpu
from dsbench.training.place import processor

INSTRUCTION_SETS = {
    "avx2": "AVX2",
    "avx512_f": "AVX-512",
    "avx512_vnni": "VNNI",
    "avx512_bf16": "AVX-512 bf16",
    "avx512_fp16": "AVX-512 fp16",
    "amx_tile": "AMX",
    "amx_bf16": "AMX bf16",
}
_ISA = re.compile(r"^onednn_verbose,.*,cpu,isa:(.*)$", re.MULTILINE)


@cache
def identity(device: str) -> dict[str, Any]:
    """What decides the speed of this machine's `device` (cpu, cuda, mps), as plain data; what is unknown is None.

    Of a CPU vendor, family, model, stepping, cores, the instruction sets that decide, and those that torch and oneDNN
    use; of a GPU its compute capability and memory, driver, CUDA and cuDNN.
    """
    if device == "cuda":
        found = gpu()
        return {
            "name": found.name,
            "compute_capability": "{}.{}".format(*found.capability),
            "memory_bytes": found.memory_bytes,
            "driver": _driver(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    known = torch.cpu.get_capabilities()
    return {
        "architecture": platform.machine(),
        **_processor(),
        "cores": os.cpu_count(),
        "instruction_sets": [name for name in INSTRUCTION_SETS if known.get(name)],
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "onednn_isa": _onednn_isa(),
    }


def features(device: str) -> list[str]:
    """Instruction sets of this machine's CPU or the compute capability of its GPU, in words; empty where unknown."""
    known = identity(device)
    if device == "cuda":
        return [f"compute capability {known['compute_capability']}"]
    return [INSTRUCTION_SETS[name] for name in known["instruction_sets"]]


def _processor() -> dict[str, str | None]:
    """Vendor, family, model and stepping by Linux; None elsewhere."""
    names = {"vendor": "vendor_id", "family": "cpu family", "model": "model", "stepping": "stepping"}
    return {name: processor().get(key) for name, key in names.items()}


def _driver() -> str | None:
    """The version of the NVIDIA driver; None where its library does not say."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        text = ctypes.create_string_buffer(80)
        library.nvmlInit_v2()
        failed = library.nvmlSystemGetDriverVersion(text, len(text))
        library.nvmlShutdown()
    except OSError:
        return None
    return None if failed else text.value.decode()


def _onednn_isa() -> str | None:
    """The instruction set that oneDNN chose, which it says only on standard output, before its first line there."""
    if not torch.backends.mkldnn.is_available() or platform.system() != "Linux":
        return None
    libc = ctypes.CDLL(None)
    images, kernels = torch.zeros(1, 16, 8, 8), torch.zeros(16, 16, 3, 3)
    with tempfile.TemporaryFile() as caught:
        libc.fflush(None)
        kept = os.dup(1)
        os.dup2(caught.fileno(), 1)
        try:
            with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                torch.ops.aten.mkldnn_convolution(images, kernels, None, [0, 0], [1, 1], [1, 1], 1)
            libc.fflush(None)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        caught.seek(0)
        text = caught.read().decode(errors="replace")
    found = _ISA.search(text)
    return found[1] if found else None
