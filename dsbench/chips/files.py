"""A network as the files that runtimes read: each format and precision, written for what asks for it."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.files import write_atomically
from dsbench.network.description import Network

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dsbench.measure.subject import TrainedNetwork
    from dsbench.training.datamodule import ImageData

ENDINGS = {"onnx": ".onnx", "tflite": ".tflite"}  # by format
Kind = tuple[str, str]  # of a file: its format and its precision


def file_name(name: str, kind: Kind) -> str:
    """Of the network called `name`: name.onnx, name.int8.onnx."""
    form, precision = kind
    return f"{name}{'' if precision == 'fp32' else f'.{precision}'}{ENDINGS[form]}"


@dataclass(frozen=True)
class Deployable:
    """A network and the run that has trained it, if any; `name` is what its files are called, without an ending.

    Without a run so many `random_images` set the ranges of int8, or as many as calibration takes of a run's.
    """

    name: str
    network: Network
    run: TrainedNetwork | None = None
    random_images: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what is read and built, which other processes have of their own."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @cached_property
    def module(self) -> nn.Sequential:
        """On the CPU in evaluation mode, with the weights that its run was tested with or initial ones."""
        from dsbench.network.build import build

        if self.run is None:
            return build(self.network, seed=0).eval()
        return self.run.module()

    @cached_property
    def data(self) -> ImageData | None:
        """The images of its run. Raises InputError where they are not there."""
        return self.run.data() if self.run else None

    @cached_property
    def calibration(self) -> Tensor:
        """Images that set the ranges of int8: training images of the run; without one, random ones.

        Raises InputError where the run's data are not there.
        """
        import torch

        from dsbench.deploy.calibration import CALIBRATION_IMAGES, calibration_images
        from dsbench.measure.subject import random_batch

        if self.data:
            return calibration_images(self.data)
        return random_batch(self.network, torch.device("cpu"), self.random_images or CALIBRATION_IMAGES)[0]

    def written(self, kinds: Collection[Kind], folder: Path) -> dict[Kind, Path]:
        """Its files of these kinds in `folder`, each written in one step.

        Raises InputError where the run's data are not there, which int8 is calibrated on, where the extra is missing,
        and for a layer that the format lacks.
        """
        files = {kind: folder / file_name(self.name, kind) for kind in kinds}
        for kind, path in files.items():
            self.write(kind, path)
        return files

    def write(self, kind: Kind, path: Path) -> None:
        """Write its file of this kind to `path` in one step; see `written`."""
        form, precision = kind
        calibration = None if precision == "fp32" else self.calibration
        if form == "tflite":
            from dsbench.deploy.tflite import write

            write(self.network, self.module, path, calibration)
            return
        if calibration is None:
            write_atomically(path, self._onnx)
            return
        from dsbench.deploy.onnx import quantize

        with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
            fp32 = Path(scratch) / "fp32.onnx"
            fp32.write_bytes(self._onnx)
            quantize(fp32, calibration, path, per_channel=precision == "int8")

    @cached_property
    def _onnx(self) -> bytes:
        """Its fp32 file, of which the int8 files are made too; an export takes a second."""
        from dsbench.deploy.onnx import export

        with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
            path = Path(scratch) / "fp32.onnx"
            export(self.module, self.network.input_shape, path)
            return path.read_bytes()
