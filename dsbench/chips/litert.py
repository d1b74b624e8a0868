"""LiteRT (TensorFlow Lite) with XNNPACK, the runtime of phones, on this machine's CPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from dsbench.chips.chip import Chip

if TYPE_CHECKING:
    from dsbench.measure.probes import Backend


@dataclass(frozen=True, kw_only=True)
class Litert(Chip):
    """This CPU through XNNPACK on `threads` threads."""

    runtime: ClassVar[str] = "litert"
    packages: ClassVar[dict[str, str]] = {"ai-edge-litert": "ai_edge_litert"}
    extra: ClassVar[str] = "edge"
    format: ClassVar[str] = "tflite"
    known_precisions: ClassVar[tuple[str, ...]] = ("fp32", "int8")

    threads: int = 1

    def opened(self, file: Path) -> Backend:
        """The network in `file`."""
        from dsbench.deploy.tflite import Interpreter

        return Interpreter(file, self.threads)
