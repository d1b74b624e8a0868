"""Images as a source gives them, and whether they are the set that they claim to be.

Arrays have the right form, counts per class, and a checksum that ignores the order of rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dsbench.data.sets import DataSet
from dsbench.data.split import canonical_order
from dsbench.errors import InputError

KEYS = ("x_train", "y_train", "x_test", "y_test")
CHUNK_BYTES = 16_000_000  # of images in memory at a time, whatever the size of the set
Report = Callable[[str, float | None], None]
"""Called with what is being done, in a few words, and the share done (0 to 1), or None where that is not known."""


@dataclass(frozen=True)
class Request:
    """One set wanted: read from below `root`, or brought into the folder `scratch`, which the caller removes."""

    dataset: DataSet
    root: Path
    scratch: Path
    report: Report


class Unavailable(Exception):  # noqa: N818 - an answer, not an error: the next source is tried
    """This source cannot serve the set here: a few words that say why."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """Arrays as a source gave them, before anything about them is trusted.

    `source` names the file or package for the user, `remedy` what to do when it is wrong ("delete it").
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str
    remedy: str


@dataclass(frozen=True, eq=False)
class Part:
    """The images of one part: the `rows` of `images` (n, height, width, channels) uint8 and `labels` (n,), in order."""

    images: np.ndarray
    labels: np.ndarray
    rows: np.ndarray

    def pieces(self) -> Iterator[np.ndarray]:
        """Its images, CHUNK_BYTES of them at a time but one at least."""
        for piece in chunks(self.images, len(self.rows)):
            yield self.images[self.rows[piece]]


def chunks(images: np.ndarray, count: int) -> Iterator[slice]:
    """Consecutive rows up to `count`, as many at a time as CHUNK_BYTES hold of `images` (n, ...), but one at least."""
    step = max(1, CHUNK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, count, step):
        yield slice(start, min(count, start + step))


def check_form(dataset: DataSet, candidate: Candidate) -> Candidate:
    """`candidate` with images (n, height, width, channels) uint8 and labels (n,) of the set's type.

    Images may come without the axis of a single channel, or with it first where the set says so, labels as a column
    and in any integer type. Raises InputError naming the source and the array when dtype, shape or range is wrong.
    """
    x_train, y_train = _checked_part(dataset, candidate, "train", candidate.x_train, candidate.y_train)
    x_test, y_test = _checked_part(dataset, candidate, "test", candidate.x_test, candidate.y_test)
    return replace(candidate, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def check_content(dataset: DataSet, candidate: Candidate, sha256: str) -> None:
    """Raise InputError unless the counts per class and the fingerprint `sha256` are those pinned for `dataset`."""
    parts = {"y_train": (candidate.y_train, dataset.train_counts), "y_test": (candidate.y_test, dataset.test_counts)}
    for key, (labels, expected) in parts.items():
        counts = np.bincount(labels, minlength=dataset.classes).tolist()
        for label, (have, want) in enumerate(zip(counts, expected, strict=True)):
            if have != want:
                raise _wrong(candidate, f"{key} has {have} images of class {label} instead of {want}", unverified=True)
    if sha256 != dataset.sha256:
        problem = f"checksum {sha256[:12]} is not that of {dataset.title} ({dataset.sha256[:12]})"
        raise _wrong(candidate, problem, unverified=True)


def digests(images: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """SHA-256 of each (image, label) pair, (n, 32) uint8: the image's bytes in HWC order, then the label's byte or two.

    `images` is (n, height, width, channels) uint8, `labels` (n,) uint8 or, where there are more classes, uint16, whose
    higher byte comes first; None leaves them out.
    """
    sha256 = hashlib.sha256
    if labels is None:
        big_endian = np.empty((len(images), 0), np.uint8)
    else:
        big_endian = labels.astype(labels.dtype.newbyteorder(">"))[:, None].view(np.uint8)
    out = bytearray()
    for rows in chunks(images, len(images)):
        pairs = np.concatenate([images[rows].reshape(len(images[rows]), -1), big_endian[rows]], axis=1)
        out += b"".join([sha256(pair).digest() for pair in pairs])
    return np.frombuffer(out, dtype=np.uint8).reshape(len(images), 32)


def fingerprint(train_digests: np.ndarray, test_digests: np.ndarray) -> str:
    """Hexadecimal SHA-256 of a whole set, the same whatever the order of the rows within train and within test.

    Each part is hashed by itself, so moving an image from one part to the other changes the result.
    """
    parts = [hashlib.sha256(part[canonical_order(part)].tobytes()) for part in (train_digests, test_digests)]
    return hashlib.sha256(b"".join(part.digest() for part in parts)).hexdigest()


def _checked_part(
    dataset: DataSet, candidate: Candidate, part: str, images: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    channels, height, width = dataset.image_shape
    if images.dtype != np.uint8:
        raise _wrong(candidate, f"x_{part} is {images.dtype} instead of uint8")
    if channels == 1 and images.ndim == 3:
        images = images[..., None]
    elif dataset.layout == "chw" and images.ndim == 4:
        images = np.moveaxis(images, 1, 3)
    if len(images) == 0 or images.shape[1:] != (height, width, channels):
        raise _wrong(candidate, f"x_{part} has shape {images.shape} instead of (n, {height}, {width}, {channels})")
    if labels.dtype.kind not in "iu":
        raise _wrong(candidate, f"y_{part} is {labels.dtype} instead of an integer type")
    if labels.shape not in ((len(images),), (len(images), 1)):
        raise _wrong(candidate, f"y_{part} has shape {labels.shape} for {len(images)} images")
    labels = labels.reshape(-1)
    outside = (labels < 0) | (labels >= dataset.classes)
    if outside.any():
        raise _wrong(candidate, f"label {labels[outside][0]} in y_{part} is outside 0..{dataset.classes - 1}")
    return images, labels.astype(dataset.label_type)


def _wrong(candidate: Candidate, problem: str, unverified: bool = False) -> InputError:
    way_out = " (data.verify=false trains on it all the same)" if unverified else ""
    return InputError(f"{candidate.source}: {problem}; {candidate.remedy}{way_out}")
