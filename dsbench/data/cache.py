"""The files of a prepared set: four uncompressed .npy arrays in canonical order, and a meta.json that says so."""

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from dsbench import __version__
from dsbench.data import channels, split
from dsbench.data.request import Candidate
from dsbench.data.sets import DataSet
from dsbench.errors import InputError

FORMAT = 1  # of these files; another number is another layout
KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Arrays:
    """One set, ready to train on.

    ``x_*`` are (n, height, width, channels) uint8, ``y_*`` (n,) uint8; all are memory maps in canonical order, shared
    by all processes and copied where one writes (torch takes no read-only arrays). ``mean`` and ``std`` hold the
    channels of x/255 by split name: "standard" is the train part without its validation images, "study" all of it.
    ``source`` names where the images came from.
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


def write(folder: Path, dataset: DataSet, candidate: Candidate, sha256: str) -> None:
    """Writes ``candidate``, whose form is checked and whose rows are in canonical order, to the new ``folder``."""
    folder.mkdir()
    arrays = {key: getattr(candidate, key) for key in KEYS}
    for key, array in arrays.items():
        np.save(folder / f"{key}.npy", array, allow_pickle=False)
    mean, std = _statistics(candidate, dataset.validation_size)
    meta = {
        "format": FORMAT,
        "dsbench": __version__,
        "name": dataset.name,
        "source": candidate.source,
        "sha256": sha256,
        "verified": sha256 == dataset.sha256,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "arrays": {key: {"dtype": str(array.dtype), "shape": array.shape} for key, array in arrays.items()},
        "mean": mean,
        "std": std,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


def read(folder: Path, dataset: DataSet) -> Arrays:
    """Memory-maps the arrays in ``folder`` and checks their form and size, not their content, so it costs nothing.

    Raises InputError naming the folder to delete when a file is missing, cut short or not as described.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise ValueError(f"it has format {meta['format']}, this version of dsbench reads {FORMAT}")
        arrays = {key: _mapped(folder / f"{key}.npy", meta["arrays"][key]) for key in KEYS}
        _fit(dataset, arrays)
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


def _fit(dataset: DataSet, arrays: dict[str, np.ndarray]) -> None:
    depth, height, width = dataset.image_shape
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if images.dtype != np.uint8 or images.shape != (len(labels), height, width, depth):
            raise ValueError(f"x_{part} is {images.dtype} {images.shape}, which is not {dataset.title}")
        if labels.dtype != np.uint8 or labels.ndim != 1:
            raise ValueError(f"y_{part} is {labels.dtype} {labels.shape}, which is not {dataset.title}")


def _statistics(candidate: Candidate, validation_size: int) -> tuple[dict[str, tuple], dict[str, tuple]]:
    everything = channels.histogram(candidate.x_train)
    _, validation = split.stratified(candidate.y_train, validation_size)
    counts = {"standard": everything - channels.histogram(candidate.x_train[validation]), "study": everything}
    found = {name: channels.moments(count) for name, count in counts.items()}
    return {name: mean for name, (mean, _) in found.items()}, {name: std for name, (_, std) in found.items()}
