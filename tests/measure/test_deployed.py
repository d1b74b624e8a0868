"""A network in ONNX Runtime: what it answers, and what its record says of its files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from dsbench.deploy.calibration import calibration_images
from dsbench.measure import deployed
from dsbench.measure.by_turns import OnnxFiles
from dsbench.measure.deployed import deploy
from dsbench.run.trained import load
from dsbench.training.device import Compute

Subjects = Callable[..., Any]


@pytest.fixture
def files(tmp_path: Path) -> OnnxFiles:
    return OnnxFiles.named(tmp_path, "net")


def test_fp32_reaches_the_accuracy_that_training_recorded_and_int8_that_of_the_files_arithmetic(
    finished: Path, files: OnnxFiles, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Calibrated on dim images, int8 answers worse, and cannot be mistaken for fp32.
    monkeypatch.setattr(deployed, "calibration_images", lambda data: 0.1 * calibration_images(data))
    run = load(finished)
    deployment = deploy(replace(run.subject(), compute=compute), files)
    assert list(deployment.backends) == ["onnx", "onnx_int8"]  # torch in fp32 is the subject itself
    section = deployment.section
    recorded = run.record.result.test_acc
    assert 0.2 < recorded < 1
    assert section["torch_fp32"]["test_acc"] == pytest.approx(recorded, abs=0.0001)
    assert section["fp32"]["test_acc"] == pytest.approx(recorded, abs=0.0001)
    images, labels = next(iter(run.data().test))
    logits = ReferenceEvaluator(onnx.load(files.int8)).run(None, {"images": images.contiguous().numpy()})[0]
    reference = (logits.argmax(1) == labels.numpy()).mean()
    assert reference < recorded - 0.01
    assert section["int8"]["test_acc"] == pytest.approx(reference, abs=0.004)  # two images whose sums round otherwise
    assert section["calibrated_on"] == "512 training images"


def test_an_untrained_network_has_sizes_and_no_accuracy_needs_no_data_and_in_bf16_has_a_reference_in_fp32(
    subject: Subjects, files: OnnxFiles, compute: Compute
) -> None:
    network = subject(
        "model=dwsep arch=mnist_7800_shallow width=6 data.root=/nowhere", replace(compute, precision="bf16")
    )
    deployment = deploy(network, files)
    section, backends = deployment.section, deployment.backends
    assert section["fp32"] == {"bytes": files.fp32.stat().st_size}
    assert section["int8"] == {"bytes": files.int8.stat().st_size}
    assert section["calibrated_on"] == "512 random images"
    assert "torch_fp32" not in section
    assert list(backends) == ["torch_fp32", "onnx", "onnx_int8"]
    images = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    logits = [torch.as_tensor(backend.forward(backend.prepared(images))) for backend in backends.values()]
    assert all(rows.dtype == torch.float32 for rows in logits)
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits[0], network.module()(images), rtol=0, atol=0)
