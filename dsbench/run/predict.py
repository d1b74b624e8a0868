"""What a finished run's network says of images: brought to its study's form, scaled as for its training, and asked."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsbench import torchvision_ops
from dsbench.config.network import dataset_of
from dsbench.errors import InputError
from dsbench.network.layers import Shape

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn

    from dsbench.run.record import Record
    from dsbench.run.trained import Trained


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a network says of n images.

    `classes` are the names of the likeliest, `labels` (n,) int64 their numbers, `probabilities` (n, classes) a row an
    image, named by its file where there is one, and a column a class, in the order of the labels.
    """

    classes: list[str]
    labels: np.ndarray
    probabilities: pd.DataFrame

    def __len__(self) -> int:
        return len(self.classes)

    def __str__(self) -> str:
        return str(self._shown())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self._shown()._repr_html_()

    def _shown(self) -> pd.DataFrame:
        import pandas as pd

        likeliest = self.probabilities.to_numpy().max(1) if len(self) else []
        return pd.DataFrame({"class": self.classes, "probability": likeliest}, index=self.probabilities.index)


@dataclass(frozen=True)
class Preprocessing:
    """From stored images to what a network sees: `filter` (none, unsharp), then of each channel byte * factor + shift.

    `shape` is (channels, height, width), `scale` the name of the scaling in data.scale.
    """

    shape: Shape
    filter: str
    scale: str
    factor: tuple[float, ...]
    shift: tuple[float, ...]

    @classmethod
    def of(cls, run: Trained) -> Preprocessing:
        """That of a run. Raises InputError where it takes the run's data, and they are not there."""
        scale, config = run.scale(), run.config.data
        numbers = (tuple(values.tolist()) for values in (scale.factor, scale.shift))
        return cls(run.network.input_shape, config.filter, config.scale, *numbers)

    def __call__(self, pixels: np.ndarray) -> torch.Tensor:
        """Images (n, height, width, channels) uint8 as (n, channels, height, width) float32, in channels_last."""
        import torch

        from dsbench.training.batches import PixelScale, unsharp

        images = torch.tensor(pixels)
        scale = PixelScale(torch.tensor(self.factor), torch.tensor(self.shift))
        return scale(unsharp(images) if self.filter == "unsharp" else images)


class Loaded:
    """A finished run: `record` is what result.json holds, `config` its configuration, `folder` where it lies."""

    def __init__(self, run: Trained, device: str | torch.device) -> None:
        """`run` is done; its network comes to lie on `device` when it is asked for first."""
        self.run, self.device = run, device
        self.record: Record = run.record
        self.folder: Path = run.folder.path

    def __repr__(self) -> str:
        run = self.record
        return f"<run {run.run_id}: {run.short_label} on {run.data}>"

    @cached_property
    def module(self) -> nn.Sequential:
        """The network in evaluation mode, with the weights that were tested: scaled images (B, C, H, W) to logits.

        Raises InputError where they are damaged, and where there is no such device.
        """
        from dsbench.training.device import moved

        return moved(self.run.module(), self.device)

    @property
    def class_names(self) -> list[str]:
        """The classes in the order of their labels; numbers where the set names none."""
        return dataset_of(self.run.config.data).names

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """From stored images to what the network sees: called with an array of bytes, it is what `module` takes.

        Raises InputError where data.scale=standardize needs the run's data, and they are not there.
        """
        return Preprocessing.of(self.run)

    def predict(self, images: Any) -> Predictions:
        """The classes and probabilities of images, filtered and scaled as those of the run's test.

        Computed as that was, in its precision and in batches of its size.

        `images` are bytes as the set keeps them, uint8 (n, height, width[, channels]), one image or many; or a file, an
        image of Pillow's, or a list of these, brought to the set's size and colours. Raises InputError for others.
        """
        import pandas as pd
        import torch

        torchvision_ops.ensure()  # before Lightning imports torchvision
        from dsbench.measure.probes import Inference
        from dsbench.training.device import Compute
        from dsbench.training.memory import evaluated_at_once

        run, module, preprocessing, names = self.run, self.module, self.preprocessing, self.class_names
        pixels, files = stored(images, preprocessing.shape)
        device, precision = next(module.parameters()).device, run.record.precision or "32"
        if precision == "16" and device.type != "cuda":
            precision = "32"  # which has what fp16 has, and more
        network = Inference(module, Compute(device, str(device), precision, torch.get_num_threads()))
        logits = [torch.zeros((0, run.network.classes))]
        at_once = evaluated_at_once(preprocessing.shape)
        for start in range(0, len(pixels), at_once):
            batch = preprocessing(pixels[start : start + at_once])
            logits.append(network.forward(network.prepared(batch)).float().cpu())
        joined = torch.cat(logits)
        labels = joined.argmax(1).numpy()
        table = pd.DataFrame(joined.softmax(1).numpy(), columns=names, index=files)
        return Predictions([names[label] for label in labels], labels, table)


def stored(images: Any, shape: Shape) -> tuple[np.ndarray, list[str] | None]:
    """Images as data sets keep them, (n, height, width, channels) uint8 of `shape`, and their files' names.

    `images` is an array or a tensor of bytes, (n, height, width[, channels]) or one image less n, of the set's own size
    and channels; or a file, an image of Pillow's, or a list of these: of those the middle, as large a square as there
    is, is brought to the set's size, and its colours to the set's. Raises InputError for anything else.
    """
    if images is None or (isinstance(images, Sequence) and not images):
        raise InputError(f"no images: {images!r}; give an array of bytes, files, or images of Pillow's")
    if _is_picture(images):
        images = [images]
    pictures = list(map(_is_picture, images)) if isinstance(images, Sequence) else []
    if pictures and all(pictures):
        pixels = [_read(image, shape) for image in images]
        named = [isinstance(image, (str, os.PathLike)) for image in images]
        return np.stack(pixels), [os.fspath(image) for image in images] if all(named) else None
    if any(pictures):
        odd = images[pictures.index(False)]
        raise InputError(
            f"a list of files or Pillow's images has one of {type(odd).__name__}; give arrays by themselves"
        )
    channels, height, width = shape
    try:
        array = np.asarray(images.cpu() if hasattr(images, "cpu") else images)
    except (TypeError, ValueError) as error:
        raise InputError(f"these are no images: {error}") from None
    wanted = f"(n, {height}, {width}, {channels})" + (f" or (n, {height}, {width})" if channels == 1 else "")
    if array.dtype != np.uint8:
        raise InputError(
            f"the images are of {array.dtype}; give bytes (uint8, 0 to 255) of shape {wanted}, as they are stored: "
            "they are scaled here"
        )
    sizes = {(height, width, channels), *([(height, width)] if channels == 1 else [])}
    if array.shape in sizes:
        array = array[None]
    if array.shape[1:] not in sizes:
        raise InputError(f"the images are of shape {array.shape}, not {wanted}; files and Pillow's images are resized")
    return array.reshape(-1, height, width, channels), None


def _is_picture(image: Any) -> bool:
    """Whether it is a file, or an image of Pillow's."""
    return isinstance(image, (str, os.PathLike)) or (hasattr(image, "getbands") and hasattr(image, "save"))


def _read(image: Any, shape: Shape) -> np.ndarray:
    from dsbench.data.picture import Unreadable, read

    channels, height, width = shape
    if height != width or channels not in (1, 3):
        raise InputError(
            f"pictures are brought to squares, grey or in colours, and this set has {height}x{width} in {channels} "
            "channels; give an array"
        )
    if isinstance(image, (str, os.PathLike)):
        path: Any = Path(image)
        if not path.is_file():
            raise InputError(f"there is no file {path}")
    else:  # as a file: turned and cropped as those are
        path = io.BytesIO()
        image.save(path, "TIFF", exif=image.getexif())
        path.seek(0)
    try:
        return read(path, height, grey=channels == 1).pixels
    except Unreadable as error:
        raise InputError(f"{image} cannot be read: {error}") from None
