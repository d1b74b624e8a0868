"""What a measurement says about the machine it was taken on: its speed, its versions, and who else was using it."""

from __future__ import annotations

import os
import platform
import resource
import time
from importlib.metadata import version
from pathlib import Path

from dsbench.machine import cores
from dsbench.training.place import place

SETTINGS = ("OMP_", "GOMP_", "KMP_", "MKL_", "MALLOC_", "GLIBC_", "LD_PRELOAD")  # of the environment; they decide speed


def facts() -> dict[str, object]:
    """The processor, its number of cores, the versions and the settings that speed depends on."""
    packages = ("torch", "pytorch-lightning", "torchmetrics", "torchvision", "numpy")
    return {
        "processor": place("cpu", "32", None).name,
        "cores": cores(),
        "system": platform.platform(),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in packages},
        "environment": {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)},
    }


def load_average() -> float:
    """Processes that ran or waited to, on average over the last minute; after a measurement its own among them."""
    return os.getloadavg()[0]


class Bystanders:
    """How many cores were busy with other things while this process's children worked."""

    def __init__(self) -> None:
        self._before = self._now()

    def cores(self) -> float | None:
        """Cores' worth of other work since the beginning, time stolen by a hypervisor included; Linux only."""
        before, now = self._before, self._now()
        if before is None or now is None:
            return None
        wall, busy, own = (after - earlier for after, earlier in zip(now, before, strict=True))
        return max(0.0, busy - own) / wall

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        try:
            fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
        except OSError:
            return None
        user, nice, system, _idle, _iowait, *rest = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields)
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.monotonic(), user + nice + system + sum(rest), own.ru_utime + own.ru_stime
