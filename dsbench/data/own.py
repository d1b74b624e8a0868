"""A set of the user's own: what its configuration must hold, and how that is read from the arrays themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dsbench.data.candidate import check_form, digests, fingerprint
from dsbench.data.sets import SETS, DataSet
from dsbench.data.sources import from_npz
from dsbench.errors import InputError

MOST_CLASSES = 256  # a label is a byte

_YAML = """\
# {name}: {images:,} images of {height}x{width} in {classes} classes, from {name}.npz in the folder of data sets.
defaults:
  - /images@_here_
  - _self_
name: {name}
epochs: 15   # of the default recipe
own:
  image_shape: {image_shape}   # channels, height, width
  train_counts: {train_counts}   # images of each class; a tenth of all validates
  test_counts: {test_counts}
  sha256: {sha256}   # of images with labels, in any order
"""


def own_set(
    name: str, image_shape: Sequence[int], train_counts: Sequence[int], test_counts: Sequence[int], sha256: str
) -> DataSet:
    """The set called `name`, with the fields of DataSet; a tenth of its train part is held out for validation.

    Raises InputError, with the key under data.own, for what no set can be.
    """
    if name in SETS:
        raise InputError(f"{name} is the name of a set of dsbench's; call one of your own something else")
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(f"data.name {name!r} is not a name of letters, digits, '_', '-' and '.'")
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise InputError(f"data.own.image_shape {list(image_shape)} is not [channels, height, width]")
    if not 2 <= len(train_counts) <= MOST_CLASSES or min(train_counts) < 1:
        raise InputError(f"data.own.train_counts {list(train_counts)} is not of 2 to {MOST_CLASSES} classes with images")
    if len(test_counts) != len(train_counts) or min(test_counts) < 0 or sum(test_counts) == 0:
        raise InputError(f"data.own.test_counts {list(test_counts)} is not of {len(train_counts)} classes with images")
    if sum(train_counts) < 10:
        raise InputError(f"{name} has {sum(train_counts)} training images, too few to hold out a tenth for validation")
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InputError(f"data.own.sha256 {sha256!r} is not 64 hexadecimal digits; dsbench data describe finds it")
    channels, height, width = image_shape
    held_out = sum(train_counts) // 10
    shape = (channels, height, width)
    return DataSet(name, name, shape, tuple(train_counts), tuple(test_counts), sha256, validation_size=held_out)


def described(path: Path) -> DataSet:
    """The set in `path`, an .npz with x_train, y_train, x_test and y_test; its name is the file's.

    Images are (n, height, width) or (n, height, width, channels) uint8, labels (n,) of an integer type, from 0 to at
    most 255. Raises InputError naming the array that is otherwise.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    candidate = from_npz(path)
    classes = max(_largest(path, part, getattr(candidate, part)) for part in ("y_train", "y_test")) + 1
    train, test = (np.bincount(y.ravel(), minlength=classes).tolist() for y in (candidate.y_train, candidate.y_test))
    dataset = own_set(path.stem, _image_shape(path, candidate.x_train), train, test, "0" * 64)
    checked = check_form(dataset, candidate)
    sha256 = fingerprint(digests(checked.x_train, checked.y_train), digests(checked.x_test, checked.y_test))
    return own_set(dataset.name, dataset.image_shape, train, test, sha256)


def as_yaml(dataset: DataSet) -> str:
    """The file of the group `data` that names `dataset`."""
    channels, height, width = dataset.image_shape
    return _YAML.format(
        name=dataset.name,
        images=dataset.train_size + sum(dataset.test_counts),
        height=height,
        width=width,
        classes=dataset.classes,
        image_shape=[channels, height, width],
        train_counts=list(dataset.train_counts),
        test_counts=list(dataset.test_counts),
        sha256=dataset.sha256,
    )


def _largest(path: Path, part: str, labels: np.ndarray) -> int:
    """The largest label. Raises InputError where one of them is no class."""
    if labels.dtype.kind not in "iu" or labels.size == 0 or labels.min() < 0 or labels.max() >= MOST_CLASSES:
        raise InputError(f"{path}: {part} is not of whole numbers from 0 to {MOST_CLASSES - 1}, a class each")
    return int(labels.max())


def _image_shape(path: Path, images: np.ndarray) -> tuple[int, ...]:
    if images.ndim not in (3, 4):
        raise InputError(f"{path}: x_train has shape {images.shape} instead of (n, height, width[, channels])")
    return (images.shape[3] if images.ndim == 4 else 1, *images.shape[1:3])
