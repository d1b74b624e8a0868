"""Which image files a set of one's own has, in which class and part: read from folders or from a table of paths."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dsbench.errors import InputError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
)  # torchvision's, and GIF
# Folders that are parts and not classes, as torchvision's sets and Hugging Face's image folders call them.
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
PATHS, LABELS = ("path", "file_name", "filename", "file"), ("label", "class")  # columns of a table
METADATA = "metadata.csv"


@dataclass
class Part:
    """The files of one part: paths below `folder`, and the class of each by its name."""

    folder: Path
    paths: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)

    def files(self) -> Iterator[str]:
        """The files, each where it is."""
        return (os.path.join(self.folder, path) for path in self.paths)


@dataclass(frozen=True)
class Listing:
    """The files of a set: those of the parts train and test, or all in one part that is still to be split.

    `remarks` say in words what was left out or taken for something else.
    """

    train: list[Part]
    test: list[Part]
    remarks: list[str]

    @property
    def class_names(self) -> list[str]:
        """The classes of the train part in the order of their labels: numbers by size, else by the alphabet."""
        names = {name for part in self.train for name in part.classes}
        whole = all(name.isascii() and name.isdigit() for name in names)
        return sorted(names, key=lambda name: (int(name), name) if whole else name)


def listed(source: Path, test: Path | None = None) -> Listing:
    """The files below the folder `source`, or in the table `source` (.csv); those of `test` are its test part.

    A folder holds a folder a class, or a metadata.csv (file_name, label), or folders train and test that do. Raises
    InputError where it is neither, or a class has no training image.
    """
    remarks: list[str] = []
    train, own_test = _parts(source, remarks)
    if test is not None:
        if own_test:
            raise InputError(f"{source} has a test part of its own; leave out --test")
        own_test, further = _parts(test, remarks)
        own_test += further
    listing = Listing(train, own_test, remarks)
    known = set(listing.class_names)
    if len(known) < 2:
        found = f"one class, {next(iter(known))}" if known else "no images"
        raise InputError(
            f"{source} holds {found}; images lie in a folder a class, or are named by a .csv of path,label"
        )
    for part in own_test:
        unknown = sorted(set(part.classes) - known)
        if unknown:
            raise InputError(f"the test images in {part.folder} are of class {unknown[0]!r}, which is not trained on")
    for name in known:
        _check_class(name)
    return listing


def _parts(source: Path, remarks: list[str]) -> tuple[list[Part], list[Part]]:
    """The parts to train on and to test on, the latter empty where `source` has none."""
    if source.is_file():
        return [_table(source)], []
    if not source.is_dir():
        raise InputError(f"there is no folder {source}")
    folders = {entry.name.lower(): Path(entry.path) for entry in os.scandir(source) if entry.is_dir()}
    found = {part: [folders[name] for name in names if name in folders] for part, names in PARTS.items()}
    named = [folder for part in found.values() for folder in part]
    if not found["train"] or len(named) < 2 or len(named) < len([n for n in folders if not n.startswith(".")]):
        return [_folder(source, remarks)], []
    parts = {part: [_folder(folder, remarks) for folder in there] for part, there in found.items()}
    if parts["test"]:
        train, test = parts["train"] + parts["validation"], parts["test"]
        if parts["validation"]:
            remarks.append("validation images join the training part; dsbench holds a tenth of it out by itself")
    else:
        train, test = parts["train"], parts["validation"]
        remarks.append("there is no folder test: the validation images are the test part")
    return train, test


def _folder(folder: Path, remarks: list[str]) -> Part:
    """The images below `folder`: those that its metadata.csv names, or a folder a class."""
    if (folder / METADATA).is_file():
        return _table(folder / METADATA)
    part, others = Part(folder), []
    for at, below, names in os.walk(folder, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith("."))
        inside = os.path.relpath(at, folder)
        for name in sorted(names):
            path = name if inside == "." else os.path.join(inside, name)
            if name.startswith("."):
                continue
            if inside == "." or os.path.splitext(name)[1].lower() not in SUFFIXES:
                others.append(path)
            else:
                part.paths.append(path)
                part.classes.append(inside.split(os.sep)[0])
    if others:
        remarks.append(f"left out as no image in a folder of a class: {few(others)}")
    return part


def _table(path: Path) -> Part:
    """The images that a .csv names, by paths from where it lies, and their classes."""
    part = Part(path.parent)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            named = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
            columns = [next((named[n] for n in wanted if n in named), None) for wanted in (PATHS, LABELS)]
            if None in columns:
                raise InputError(f"{path} has columns {', '.join(named)}; it should have path (or file_name) and label")
            for row in rows:
                where, label = (row[column] for column in columns)
                if not where or not label:
                    raise InputError(f"{path}: line {rows.line_num} names no image or no label")
                part.paths.append(where.strip())
                part.classes.append(label.strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from error
    return part


def _check_class(name: str) -> None:
    """Raise InputError for what a configuration would read otherwise than as text."""
    if "${" in name or name == "???" or not name.isprintable() or len(name) > 200:
        raise InputError(f"a class cannot be called {name!r}; rename its folder")


def few(items: Iterable[object], shown: int = 3) -> str:
    """How many there are and the first of them, in words."""
    names = [str(item) for item in items]
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"
