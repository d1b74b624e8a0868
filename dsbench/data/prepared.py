"""The checked arrays that training reads: prepared once from a source, below the data root, and memory-mapped after."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from dsbench import __version__, provenance
from dsbench.data import sets, sources, split
from dsbench.data.candidate import (
    KEYS,
    Candidate,
    Part,
    Report,
    Request,
    check_content,
    check_form,
    digests,
    fingerprint,
)
from dsbench.data.sets import DataSet
from dsbench.errors import InputError

FORMAT = 1  # of the files in a folder of arrays; another number is another layout


@dataclass(frozen=True, eq=False)
class Arrays:
    """One set, ready to train on.

    `x_*` are (n, height, width, channels) uint8, `y_*` (n,) of the set's label type; all are memory maps in canonical
    order, shared by all processes and copied where one writes (torch takes no read-only arrays). `mean` and `std` hold
    the channels of x/255 by split name: "standard" is the train part without its validation images, "study" all of it.
    `source` names where the images came from.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    sha256: str
    verified: bool
    source: str
    mean: dict[str, tuple[float, ...]]
    std: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class SetStatus:
    """What is there of one set; `size` is in bytes on disk.

    `state` is "verified" or "unverified" when it is prepared, "damaged" when that folder cannot be used,
    "not prepared" when `path` is a file or folder to prepare it from, and "absent" otherwise.
    """

    name: str
    state: str
    path: Path | None = None
    source: str = ""
    images: int = 0
    size: int = 0


def prepare(dataset: DataSet | str, root: Path | str, verify: bool = True, report: Report | None = None) -> Arrays:
    """The arrays of `dataset`, prepared below `root` or else now, from the first source that has them.

    With `verify` false the counts and the checksum may differ from those pinned. Raises InputError when no source has
    the set, when what is there is damaged or is another set, or when `root` cannot be written.
    """
    dataset, root = _set(dataset), Path(root)
    report = report or (lambda message, share: None)
    folder = folder_of(dataset, root)
    if not folder.exists():
        with workspace(folder, report) as scratch:
            if not folder.exists():
                candidate = sources.read(Request(dataset, root, scratch, report))
                _write_checked(scratch / "cache", candidate, dataset, verify, report)
                (scratch / "cache").rename(folder)
    return load(dataset, root, verify)


def load(dataset: DataSet | str, root: Path | str, verify: bool = True) -> Arrays:
    """The prepared arrays of `dataset` below `root`, memory-mapped at once and without reading them.

    Raises InputError when they are not prepared or damaged, and when `verify` is true and they are not verified.
    """
    dataset = _set(dataset)
    folder = folder_of(dataset, Path(root))
    if not folder.exists():
        known = f"get {dataset.name}" if dataset.name in sets.SETS else f"import FOLDER --name {dataset.name}"
        raise InputError(f"{dataset.name} is not prepared in {folder}: run dsbench data {known}")
    arrays = _read(folder, dataset)
    if verify and not arrays.verified:
        raise InputError(
            f"the data in {folder} are not verified (checksum {arrays.sha256[:12]} instead of {dataset.sha256[:12]}); "
            "delete that folder, or set data.verify=false"
        )
    return arrays


def status(dataset: DataSet | str, root: Path | str) -> SetStatus:
    """What is prepared of `dataset` below `root`; never raises InputError for what is there."""
    dataset = _set(dataset)
    folder = folder_of(dataset, Path(root))
    if not folder.exists():
        place = sources.unprepared(dataset, Path(root))
        if place is None:
            return SetStatus(dataset.name, "absent")
        return SetStatus(dataset.name, "not prepared", place, size=_size(place))
    try:
        arrays = _read(folder, dataset)
    except InputError:
        return SetStatus(dataset.name, "damaged", folder, size=_size(folder))
    state = "verified" if arrays.verified else "unverified"
    images = len(arrays.x_train) + len(arrays.x_test)
    return SetStatus(dataset.name, state, folder, arrays.source, images, _size(folder))


def folder_of(dataset: DataSet, root: Path) -> Path:
    """The folder of the prepared arrays of `dataset`."""
    return root / "prepared" / dataset.name


def _set(dataset: DataSet | str) -> DataSet:
    return sets.get(dataset) if isinstance(dataset, str) else dataset


def _size(path: Path) -> int:
    files = path.glob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


@contextmanager
def workspace(folder: Path, report: Report) -> Iterator[Path]:
    """A new folder beside `folder`, for what is to become it; one process at a time has one, and it goes afterwards.

    What interrupted preparations left is removed on the way in; on the way out, so are new folders left empty. Raises
    InputError when the place cannot be written.
    """
    parent = folder.parent
    new = [above for above in (parent, *parent.parents) if not above.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(parent / f".{folder.name}.lock", report)
    except OSError as error:
        raise InputError(f"the data root cannot be written: {error}") from error
    try:
        for leftover in parent.glob(f".{folder.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=parent))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        with suppress(OSError):
            os.unlink(lock.lock_file)  # while it is held: whoever waits for it sees that it is gone and starts over
        lock.release()
        with suppress(OSError):  # the first that is not empty ends it
            for above in new:
                above.rmdir()


def _locked(path: Path, report: Report) -> FileLock:
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        report("waiting for another process that prepares it", None)
        lock.acquire()
    return lock


def _write_checked(folder: Path, candidate: Candidate, dataset: DataSet, verify: bool, report: Report) -> None:
    """Check `candidate` and write it to the new `folder` in canonical order."""
    report("checking", None)
    candidate = check_form(dataset, candidate)
    train, test = digests(candidate.x_train, candidate.y_train), digests(candidate.x_test, candidate.y_test)
    sha256 = fingerprint(train, test)
    if verify:
        check_content(dataset, candidate, sha256)
    report("writing", None)
    parts = {
        "train": Part(candidate.x_train, candidate.y_train, split.canonical_order(train)),
        "test": Part(candidate.x_test, candidate.y_test, split.canonical_order(test)),
    }
    write(folder, dataset, parts, candidate.source, sha256)


def write(folder: Path, dataset: DataSet, parts: Mapping[str, Part], source: str, sha256: str) -> None:
    """Write the new `folder` of prepared arrays: the parts train and test, in canonical order, of a set with `sha256`.

    Neither part is ever in memory as a whole.
    """
    folder.mkdir()
    arrays: dict[str, dict[str, Any]] = {}
    for name, part in parts.items():
        shape = (len(part.rows), *part.images.shape[1:])
        arrays[f"x_{name}"] = _append(folder / f"x_{name}.npy", part.pieces(), "uint8", shape)
        labels = part.labels[part.rows].astype(dataset.label_type)
        arrays[f"y_{name}"] = _append(folder / f"y_{name}.npy", [labels], dataset.label_type, labels.shape)
    moments_of = _statistics(parts["train"], dataset.validation_size)
    meta = {
        "format": FORMAT,
        "dsbench": __version__,
        "name": dataset.name,
        "source": source,
        "sha256": sha256,
        "verified": sha256 == dataset.sha256,
        "created": provenance.now(),
        "arrays": {key: arrays[key] for key in KEYS},
        "mean": {name: mean for name, (mean, _) in moments_of.items()},
        "std": {name: std for name, (_, std) in moments_of.items()},
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


def _append(path: Path, pieces: Iterable[np.ndarray], dtype: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Write an .npy file piece by piece; returns its line of meta.json. A full disk is an OSError, not a crash."""
    head = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        for piece in pieces:
            file.write(piece.tobytes())
    return {"dtype": dtype, "shape": shape}


def _read(folder: Path, dataset: DataSet) -> Arrays:
    """Memory-map the arrays in `folder` and check their form and size, not their content, so that it costs nothing.

    Raises InputError naming the folder to delete when a file is missing, cut short or not as described.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise ValueError(f"it has format {meta['format']}, this version of dsbench reads {FORMAT}")
        arrays = {key: _mapped(folder / f"{key}.npy", meta["arrays"][key]) for key in KEYS}
        _check_mapped(dataset, arrays)
        mean, std = ({name: tuple(values) for name, values in meta[key].items()} for key in ("mean", "std"))
        verified = meta["sha256"] == dataset.sha256
        return Arrays(**arrays, sha256=meta["sha256"], verified=verified, source=meta["source"], mean=mean, std=std)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"prepared data are damaged: {error}; delete the folder {folder} and start again") from error


def _mapped(path: Path, described: dict[str, Any]) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path.name} is cut short or no .npy file") from error
    if str(array.dtype) != described["dtype"] or list(array.shape) != described["shape"]:
        raise ValueError(f"{path.name} is {array.dtype} {array.shape}, not as meta.json says")
    if path.stat().st_size != array.offset + array.nbytes:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes instead of {array.offset + array.nbytes}")
    return array


def _check_mapped(dataset: DataSet, arrays: dict[str, np.ndarray]) -> None:
    channels, height, width = dataset.image_shape
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if images.dtype != np.uint8 or images.shape != (len(labels), height, width, channels):
            raise ValueError(f"x_{part} is {images.dtype} {images.shape}, which is not {dataset.title}")
        if labels.dtype != dataset.label_type or labels.ndim != 1:
            raise ValueError(f"y_{part} is {labels.dtype} {labels.shape}, which is not {dataset.title}")


Moments = tuple[tuple[float, ...], tuple[float, ...]]


def _statistics(train: Part, validation_size: int) -> dict[str, Moments]:
    """Mean and standard deviation of the images trained on, by split name (see Arrays)."""
    everything = histogram(train)
    _, validation = split.stratified(train.labels[train.rows], validation_size)
    held_out = Part(train.images, train.labels, train.rows[validation])
    counts = {"standard": everything - histogram(held_out), "study": everything}
    return {name: moments(count) for name, count in counts.items()}


def histogram(part: Part) -> np.ndarray:
    """How often each channel has each value, (channels, 256) int64."""
    channels = part.images.shape[-1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for piece in part.pieces():
        pixels = piece.reshape(-1, channels)
        counts += np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(channels)])
    return counts


def moments(counts: np.ndarray) -> Moments:
    """Mean and population standard deviation of x/255 by channel, from a histogram (channels, 256).

    Both are exact to the last bits of a float64, whatever the order of the images.
    """
    values = np.arange(256)
    size, total, squares = counts.sum(axis=1), counts @ values, counts @ values**2
    mean = total / size
    std = np.sqrt(np.maximum(squares / size - mean**2, 0))
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())
