"""ONNX Runtime with a network's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from torch import Tensor

from dsbench.deploy.export import INPUT, OUTPUT

_ERRORS_ONLY = 3


class Session:
    """The network in the file `path` on `threads` threads of the CPU, all graph optimisations on.

    `prepared` brings images (B, C, H, W) into the form that `forward` computes logits (B, classes) from fastest.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.threads = threads
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = _ERRORS_ONLY
        # Its threads would go on spinning after a call and take the core from what is timed next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def prepared(self, images: Tensor) -> np.ndarray:
        """Images (B, C, H, W), contiguous as they are written."""
        return images.cpu().contiguous().numpy()

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Prepared images to logits (B, classes)."""
        return self._session.run([OUTPUT], {INPUT: images})[0]
