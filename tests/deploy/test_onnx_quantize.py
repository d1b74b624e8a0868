"""int8 files: what calibrates them, and what is in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from dsbench.deploy.calibration import calibration_images
from dsbench.deploy.onnx import quantize
from dsbench.training.batches import Batches
from dsbench.training.datamodule import ImageData

Opened = Callable[..., ImageData]
Logits = Callable[[Path, torch.Tensor], torch.Tensor]


def labelled(given: Batches) -> dict[bytes, int]:
    """The label of each image of a split, by what the network sees."""
    pairs = [pair for images, labels in given for pair in zip(images, labels.tolist(), strict=True)]
    return {image.contiguous().numpy().tobytes(): label for image, label in pairs}


@pytest.mark.parametrize("line", ["", "data.scale=unit data.filter=unsharp", "data.split=study"])
def test_calibration_images_are_unaugmented_training_images_in_equal_shares(opened: Opened, line: str) -> None:
    plain, augmented = opened(line), opened(f"{line} data.augment.crop_padding=4 data.augment.cutout=8", seed=1)
    images = calibration_images(augmented, 200)
    plain.train.seed = None
    label_of = labelled(plain.train)
    labels = [label_of[image.contiguous().numpy().tobytes()] for image in images]
    assert len(labels) == 200
    assert np.bincount(labels).tolist() == [20] * 10
    others = labelled(plain.test).keys() | (labelled(plain.val).keys() if plain.val is not plain.test else set())
    assert not {image.contiguous().numpy().tobytes() for image in images} & others


def initializers(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def weights(path: Path) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Name, int8 values, scales and zero points of every weight in an int8 file."""
    stored, out = initializers(path), []
    for node in onnx.load(path).graph.node:
        if node.op_type == "DequantizeLinear" and stored.get(node.input[0], np.empty(0)).dtype == np.int8:
            name, scale, zero = (stored[key] for key in node.input)
            out.append((node.input[0].removesuffix("_quantized"), name, scale, zero))
    return out


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    return torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def quantized(exported: Any, images: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The int8 file of `exported`, alone in its folder."""
    path = tmp_path_factory.mktemp("quantized") / "int8.onnx"
    quantize(exported.path, images, path)
    return path


def test_weights_are_int8_within_half_a_step_with_one_scale_an_output_channel(exported: Any, quantized: Path) -> None:
    full = initializers(exported.path)
    quantized_weights = weights(quantized)
    assert len(quantized_weights) == 7
    for name, values, scale, zero in quantized_weights:
        assert scale.shape == (len(full[name]),)
        assert not zero.any()
        step = scale.reshape(-1, *[1] * (values.ndim - 1))
        assert np.abs(values * step - full[name]).max() <= 0.501 * step.max()


def test_the_int8_file_is_under_a_third_of_the_fp32_file(exported: Any, quantized: Path) -> None:
    assert quantized.stat().st_size < exported.path.stat().st_size / 3
    assert [path.name for path in quantized.parent.iterdir()] == ["int8.onnx"]


def test_int8_logits_follow_the_fp32_ones_from_image_to_image(
    exported: Any, quantized: Path, images: torch.Tensor, logits: Logits
) -> None:
    full, rounded = (logits(path, images).numpy() for path in (exported.path, quantized))
    full, rounded = full - full.mean(0), rounded - rounded.mean(0)
    assert np.corrcoef(full.ravel(), rounded.ravel())[0, 1] > 0.95
    assert np.abs(full - rounded).max() > 1e-5  # it is another file


def test_weights_use_seven_bits_where_an_x86_processor_has_no_vnni(
    exported: Any, images: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    largest = {}
    for vnni in (True, False):
        monkeypatch.setattr("torch.cpu._is_vnni_supported", lambda vnni=vnni: vnni)
        quantize(exported.path, images, tmp_path / "int8.onnx")
        largest[vnni] = max(np.abs(values.astype(int)).max() for _, values, _, _ in weights(tmp_path / "int8.onnx"))
    assert largest == {True: 127, False: 64}


def test_validation_and_test_images_decide_nothing(exported: Any, opened: Opened, tmp_path: Path) -> None:
    files = {}
    for spoilt in ("nothing", "validation and test", "training"):
        data = opened()
        if spoilt == "validation and test":
            data.test.images.fill_(255)
            data.val.images[data.val.rows] = 255
        elif spoilt == "training":
            data.train.images[data.train.rows] = 255
        quantize(exported.path, calibration_images(data), tmp_path / "int8.onnx")
        files[spoilt] = (tmp_path / "int8.onnx").read_bytes()
    assert files["nothing"] == files["validation and test"]
    assert files["nothing"] != files["training"]


def test_of_fewer_images_than_calibration_takes_all_calibrate(opened: Opened) -> None:
    data = opened("")
    data.train.rows = data.train.rows[:270]
    images = calibration_images(data)
    data.train.seed = None
    assert {image.contiguous().numpy().tobytes() for image in images} == labelled(data.train).keys()
