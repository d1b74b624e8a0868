"""OpenVINO, Intel's runtime, on this machine's CPU, from the same ONNX files as ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dsbench.chips.chip import PRECISIONS, Chip
from dsbench.chips.onnxruntime import OnnxRuntime

if TYPE_CHECKING:
    from torch import Tensor

    from dsbench.measure.probes import Backend


@dataclass(frozen=True, kw_only=True)
class OpenVino(Chip):
    """This CPU on `threads` threads; what an int8 file leaves in fp32 is computed in fp32, not in bf16 or fp16."""

    runtime: ClassVar[str] = "openvino"
    packages: ClassVar[dict[str, str]] = {"openvino": "openvino", **OnnxRuntime.packages}
    extra: ClassVar[str] = "openvino"
    format: ClassVar[str] = "onnx"
    known_precisions: ClassVar[tuple[str, ...]] = PRECISIONS

    threads: int = 1

    def opened(self, file: Path) -> Backend:
        """The network in `file`."""
        return _Compiled(file, self.threads)


class _Compiled:
    """A network compiled for this CPU: for any batch, or the batch of the images that it was last prepared for."""

    def __init__(self, file: Path, threads: int) -> None:
        import openvino

        self.threads = threads
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._request = openvino.Core().compile_model(file, "CPU", settings).create_infer_request()

    def prepared(self, images: Tensor) -> np.ndarray:
        """Images (B, C, H, W), contiguous as they are written."""
        return images.cpu().contiguous().numpy()

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Prepared images to logits (B, classes)."""
        return self._request.infer([images], share_inputs=True)[0]
