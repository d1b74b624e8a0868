"""A network in ONNX Runtime: exported to a file, quantised to int8, opened, and compared with torch."""

from __future__ import annotations

import copy
import platform
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from dsbench.data import split
from dsbench.files import write_atomically
from dsbench.measure.probes import Backend, Inference, accuracy
from dsbench.measure.subject import Subject, random_batch
from dsbench.network.layers import Shape
from dsbench.training.batches import Batches
from dsbench.training.device import resolve

if TYPE_CHECKING:
    from onnx import ModelProto

    from dsbench.measure.by_turns import OnnxFiles
    from dsbench.training.datamodule import ImageData

INPUT, OUTPUT = "images", "logits"
CALIBRATION_IMAGES = 512
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


def calibration_images(data: ImageData, count: int = CALIBRATION_IMAGES) -> Tensor:
    """`count` training images (count, C, H, W) as the network sees them, unaugmented; classes have their shares.

    Where there are no more, they are all. They depend on the data set and its split alone, not on a seed. Validation
    and test images are never among them.
    """
    train = data.train
    count = min(count, len(train.rows))
    labels = train.labels[train.rows].cpu().numpy()
    chosen = split.stratified(labels, count)[1] if count < len(labels) else np.arange(count)
    rows = train.rows[torch.from_numpy(chosen).to(train.rows.device)]
    ((images, _),) = Batches(train.images, train.labels, rows, count, train.scale, sharpened=train.sharpened)
    return images.cpu()


def quantize(fp32: Path, images: Tensor, path: Path) -> None:
    """Write the int8 form of the ONNX file `fp32` to `path`, its ranges those of `images` (N, C, H, W).

    Weights are symmetric int8, one scale an output channel; activations uint8 between the lowest and the highest value
    seen; in QDQ format, which is the one that ONNX Runtime's CPU kernels are written for.
    """
    with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
        prepared, quantized = Path(scratch) / "prepared.onnx", Path(scratch) / "quantized.onnx"
        quant_pre_process(fp32, prepared)  # folds constants and infers every shape
        quantize_static(
            prepared,
            quantized,
            _Reader(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
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


@dataclass(frozen=True)
class Deployed:
    """What else than torch computes a network's logits, and the `onnx` section of its record.

    `backends` holds onnx and onnx_int8, and torch_fp32 to compare them with: torch in fp32 on the CPU, left out where
    the subject computes there in fp32 anyway. The section holds the files' bytes and, of a network that a run has
    trained, the accuracy of all three on the test images, as shares of 1.
    """

    backends: dict[str, Backend]
    section: dict[str, Any]


def deploy(subject: Subject, files: OnnxFiles) -> Deployed:
    """Open the network in `files`; it is exported to them first, and has a section, where they are not there.

    int8 is calibrated on training images of the run; of a network without one, whose accuracy means nothing, on random
    images. Raises InputError where the run's data are not there.
    """
    cpu = resolve("cpu", "32", subject.compute.threads)
    module, there = subject.module(), files.fp32.is_file() and files.int8.is_file()
    data = subject.run.data() if subject.run and not there else None
    if not there:
        images = calibration_images(data) if data else random_batch(subject.network, cpu.device, CALIBRATION_IMAGES)[0]
        export(module, subject.network.input_shape, files.fp32)
        quantize(files.fp32, images, files.int8)
    reference, fp32, int8 = Inference(module, cpu), Session(files.fp32, cpu.threads), Session(files.int8, cpu.threads)
    same = (subject.compute.device.type, subject.compute.precision) == ("cpu", "32")
    backends: dict[str, Backend] = {} if same else {"torch_fp32": reference}
    backends |= {"onnx": fp32, "onnx_int8": int8}
    if there:
        return Deployed(backends, {})
    section: dict[str, Any] = {
        "fp32": {"bytes": files.fp32.stat().st_size},
        "int8": {"bytes": files.int8.stat().st_size},
        "calibrated_on": f"{len(images)} {'training' if data else 'random'} images",
        "weight_bits": weight_bits(),
        "device": cpu.name,
        "versions": {package: version(package) for package in ("onnx", "onnxruntime")},
    }
    if data:
        section["fp32"]["test_acc"] = accuracy(fp32, data.test)
        section["int8"]["test_acc"] = accuracy(int8, data.test)
        section["torch_fp32"] = {"test_acc": accuracy(reference, data.test)}
    return Deployed(backends, section)
