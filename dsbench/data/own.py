"""A set of the user's own: what its configuration holds, how that is read from arrays, written as YAML, and read back."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dsbench.data.candidate import Candidate, check_form, digests, fingerprint
from dsbench.data.sets import SETS, DataSet
from dsbench.data.sources import from_npz
from dsbench.errors import InputError

MOST_CLASSES = 1024  # a run keeps how often each class is taken for each: a million counts
LAYOUTS = ("hwc", "chw")  # height, width, channels; or the channels first
CHANNELS = (1, 3, 4)  # of images as they are; other numbers are told
ARCHITECTURES = {"plain_224": 160, "plain_128": 96, "plain_64": 48}  # with the smallest side that each is for

_YAML = """\
# {name}: {images:,} images of {height}x{width} in {classes} classes, from {source}.
defaults:
  - /images@_here_
  - _self_
name: {quoted_name}
epochs: 15   # of the default recipe
own:
  image_shape: {image_shape}   # channels, height, width
  train_counts: {train_counts}   # images of each class; a tenth of all validates
  test_counts: {test_counts}
  sha256: {sha256}   # of images with labels, in any order
"""


def check_name(name: str) -> None:
    """Raise InputError unless `data=NAME` on a command line is read as `name`, and a file can be called so."""
    if name in SETS:
        raise InputError(f"{name} is the name of a set of dsbench's; call one of your own something else")
    other = "call the set something else (--name, or the name of the file)"
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name) or name.lower().endswith((".yaml", ".yml")):
        raise InputError(f"{name!r} is not a name of letters from a to z, digits, '_', '-' and '.'; {other}")
    try:
        number = float(name) is not None and not re.fullmatch("0[0-9]+", name)  # a number has no zero before it
    except ValueError:
        number = False
    if number or name.lower() in ("null", "true", "false", "none"):
        raise InputError(f"data={name} is read as another value than a name; {other}")


def own_set(
    name: str,
    image_shape: Sequence[int],
    train_counts: Sequence[int],
    test_counts: Sequence[int],
    sha256: str,
    class_names: Sequence[str] | None = None,
    layout: str = "hwc",
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
        raise InputError(f"data.own.train_counts {_few(train_counts)} is not of 2 to {MOST_CLASSES} classes with images")
    if len(test_counts) != len(train_counts) or min(test_counts) < 0 or sum(test_counts) == 0:
        raise InputError(f"data.own.test_counts {_few(test_counts)} is not of {len(train_counts)} classes with images")
    if sum(train_counts) < 10:
        raise InputError(f"{name} has {sum(train_counts)} training images, too few to hold out a tenth for validation")
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InputError(f"data.own.sha256 {sha256!r} is not 64 hexadecimal digits; dsbench data describe finds it")
    if class_names is not None and len(class_names) != len(train_counts):
        raise InputError(f"data.own.class_names {_few(class_names)} does not name {len(train_counts)} classes")
    if layout not in LAYOUTS:
        raise InputError(f"data.own.layout {layout!r} is not one of {', '.join(LAYOUTS)}")
    channels, height, width = image_shape
    return DataSet(
        name=name,
        title=name,
        image_shape=(channels, height, width),
        train_counts=tuple(train_counts),
        test_counts=tuple(test_counts),
        sha256=sha256,
        validation_size=sum(train_counts) // 10,
        class_names=None if class_names is None else tuple(class_names),
        layout=layout,
    )


def described(path: Path, layout: str | None = None) -> DataSet:
    """The set in `path`, an .npz with x_train, y_train, x_test and y_test; its name is the file's.

    Images are (n, height, width) or (n, height, width, channels) uint8, with `layout` chw (n, channels, height, width);
    labels (n,) of an integer type, from 0. Raises InputError naming the array that is otherwise, or whose layout cannot
    be told.
    """
    check_name(path.stem)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
        dataset, candidate = checked(path.stem, from_npz(path, Path(scratch)), layout)
        sha256 = fingerprint(
            digests(candidate.x_train, candidate.y_train), digests(candidate.x_test, candidate.y_test)
        )
    return replace(dataset, sha256=sha256)


def checked(name: str, candidate: Candidate, layout: str | None) -> tuple[DataSet, Candidate]:
    """The set called `name` that `candidate` is, its checksum aside, and its arrays in the form of DataSet."""
    source = candidate.source
    classes = max(_largest(source, part, getattr(candidate, part)) for part in ("y_train", "y_test")) + 1
    train, test = (np.bincount(y.ravel(), minlength=classes).tolist() for y in (candidate.y_train, candidate.y_test))
    image_shape, layout = _image_shape(source, candidate.x_train, layout)
    dataset = own_set(name, image_shape, train, test, "0" * 64, layout=layout)
    return dataset, check_form(dataset, candidate)


def architecture_for(dataset: DataSet) -> str:
    """The choice of `arch=` for images of this size: the default one is made for 28 to 40 pixels a side."""
    side = min(dataset.image_shape[1:])
    return next((name for name, least in ARCHITECTURES.items() if side >= least), "plain")


def as_yaml(dataset: DataSet, source: str | None = None) -> str:
    """The file of the group `data` that names `dataset`; `source` is where its images came from.

    Texts are quoted: one of digits alone would be read as a number.
    """
    channels, height, width = dataset.image_shape
    text = _YAML.format(
        name=dataset.name,
        images=dataset.train_size + sum(dataset.test_counts),
        height=height,
        width=width,
        classes=dataset.classes,
        source=" ".join((source or f"{dataset.name}.npz in the folder of data sets").split()),
        quoted_name=_quoted(dataset.name),
        image_shape=[channels, height, width],
        train_counts=list(dataset.train_counts),
        test_counts=list(dataset.test_counts),
        sha256=_quoted(dataset.sha256),
    )
    if dataset.layout != "hwc":
        text += f"  layout: {dataset.layout}   # of the images in the .npz\n"
    if dataset.class_names is not None:
        text += f"  class_names: [{', '.join(map(_quoted, dataset.class_names))}]\n"
    return text


def read_yaml(path: Path) -> DataSet:
    """The set that the file `path` names, which as_yaml wrote. Raises InputError for another file."""
    try:
        given: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return own_set(given["name"], **given["own"])
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError, InputError) as error:
        raise InputError(f"{path} names no set of images: {error}; delete it or import the set again") from None


def remarks(dataset: DataSet) -> list[str]:
    """What its owner should know before anything is trained on it."""
    channels, height, width = dataset.image_shape
    out = []
    if channels not in CHANNELS:
        out.append(f"read as images of {height}x{width} pixels with {channels} channels; --layout says otherwise")
    absent = [number for number, count in enumerate(dataset.test_counts) if not count]
    if absent:
        names = [dataset.class_names[number] if dataset.class_names else str(number) for number in absent]
        out.append(f"the test part has no image of class {_few(names)[1:-1]}")
    return out


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', width=2**31 - 1, allow_unicode=True).rstrip("\n")


def _few(items: Sequence[Any]) -> str:
    """A list in words, of a long one its beginning."""
    shown = [str(item) for item in items[:10]]
    return f"[{', '.join(shown)}{', ...' if len(items) > len(shown) else ''}]"


def _largest(source: str, part: str, labels: np.ndarray) -> int:
    """The largest label. Raises InputError where one of them is no class."""
    if labels.dtype.kind not in "iu" or labels.size == 0 or labels.min() < 0 or labels.max() >= MOST_CLASSES:
        raise InputError(f"{source}: {part} is not of whole numbers from 0 to {MOST_CLASSES - 1}, a class each")
    return int(labels.max())


def _image_shape(source: str, images: np.ndarray, layout: str | None) -> tuple[tuple[int, int, int], str]:
    """The (channels, height, width) of `images` and their layout. Raises InputError where it looks like the other."""
    if images.ndim == 3:
        return (1, *images.shape[1:]), "hwc"
    if images.ndim != 4:
        raise InputError(f"{source}: x_train has shape {images.shape} instead of (n, height, width[, channels])")
    if layout is None and images.shape[1] in CHANNELS and images.shape[3] not in CHANNELS:
        channels, height, width = images.shape[1:]
        raise InputError(
            f"{source}: x_train has shape {images.shape}: --layout chw reads it as {channels} channels of "
            f"{height}x{width} pixels, --layout hwc as images of {channels}x{height} pixels with {width} channels"
        )
    if layout == "chw":
        return images.shape[1:], "chw"
    return (images.shape[3], *images.shape[1:3]), "hwc"
