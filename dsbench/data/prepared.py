"""Sets that are ready to train on: prepared once, by whichever process is first, and then memory-mapped by all."""

from dataclasses import dataclass, replace
from pathlib import Path

from dsbench.data import cache, sets, sources, split
from dsbench.data.cache import Arrays
from dsbench.data.request import Candidate, Report, Request
from dsbench.data.sets import DataSet
from dsbench.data.verify import check_content, check_form, digests, fingerprint
from dsbench.data.workspace import workspace
from dsbench.errors import InputError


@dataclass(frozen=True)
class Status:
    """What is there of one set; ``size`` is in bytes on disk.

    ``state`` is "verified" or "unverified" when it is prepared, "damaged" when that folder cannot be used,
    "not prepared" when ``path`` is a file or folder to prepare it from, and "absent" otherwise.
    """

    name: str
    state: str
    path: Path | None = None
    source: str = ""
    images: int = 0
    size: int = 0


def prepare(dataset: DataSet | str, root: Path | str, verify: bool = True, report: Report | None = None) -> Arrays:
    """The arrays of ``dataset``, from the cache below ``root`` or else from the first source that has them.

    With ``verify`` false the counts and the checksum may differ from those pinned. Raises InputError when no source
    has the set, when what is there is damaged or is another set, or when ``root`` cannot be written.
    """
    dataset, root, report = _set(dataset), Path(root), report or _silent
    folder = folder_of(dataset, root)
    if not folder.exists():
        with workspace(folder, report) as scratch:
            if not folder.exists():
                _fill(scratch / "cache", sources.read(Request(dataset, root, scratch, report)), dataset, verify, report)
                (scratch / "cache").rename(folder)
    return load(dataset, root, verify)


def load(dataset: DataSet | str, root: Path | str, verify: bool = True) -> Arrays:
    """Memory-maps the prepared arrays of ``dataset`` below ``root``, at once and without reading them.

    Raises InputError when they are not prepared or damaged, and when ``verify`` is true and they are not verified.
    """
    dataset = _set(dataset)
    folder = folder_of(dataset, Path(root))
    if not folder.exists():
        raise InputError(f"{dataset.name} is not prepared in {folder}: run dsbench data get {dataset.name}")
    arrays = cache.read(folder, dataset)
    if verify and not arrays.verified:
        raise InputError(
            f"the data in {folder} are not verified (checksum {arrays.sha256[:12]} instead of {dataset.sha256[:12]}); "
            "delete that folder, or set data.verify=false"
        )
    return arrays


def status(dataset: DataSet | str, root: Path | str) -> Status:
    """What is prepared of ``dataset`` below ``root``; never raises InputError for what it finds there."""
    dataset = _set(dataset)
    folder = folder_of(dataset, Path(root))
    if not folder.exists():
        found = sources.unprepared(dataset, Path(root))
        if found is None:
            return Status(dataset.name, "absent")
        return Status(dataset.name, "not prepared", found, size=_size(found))
    size = _size(folder)
    try:
        arrays = cache.read(folder, dataset)
    except InputError:
        return Status(dataset.name, "damaged", folder, size=size)
    state = "verified" if arrays.verified else "unverified"
    return Status(dataset.name, state, folder, arrays.source, len(arrays.x_train) + len(arrays.x_test), size)


def folder_of(dataset: DataSet, root: Path) -> Path:
    """The folder of the prepared arrays of ``dataset``."""
    return root / "prepared" / dataset.name


def _set(dataset: DataSet | str) -> DataSet:
    return sets.get(dataset) if isinstance(dataset, str) else dataset


def _silent(message: str, fraction: float | None) -> None:
    """Reports to nobody."""


def _size(path: Path) -> int:
    files = path.glob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _fill(folder: Path, candidate: Candidate, dataset: DataSet, verify: bool, report: Report) -> None:
    """Checks ``candidate`` and writes it to ``folder`` in canonical order."""
    report("checking", None)
    candidate = check_form(dataset, candidate)
    train, test = digests(candidate.x_train, candidate.y_train), digests(candidate.x_test, candidate.y_test)
    sha256 = fingerprint(train, test)
    if verify:
        check_content(dataset, candidate, sha256)
    report("writing", None)
    first, second = split.canonical_order(train), split.canonical_order(test)
    ordered = replace(
        candidate,
        x_train=candidate.x_train[first],
        y_train=candidate.y_train[first],
        x_test=candidate.x_test[second],
        y_test=candidate.y_test[second],
    )
    cache.write(folder, dataset, ordered, sha256)
