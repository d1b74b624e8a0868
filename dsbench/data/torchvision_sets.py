"""Sets as torchvision has them: unpacked below the data root, or downloaded from the hosts that it names."""

from __future__ import annotations

import hashlib
import queue
import shutil
import threading
import urllib.request
import warnings
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from dsbench.data.candidate import Candidate, Report, Request, Unavailable
from dsbench.errors import InputError

ANSWER_SECONDS = 8.0  # how long a host may take to answer, its name looked up included, or stand still afterwards
MNIST_FILES = {  # torchvision pins the archives of MNIST but not what is in them
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def read_files(request: Request) -> Candidate:
    """The set as torchvision unpacked it under the data root.

    Raises Unavailable when none of its files is there, InputError when one of them is missing or damaged.
    """
    if request.dataset.torchvision_folder is None:
        raise Unavailable("torchvision does not have it")
    folder = request.root / request.dataset.torchvision_folder
    if not folder.is_dir():
        raise Unavailable(f"no {folder}")
    dataset_class = _dataset_class(request)
    files = {folder / name: md5 for name, md5 in _files(dataset_class).items()}
    if not any(path.is_file() for path in files):
        raise Unavailable(f"nothing unpacked in {folder}")
    request.report(f"reading {folder}", None)
    for path, md5 in files.items():
        if not path.is_file() or _md5(path) != md5:
            problem = "damaged (wrong MD5)" if path.is_file() else "missing"
            raise InputError(f"{path} is {problem}; delete the folder {folder}, or complete it")
    return _read(dataset_class, request.root, str(folder), f"delete {folder}")


def read_download(request: Request) -> Candidate:
    """The set from the hosts torchvision names; an archive of theirs already under the data root is not fetched again.

    Raises Unavailable when no host answers in time or what it sends is wrong, InputError when an archive is damaged.
    """
    dataset_class = _dataset_class(request)
    mirrors, archives = _archives(dataset_class)
    for path, md5 in archives.items():
        archive = request.scratch / path
        archive.parent.mkdir(parents=True, exist_ok=True)
        own = request.root / path
        if not own.is_file():
            mirrors = _fetch_from(mirrors, archive, md5, request.report)
        elif _md5(own) == md5:
            shutil.copyfile(own, archive)
        else:
            raise InputError(f"{own} is damaged (wrong MD5); delete it and start again")
    request.report(f"unpacking {request.dataset.title}", None)
    name = f"torchvision.datasets.{request.dataset.torchvision_class}"
    return _read(dataset_class, request.scratch, f"download of {name}", "try again later", unpack=True)


def _fetch_from(mirrors: list[str], archive: Path, md5: str, report: Report) -> list[str]:
    """Fetch one archive from the first of `mirrors` that has it; returns them from that one on."""
    reasons = []
    for index, mirror in enumerate(mirrors):
        host = urlsplit(mirror).hostname
        try:
            report(f"asking {host}", None)
            fetch(mirror + archive.name, archive, report)
        except (OSError, HTTPException, ValueError) as error:
            reasons.append(f"{host}: {getattr(error, 'reason', None) or error}")
            continue
        if _md5(archive) == md5:
            return mirrors[index:]
        reasons.append(f"{host}: {archive.name} has the wrong MD5")
    raise Unavailable(", ".join(reasons))


def fetch(url: str, path: Path, report: Report, answer_seconds: float = ANSWER_SECONDS) -> None:
    """Write what `url` holds to `path`. Raises OSError, TimeoutError included, when the host does not answer."""
    with _open(url, answer_seconds) as answer, path.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        while piece := answer.read(1 << 18):
            file.write(piece)
            report(f"downloading {path.name}", file.tell() / size if size else None)
        if size and file.tell() != size:
            raise OSError("the download broke off")


def _open(url: str, seconds: float) -> Any:
    """Open `url` in a thread of its own: no socket timeout covers a name server that is silent."""
    outcome: queue.SimpleQueue = queue.SimpleQueue()

    def connect() -> None:
        request = urllib.request.Request(url, headers={"User-Agent": "pytorch/vision"})
        try:
            outcome.put(urllib.request.urlopen(request, timeout=seconds))
        except Exception as error:  # handed to the waiting thread, whatever it is
            outcome.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        answer = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer in {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _dataset_class(request: Request) -> Any:
    name = request.dataset.torchvision_class
    if name is None:
        raise Unavailable("torchvision does not have it")
    from dsbench import torchvision_ops

    torchvision_ops.ensure()
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError) as error:
        raise Unavailable(f"torchvision cannot be imported: {error}") from error
    return getattr(datasets, name)


def _files(dataset_class: Any) -> dict[str, str]:
    """MD5 of each unpacked file by name; of torchvision's classes MNIST alone has mirrors."""
    if hasattr(dataset_class, "mirrors"):
        return MNIST_FILES
    meta = (dataset_class.meta["filename"], dataset_class.meta["md5"])
    listed = [*dataset_class.train_list, *dataset_class.test_list, meta]
    return dict(listed)


def _archives(dataset_class: Any) -> tuple[list[str], dict[str, str]]:
    """The addresses to prefix, and the MD5 of each archive by its path below the data root."""
    if hasattr(dataset_class, "mirrors"):
        return list(dataset_class.mirrors), {f"MNIST/raw/{name}": md5 for name, md5 in dataset_class.resources}
    return [dataset_class.url.removesuffix(dataset_class.filename)], {dataset_class.filename: dataset_class.tgz_md5}


def _read(dataset_class: Any, folder: Path, source: str, remedy: str, unpack: bool = False) -> Candidate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the CIFAR files are Python 2 pickles, which newer versions of numpy deplore
        train = dataset_class(folder, train=True, download=unpack)  # with the archives in place it only unpacks them
        test = dataset_class(folder, train=False)
    x_train, y_train, x_test, y_test = map(np.asarray, (train.data, train.targets, test.data, test.targets))
    return Candidate(x_train, y_train, x_test, y_test, source, remedy)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
