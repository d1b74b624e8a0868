"""A network as a small device has it: in ONNX Runtime, fp32 and int8, to be measured beside torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from dsbench.bench.backend import Backend, Inference, accuracy
from dsbench.bench.subject import Subject, random_batch
from dsbench.deploy.export import export
from dsbench.deploy.files import Files
from dsbench.deploy.quantize import CALIBRATION_IMAGES, calibration_images, quantize, weight_bits
from dsbench.deploy.session import Session
from dsbench.training.device import resolve


@dataclass(frozen=True)
class Deployed:
    """What computes a network's logits besides torch as it was asked for, and the `onnx` section of its record.

    `backends` holds onnx and onnx_int8, and torch_fp32, which these are compared with: fp32 on the CPU, left out where
    torch was asked for as just that. The section holds the files' bytes and, of a network that a run has trained, the
    accuracy of all three on the test images, as shares of 1.
    """

    backends: dict[str, Backend]
    section: dict[str, Any]


def deploy(subject: Subject, files: Files) -> Deployed:
    """Export the network to `files` and open them.

    int8 is calibrated on training images of the run; of a network without one, whose accuracy means nothing, on random
    images. Raises InputError where the run's data are not there.
    """
    cpu = resolve("cpu", "32", subject.compute.threads)
    module, run = subject.module(), subject.run
    data = run.data() if run else None
    images = calibration_images(data) if data else random_batch(subject.network, cpu.device, CALIBRATION_IMAGES)[0]
    export(module, subject.network.input_shape, files.fp32)
    quantize(files.fp32, images, files.int8)
    reference, fp32, int8 = Inference(module, cpu), Session(files.fp32, cpu.threads), Session(files.int8, cpu.threads)
    same = (subject.compute.device.type, subject.compute.precision) == ("cpu", "32")
    backends: dict[str, Backend] = {} if same else {"torch_fp32": reference}
    backends |= {"onnx": fp32, "onnx_int8": int8}
    section: dict[str, Any] = {
        "fp32": {"bytes": files.fp32.stat().st_size},
        "int8": {"bytes": files.int8.stat().st_size},
        "calibrated_on": f"{CALIBRATION_IMAGES} {'training' if data else 'random'} images",
        "weight_bits": weight_bits(),
        "device": cpu.name,
        "versions": {package: version(package) for package in ("onnx", "onnxruntime")},
    }
    if data:
        section["fp32"]["test_acc"] = accuracy(fp32, data.test)
        section["int8"]["test_acc"] = accuracy(int8, data.test)
        section["torch_fp32"] = {"test_acc": accuracy(reference, data.test)}
    return Deployed(backends, section)
