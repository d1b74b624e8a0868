"""What else than torch computes a network's logits: its files, opened and compared with torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from dsbench.deploy.calibration import CALIBRATION_IMAGES, calibration_images
from dsbench.deploy.onnx import Session, export, quantize, weight_bits
from dsbench.measure.probes import Backend, Inference, accuracy
from dsbench.measure.subject import Subject, random_batch
from dsbench.training.device import resolve

if TYPE_CHECKING:
    from dsbench.measure.by_turns import OnnxFiles


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
