"""Vela, Arm's compiler for its Ethos-U processors: the cycles and the memory that it estimates of a network."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from dsbench.chips.chip import Chip
from dsbench.errors import InputError, first_line

_LACKS = "could not run on NPU"  # of an operator that its compiler can leave to no CPU
_ON_CPU = re.compile(r"^\s*CPU: (\w+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Vela(Chip):
    """An Ethos-U in a system: its kind and MACs a cycle, the clock and the memories around it, what lies in which.

    `system_config` and `memory_mode` are sections of the file `config`.

    Everything is the compiler's estimate; nothing ran on such a processor.
    """

    runtime: ClassVar[str] = "vela"
    packages: ClassVar[dict[str, str]] = {"ethos-u-vela": "ethosu"}
    extra: ClassVar[str] = "edge"
    format: ClassVar[str] = "tflite"
    timed: ClassVar[bool] = False
    known_precisions: ClassVar[tuple[str, ...]] = ("int8",)  # of fp32 it counts 0 cycles, and fails at nothing

    costs: ClassVar[tuple[str, ...]] = (
        "cycles",
        "estimated_ms",
        "sram_bytes",
        "flash_bytes",
        "dram_bytes",
        *Chip.costs,
    )

    accelerator: str
    system_config: str
    memory_mode: str
    config: str = "Arm/vela.ini"

    def counted(self, file: Path, precision: str) -> dict[str, Any]:
        """Cycles and memory as the compiler's summary has them, and the operators that it leaves to the CPU."""
        with tempfile.TemporaryDirectory(prefix="dsbench-") as folder:
            said = self._compiled(file, folder)
            (summary,) = Path(folder).glob("*_summary_*.csv")
            with summary.open(encoding="utf-8", newline="") as lines:
                (row,) = csv.DictReader(lines)
        cycles, seconds = float(row["cycles_total"]), float(row["inference_time"])

        def kibibytes(*sizes: str) -> int:
            return round(1024 * sum(map(float, sizes)))

        left = Counter(_ON_CPU.findall(said))
        if not cycles or not math.isfinite(seconds):
            what = ", ".join(left) or "no operator"
            raise InputError(f"Vela compiled nothing of this network for chip/{self.name}: {what} is left to the CPU")
        return {
            "cycles": round(cycles),
            "estimated_ms": 1e3 * seconds,
            "sram_bytes": kibibytes(row["sram_memory_used"]),
            "flash_bytes": kibibytes(row["on_chip_flash_memory_used"], row["off_chip_flash_memory_used"]),
            "dram_bytes": kibibytes(row["dram_memory_used"]),
            "cpu_operators": left.total(),
            **({"cpu_operator_names": ", ".join(f"{name} x{count}" for name, count in left.items())} if left else {}),
        }

    def _compiled(self, file: Path, folder: str) -> str:
        """Have Vela compile `file` into `folder`; returns what it says. Raises InputError for what it refuses."""
        from ethosu.vela import vela
        from ethosu.vela.errors import VelaError

        said = io.StringIO()
        options = {
            "--output-dir": folder,
            "--accelerator-config": self.accelerator,
            "--config": self.config,
            "--system-config": self.system_config,
            "--memory-mode": self.memory_mode,
        }
        words = [word for pair in options.items() for word in pair]
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = vela.main([str(file), *words, "--show-cpu-operations"])
        except (VelaError, SystemExit, RuntimeError) as error:
            if isinstance(error, RuntimeError) and _LACKS not in str(error):
                raise
            lines = [line for line in said.getvalue().splitlines() if "rror" in line]
            raise InputError(f"chip/{self.name}: Vela refused: {lines[-1] if lines else first_line(error)}") from None
        if code:
            raise RuntimeError(f"Vela ended with {code}: {said.getvalue().strip()}")
        return said.getvalue()
