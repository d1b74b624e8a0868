"""What a CUDA device is, asked of its driver: a process that plans has no CUDA context."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

# Of <cuda.h>: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
_MAJOR, _MINOR = 75, 76
_NAME_BYTES = 256


@dataclass(frozen=True)
class Gpu:
    """A CUDA device: its name, its compute capability (major, minor), and all of its memory in bytes."""

    name: str
    capability: tuple[int, int]
    memory_bytes: int


def gpu() -> Gpu:
    """The first CUDA device that this process may use; there is one, see dsbench.training.place.is_there.

    NVIDIA's driver tells these once it is initialised (cuInit), without a context on the device. torch initialises
    CUDA as a whole for the same questions: a sweep that plans would hold hundreds of megabytes of the card for as long
    as it lasts, and keep its runs from a card that is set to one process. torch is asked where there is no such driver,
    as with AMD's.
    """
    found = _of_driver()
    if found is not None:
        return found
    import torch

    properties = torch.cuda.get_device_properties()
    return Gpu(properties.name, (properties.major, properties.minor), properties.total_memory)


def _of_driver() -> Gpu | None:
    """What NVIDIA's driver says, by the names and the order of its C interface; None where it is not there or fails.

    CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER hold for the driver as for torch, which stands on it.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, major, minor, size = ctypes.c_int(), ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(_NAME_BYTES)
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(device), 0)
        or driver.cuDeviceGetName(name, _NAME_BYTES, device)
        or driver.cuDeviceTotalMem_v2(ctypes.byref(size), device)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
        or driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    )
    return None if failed else Gpu(name.value.decode(), (major.value, minor.value), size.value)
