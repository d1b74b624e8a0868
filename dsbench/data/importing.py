"""The import of a set of one's own: its images brought to one size, split, and kept as a prepared set with its YAML."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from dsbench.data import own, prepared, sources, split
from dsbench.data.candidate import Part, Report, digests, fingerprint
from dsbench.data.listing import Listing, few
from dsbench.data.picture import Picture, Unreadable, read
from dsbench.data.sets import DataSet
from dsbench.errors import FailureError, InputError
from dsbench.files import write_atomically
from dsbench.machine import cores
from dsbench.numerals import counted

BROKEN_SHOWN = 20  # of the files that cannot be read, so that they can be mended at one go
AT_ONCE = 32  # files decoded before their pixels are written: what is in memory at a time
Put = Callable[[Path, Report], "Brought"]
"""Brings images into a scratch folder."""


@dataclass(frozen=True)
class Wanted:
    """How files become images: `size` pixels a side, in `grey` or in colour; `test_share` of them are tested on."""

    size: int
    grey: bool = False
    test_share: float = 0.2
    skip_broken: bool = False


@dataclass(frozen=True, eq=False)
class Brought:
    """Images in a scratch folder, as a set whose parts name their rows in canonical order."""

    dataset: DataSet
    parts: dict[str, Part]
    source: str
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Imported:
    """The set that is there now; `unchanged` says that it was there before."""

    dataset: DataSet
    remarks: list[str]
    unchanged: bool


def config_file(root: Path, name: str) -> Path:
    """Where the YAML file of an imported set lies: Hydra looks for `data=NAME` there (see hydra_plugins)."""
    return root / "conf" / "data" / f"{name}.yaml"


def imported(root: Path) -> list[str]:
    """The names of the sets of one's own below `root`."""
    return sorted(path.stem for path in config_file(root, "*").parent.glob("*.yaml"))


def install(put: Put, name: str, root: Path, force: bool, report: Report) -> Imported:
    """Keep what `put` brings as the set `name` below `root`: its prepared arrays, and its YAML file, which comes last.

    A set of that name with other images is replaced with `force` only; whatever ends it before leaves what was there.
    Raises InputError where there is one, or for images that are no set.
    """
    own.check_name(name)
    folder, file = root / "prepared" / name, config_file(root, name)
    try:
        with prepared.workspace(folder, report) as scratch:
            brought = put(scratch, report)
            dataset = brought.dataset
            remarks = [*brought.remarks, *own.remarks(dataset)]
            before = own.read_yaml(file) if file.exists() and not force else None
            if before is not None and before != replace(dataset, name=name):
                raise InputError(
                    f"{name} is there with other images or classes: --force replaces it, --name NAME keeps both"
                )
            if before is not None and folder.exists():
                return Imported(dataset, remarks, unchanged=True)
            report("writing", None)
            prepared.write(scratch / "cache", dataset, brought.parts, brought.source, dataset.sha256)
            file.parent.mkdir(parents=True, exist_ok=True)
            replaced = scratch / "replaced"
            if folder.exists():
                folder.rename(replaced)
            try:
                (scratch / "cache").rename(folder)
                write_atomically(file, own.as_yaml(dataset, brought.source))
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                if replaced.exists():
                    replaced.rename(folder)
                raise
    except OSError as error:
        raise FailureError(f"{name} cannot be written below {root}: {error.strerror or error}") from error
    deviations = prepared.load(dataset, root).std["standard"]
    constant = [str(channel) for channel, deviation in enumerate(deviations) if not deviation]
    if constant:
        remarks.append(f"channel {few(constant)} is constant: data.scale=standardize divides it by 1")
    return Imported(dataset, remarks, unchanged=False)


def from_npz(path: Path, name: str, layout: str | None) -> Put:
    """Brings the arrays of an .npz, see own.described."""

    def put(scratch: Path, report: Report) -> Brought:
        report(f"reading {path}", None)
        dataset, candidate = own.checked(name, sources.from_npz(path, scratch), layout)
        of_train = digests(candidate.x_train, candidate.y_train)
        of_test = digests(candidate.x_test, candidate.y_test)
        parts = {
            "train": Part(candidate.x_train, candidate.y_train, split.canonical_order(of_train)),
            "test": Part(candidate.x_test, candidate.y_test, split.canonical_order(of_test)),
        }
        return Brought(replace(dataset, sha256=fingerprint(of_train, of_test)), parts, str(path))

    return put


def from_files(listing: Listing, name: str, source: Path, wanted: Wanted) -> Put:
    """Brings image files, decoded and at one size. Raises InputError for a share to test on that leaves no part."""
    if not listing.test and not 0 < wanted.test_share < 1:
        raise InputError(f"--test-share {wanted.test_share:g} leaves no part to use; take one between 0 and 1, as 0.2")

    def put(scratch: Path, report: Report) -> Brought:
        files = _Files(listing, wanted)
        pixels, remarks = files.decoded(scratch / "pixels", report)
        of_images = digests(pixels, None)
        train, test = files.split(of_images)
        remarks += files.copies(of_images, test)
        classes = listing.class_names
        in_train, in_test = [np.bincount(files.labels[rows], minlength=len(classes)).tolist() for rows in (train, test)]
        dataset = own.own_set(name, (pixels.shape[3], *pixels.shape[1:3]), in_train, in_test, "0" * 64, classes)
        labels = files.labels.astype(dataset.label_type)
        keys = digests(pixels, labels)
        parts = {
            part: Part(pixels, labels, rows[split.canonical_order(keys[rows])])
            for part, rows in (("train", train), ("test", test))
        }
        sha256 = fingerprint(keys[train], keys[test])
        what = f"{source} at {wanted.size} pixels{' in grey' if wanted.grey else ''}"
        return Brought(replace(dataset, sha256=sha256), parts, what, [*listing.remarks, *remarks])

    return put


class _Files:
    """The files of a listing one after the other: paths, `labels` (n,) int64, and which are of a given test part."""

    def __init__(self, listing: Listing, wanted: Wanted) -> None:
        self.wanted = wanted
        parts = [*listing.train, *listing.test]
        numbers = {name: number for number, name in enumerate(listing.class_names)}
        self.paths = [path for part in parts for path in part.files()]
        self.labels = np.array([numbers[name] for part in parts for name in part.classes], dtype=np.int64)
        in_train = sum(len(part.paths) for part in listing.train)
        self.given = np.arange(len(self.paths)) >= in_train if listing.test else None

    def decoded(self, file: Path, report: Report) -> tuple[np.ndarray, list[str]]:
        """Their pixels (n, size, size, channels), mapped from `file`; those that cannot be read are left out of self.

        Raises InputError naming these, unless they are to be skipped.
        """
        broken: dict[int, str] = {}
        enlarged = coloured = 0
        with file.open("wb") as out:
            for number, picture in enumerate(self._pictures(report)):
                if isinstance(picture, Unreadable):
                    broken[number] = f"{self.paths[number]} ({picture})"
                    continue
                out.write(picture.pixels.tobytes())
                enlarged += picture.enlarged
                coloured += picture.coloured
        if broken and not self.wanted.skip_broken:
            raise InputError(
                f"{len(broken):,} of {len(self.paths):,} files cannot be read: {few(broken.values(), BROKEN_SHOWN)}; "
                "mend or remove them, or leave them out with --skip-broken"
            )
        kept = np.setdiff1d(np.arange(len(self.paths)), list(broken))
        if not len(kept):
            raise InputError(f"none of {len(self.paths):,} files can be read: {few(broken.values())}")
        self.paths = [self.paths[number] for number in kept.tolist()]
        self.labels, self.given = self.labels[kept], None if self.given is None else self.given[kept]
        shape = (len(kept), self.wanted.size, self.wanted.size, 1 if self.wanted.grey else 3)
        remarks = [f"left out, since they cannot be read: {few(broken.values(), BROKEN_SHOWN)}"] if broken else []
        if enlarged:
            remarks.append(f"{enlarged:,} of {len(kept):,} images are smaller than {self.wanted.size} pixels: enlarged")
        if not coloured and not self.wanted.grey:
            remarks.append("all images are grey: --grey keeps one channel of the three that are equal")
        return np.memmap(file, np.uint8, "r", shape=shape), remarks

    def _pictures(self, report: Report) -> Iterator[Picture | Unreadable]:
        """What each file holds, in order; decoding lets other threads run."""
        with ThreadPoolExecutor(cores()) as pool:
            for start in range(0, len(self.paths), AT_ONCE):
                report(f"reading {len(self.paths):,} images", start / len(self.paths))
                yield from pool.map(self._picture, self.paths[start : start + AT_ONCE])

    def _picture(self, path: str) -> Picture | Unreadable:
        try:
            return read(Path(path), self.wanted.size, self.wanted.grey)
        except Unreadable as reason:
            return reason

    def split(self, of_images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows to train on and those to test on, by the digests of the images (n, 32) alone.

        Each class gives its share to the test part, the images that come first by their digests; of images that are
        equal all are trained on if one is, whatever their classes. A test part that was given stays as it is.
        """
        if self.given is not None:
            return np.flatnonzero(~self.given), np.flatnonzero(self.given)
        order = split.canonical_order(of_images)
        size = round(self.wanted.test_share * len(order))
        if not 0 < size < len(order):
            raise InputError(f"--test-share {self.wanted.test_share:g} of {len(order):,} images leaves no part to use")
        first, last = split.stratified(self.labels[order], size)
        train, test = order[first], order[last]
        trained = set(map(bytes, of_images[train]))
        also = np.array([bytes(digest) in trained for digest in of_images[test]], dtype=bool)
        return np.concatenate([train, test[also]]), test[~also]

    def copies(self, of_images: np.ndarray, test: np.ndarray) -> list[str]:
        """Remarks on images that are equal: how many copies there are, with two classes, on both sides of the split."""
        order = split.canonical_order(of_images)
        same = (of_images[order[1:]] == of_images[order[:-1]]).all(axis=1)
        pairs = [(order[i], order[i + 1]) for i in np.flatnonzero(same)]
        tested = np.zeros(len(order), dtype=bool)
        tested[test] = True
        kinds = {
            "equal to another of the same class": [p for p in pairs if self.labels[p[0]] == self.labels[p[1]]],
            "equal to another of another class": [p for p in pairs if self.labels[p[0]] != self.labels[p[1]]],
            "both trained and tested on": [p for p in pairs if tested[p[0]] != tested[p[1]]],
        }
        return [
            f"{counted(len(found), 'image is', 'images are')} {kind}: "
            + few(f"{self.paths[a]} = {self.paths[b]}" for a, b in found)
            for kind, found in kinds.items()
            if found
        ]
