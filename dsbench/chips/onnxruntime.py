"""ONNX Runtime on this machine's CPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from dsbench.chips.chip import PRECISIONS, Chip

if TYPE_CHECKING:
    from dsbench.measure.probes import Backend


@dataclass(frozen=True, kw_only=True)
class OnnxRuntime(Chip):
    """This CPU, all graph optimisations on, on `threads` threads."""

    runtime: ClassVar[str] = "onnxruntime"
    packages: ClassVar[dict[str, str]] = {"onnx": "onnx", "onnxruntime": "onnxruntime", "onnxscript": "onnxscript"}
    extra: ClassVar[str] = "onnx"
    format: ClassVar[str] = "onnx"
    known_precisions: ClassVar[tuple[str, ...]] = PRECISIONS

    threads: int = 1

    def opened(self, file: Path) -> Backend:
        """The network in `file`."""
        from dsbench.deploy.onnx import Session

        return Session(file, self.threads)
