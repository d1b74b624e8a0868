"""TensorFlow Lite for Microcontrollers: the memory that a network takes of one, as the interpreter plans it here."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dsbench.chips.chip import Chip
from dsbench.errors import InputError
from dsbench.process import errors_into

_MOST_ARENA_BYTES = 256 * 2**20  # that is tried: far above any microcontroller's
_ARENA = re.compile(r"Arena allocation (total|head|tail) ([0-9]+) bytes")
_LACKS = re.compile(r"Didn't find op for builtin opcode '(\w+)'")


@dataclass(frozen=True, kw_only=True)
class Tflm(Chip):
    """A microcontroller that the interpreter of TensorFlow Lite runs on, with `arena_bytes` for it, if that is known.

    How long it takes on this machine says nothing of a microcontroller, so nothing is timed.
    """

    runtime: ClassVar[str] = "tflm"
    packages: ClassVar[dict[str, str]] = {"tflite-micro": "tflite_micro"}
    extra: ClassVar[str] = "edge"
    format: ClassVar[str] = "tflite"
    timed: ClassVar[bool] = False
    known_precisions: ClassVar[tuple[str, ...]] = ("fp32", "int8")
    costs: ClassVar[tuple[str, ...]] = (
        "arena_bytes",
        "arena_head_bytes",
        "arena_tail_bytes",
        "flash_bytes",
        *Chip.costs,
    )

    arena_bytes: int | None = None

    def counted(self, file: Path, precision: str) -> dict[str, Any]:
        """The arena: the head, which holds activations, and the tail, which holds what lives as long as the network.

        The tail's structures are those of a 64-bit machine; on a microcontroller they are smaller. `flash_bytes` is the
        file, which a microcontroller reads from flash; the interpreter's own code is not in it.
        """
        from tflite_micro import runtime

        content = file.read_bytes()

        def ask() -> None:
            network = runtime.Interpreter.from_bytes(content, arena_size=_MOST_ARENA_BYTES)
            details = network.get_input_details(0)
            network.set_input(np.zeros(details["shape"], details["dtype"]), 0)
            network.invoke()
            network.print_allocations()

        told, error = _heard(ask)
        if error is not None:
            lacks = _LACKS.search(told)
            if lacks is None:
                raise RuntimeError(f"{error}: {' '.join(told.split())}")
            raise InputError(f"TensorFlow Lite for Microcontrollers has no {lacks[1]}, which this network needs")
        arena = {name: int(size) for name, size in _ARENA.findall(told)}
        if self.arena_bytes is not None and arena["total"] > self.arena_bytes:
            raise InputError(
                f"this network needs an arena of {arena['total']:,} bytes, and chip/{self.name} has "
                f"{self.arena_bytes:,}; take a smaller width"
            )
        return {
            "arena_bytes": arena["total"],
            "arena_head_bytes": arena["head"],
            "arena_tail_bytes": arena["tail"],
            "flash_bytes": len(content),
        }


def _heard(call: Callable[[], None]) -> tuple[str, Exception | None]:
    """What C++ writes on standard error within `call`, and the exception that ends it."""
    with tempfile.TemporaryDirectory(prefix="dsbench-") as folder:
        told, error = Path(folder) / "stderr", None
        with errors_into(told):
            try:
                call()
            except Exception as caught:
                error = caught
        return told.read_text(encoding="utf-8", errors="replace"), error
