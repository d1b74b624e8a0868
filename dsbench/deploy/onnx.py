"""A network in ONNX Runtime: exported to a file, quantised to int8, and opened."""

from __future__ import annotations

import copy
import platform
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from dsbench.files import write_atomically
from dsbench.network.layers import Shape

if TYPE_CHECKING:
    from onnx import ModelProto

INPUT, OUTPUT = "images", "logits"
_CALIBRATION_BATCH = 64  # images whose activations calibration holds at a time
_ERRORS_ONLY = 3  # of ONNX Runtime's levels of log messages


def export(module: nn.Module, input_shape: Shape, path: Path) -> None:
    """Write `module` in evaluation mode to `path` in fp32: images (B, C, H, W) to logits (B, classes), for any B.

    `input_shape` is (channels, height, width). Batch norms are folded into the convolutions before them. The module
    stays as it is.
    """
    module = copy.deepcopy(module).cpu().float().eval()
    images = torch.zeros(2, *input_shape)  # two, because the exporter takes a batch of one for a constant
    with warnings.catch_warnings():
        # torch 2.13 uses a check that torch itself deprecates.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        program = torch.onnx.export(
            module,
            (images,),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    assert program is not None
    model = program.model_proto
    _strip(model)
    write_atomically(path, model.SerializeToString(deterministic=True))


def _strip(model: ModelProto) -> None:
    """Remove inferred shapes and each node's place in the source, which double the file of a small network."""
    graph = model.graph
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")  # an empty one would be written


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


def quantize(fp32: Path, images: Tensor, path: Path, per_channel: bool = True) -> None:
    """Write the int8 form of the ONNX file `fp32` to `path`, its ranges those of `images` (N, C, H, W).

    Weights are symmetric int8, one scale an output channel or, not `per_channel`, one a layer; activations uint8
    between the lowest and the highest value seen; in QDQ format, which is the one that ONNX Runtime's CPU kernels are
    written for.
    """
    with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
        prepared, quantized = Path(scratch) / "prepared.onnx", Path(scratch) / "quantized.onnx"
        quant_pre_process(fp32, prepared)  # folds constants and infers every shape
        quantize_static(
            prepared,
            quantized,
            _Reader(images),
            quant_format=QuantFormat.QDQ,
            per_channel=per_channel,
            reduce_range=weight_bits() == 7,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        write_atomically(path, quantized.read_bytes())


def weight_bits() -> int:
    """Bits that weights use: 7 on an x86 CPU without VNNI, whose sums of two 8-bit products can overflow, else 8."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return 7 if x86 and not torch.cpu._is_vnni_supported() else 8


class _Reader(CalibrationDataReader):
    """Images in batches, as ONNX Runtime asks for them."""

    def __init__(self, images: Tensor) -> None:
        self._batches: Iterator[Tensor] = iter(images.split(_CALIBRATION_BATCH))

    def get_next(self) -> dict[str, object] | None:
        """The next batch by the name of the network's input, or None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch.contiguous().numpy()}
