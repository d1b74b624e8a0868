"""From an fp32 ONNX file to an int8 one, by static quantisation with calibration on training images."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor

from dsbench.data import split
from dsbench.deploy.export import INPUT
from dsbench.run.folder import write_atomically
from dsbench.training.batches import Batches

if TYPE_CHECKING:
    from dsbench.training.datamodule import ImageData

CALIBRATION_IMAGES = 512
_BATCH = 64  # images that calibration keeps the activations of at a time


def calibration_images(data: ImageData, count: int = CALIBRATION_IMAGES) -> Tensor:
    """`count` training images (count, C, H, W) as the network sees them, unaugmented; classes have their shares.

    They depend on the data set and its split alone, not on a seed. Validation and test images are never among them.
    """
    train = data.train
    labels = train.labels[train.rows].cpu().numpy()
    _, chosen = split.stratified(labels, count)
    rows = train.rows[torch.from_numpy(chosen).to(train.rows.device)]
    ((images, _),) = Batches(train.images, train.labels, rows, count, train.scale)
    return images.cpu()


def quantize(fp32: Path, images: Tensor, path: Path) -> None:
    """Write the int8 form of the ONNX file `fp32` to `path`, its ranges those of `images` (N, C, H, W).

    Weights are symmetric int8, one scale an output channel; activations uint8 between the lowest and the highest value
    seen; in QDQ format, which is the one that ONNX Runtime's CPU kernels are written for.
    """
    with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
        prepared, quantized = Path(scratch) / "prepared.onnx", Path(scratch) / "quantized.onnx"
        quant_pre_process(fp32, prepared)  # folds what is left to fold, and knows every shape
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
        self._batches: Iterator[Tensor] = iter(images.split(_BATCH))

    def get_next(self) -> dict[str, object] | None:
        """The next batch by the name of the network's input, or None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch.contiguous().numpy()}
