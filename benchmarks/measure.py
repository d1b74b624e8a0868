"""One measurement: a case trained one way, in a process of its own, on images that all ways share."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from machine import Bystanders, load_average

from dsbench.data import prepared, sets

HERE = Path(__file__).parent
TEST_IMAGES = 1000  # validated on by way a after each epoch, outside of its training time
TIMEOUT_SECONDS = 900
WORKERS = (0, 1, 2)
PARAMS = {
    "mnist_7800/cnn": 7_800,
    "mnist_7800/dwsep_same_budget": 7_841,
    "cifar10_vgg/cnn": 1_186_378,
    "cifar10_vgg/dwsep": 174_821,
}


@dataclass(frozen=True)
class Case:
    """A study's model; `images` is the default number of an epoch, the other two are the targets of a/b and a/c."""

    name: str
    data: str
    images: int
    over_plain: float
    over_lightning: float | None = None


CASES = {
    case.name: case
    for case in (
        Case("mnist_7800/cnn", "mnist", 15_000, 1.3, 3.0),
        Case("mnist_7800/dwsep_same_budget", "mnist", 7_500, 1.3),
        Case("cifar10_vgg/cnn", "cifar10", 1_024, 1.0),
        Case("cifar10_vgg/dwsep", "cifar10", 1_536, 1.0),
    )
}


@dataclass
class Measurement:
    """What came of one process; `error` says why there is no rate. `seconds` are those of each epoch."""

    case: str
    way: str
    turn: int
    workers: int | None
    load_average: float
    bystander_cores: float | None = None
    seconds: list[float] = field(default_factory=list)
    images_per_second: float | None = None
    macs: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Bench:
    """Where and how all measurements are taken: `source` is the data root, `scratch` a folder to fill."""

    source: Path
    scratch: Path
    threads: int
    epochs: int

    def prepare(self, case: Case, images: int) -> int:
        """Draw `images` training images of the case's set, for all ways alike; returns how many there are.

        dsbench gets a data root of these alone. The loops get the whole set and the numbers of these: glibc's malloc
        stops mapping activations anew once an array of their size, up to 32 MiB, has been freed. Loading a small set
        frees one, loading the whole set does not, so on a small one they would be faster than their users see them.
        """
        arrays = prepared.prepare(case.data, self.source)
        return len(few_images(case.data, vars(arrays), self._root(case), images, TEST_IMAGES))

    def measure(self, case: Case, way: str, turn: int, images: int, workers: int | None = None) -> Measurement:
        """Train `case` once by `way` (dsbench, plain, lightning). Does not raise: what fails is in `error`."""
        measurement = Measurement(case.name, way, turn, workers, load_average())
        others = Bystanders()
        try:
            params = self._dsbench(case, measurement) if way == "dsbench" else self._loop(case, way, measurement)
            if len(measurement.seconds) != self.epochs:
                raise ValueError(f"{len(measurement.seconds)} epochs instead of {self.epochs}")
            if params != PARAMS[case.name]:
                raise ValueError(f"the network has {params:,} parameters instead of {PARAMS[case.name]:,}")
            later = measurement.seconds[1:]  # the first epoch warms up
            measurement.images_per_second = images * len(later) / sum(later)
        except (OSError, ValueError, KeyError) as error:
            measurement.error = str(error)
        measurement.bystander_cores = others.cores()
        return measurement

    def gemm(self) -> float:
        """The machine's fp32 matrix multiplication in FLOP per second."""
        out = self.scratch / "gemm.json"
        _run([str(HERE / "gemm.py"), str(self.threads), str(out)])
        return json.loads(out.read_text(encoding="utf-8"))["flops"]

    def _dsbench(self, case: Case, measurement: Measurement) -> int:
        """Fill in `measurement` from what `python train.py` leaves; returns the parameters."""
        outputs = self.scratch / "outputs"
        shutil.rmtree(outputs, ignore_errors=True)
        overrides = {
            "experiment": case.name,
            "train.max_epochs": self.epochs,
            "train.early_stopping.monitor": "null",
            "data.root": self._root(case),
            "data.verify": "false",
            "device": "cpu",
            "threads": self.threads,
            "logger": "csv",
            "outputs": outputs,
        }
        _run([str(HERE.parent / "train.py"), *(f"{key}={value}" for key, value in overrides.items())])
        (run,) = (outputs / "runs").iterdir()
        result = json.loads((run / "result.json").read_text(encoding="utf-8"))
        with (run / "metrics.csv").open(encoding="utf-8") as file:
            measurement.seconds = [float(row["epoch_seconds"]) for row in csv.DictReader(file)]
        measurement.macs = result["macs"]
        return result["params"]

    def _loop(self, case: Case, way: str, measurement: Measurement) -> int:
        """Fill in `measurement` from what one of the other loops writes; returns the parameters."""
        out = self.scratch / "loop.json"
        out.unlink(missing_ok=True)
        folder = prepared.folder_of(sets.get(case.data), self.source)
        arguments = [case.name, folder, self._rows(case), self.epochs, self.threads, out]
        if measurement.workers is not None:
            arguments.append(measurement.workers)
        _run([str(HERE / f"{way}_loop.py"), *map(str, arguments)])
        result = json.loads(out.read_text(encoding="utf-8"))
        measurement.seconds = result["epoch_seconds"]
        return result["params"]

    def _root(self, case: Case) -> Path:
        return self.scratch / case.name.replace("/", "-")

    def _rows(self, case: Case) -> Path:
        return self._root(case) / "rows.npy"


def few_images(name: str, arrays: Mapping[str, np.ndarray], root: Path, images: int, test_images: int) -> np.ndarray:
    """Make the new folder `root` a data root whose set `name` has so many images, drawn from `arrays`.

    Returns the numbers of the training images, which `root`/rows.npy keeps.
    """
    draw = np.random.default_rng(0)
    train = draw.permutation(len(arrays["x_train"]))[:images]
    test = draw.permutation(len(arrays["x_test"]))[:test_images]
    root.mkdir(parents=True)
    np.save(root / "rows.npy", train)
    parts = {
        f"{axis}_{part}": arrays[f"{axis}_{part}"][rows]
        for part, rows in (("train", train), ("test", test))
        for axis in "xy"
    }
    np.savez(root / f"{name}.npz", **parts)
    # The studies hold no validation images out; this keeps the check of their number from refusing a small set.
    prepared.prepare(replace(sets.get(name), validation_size=1), root, verify=False)
    return train


def _run(arguments: list[str]) -> None:
    """Run a Python program; raises ValueError with the last line of its output where it fails or takes too long."""
    command, program = [sys.executable, *arguments], Path(arguments[0]).name
    try:
        process = subprocess.run(
            command, cwd=HERE.parent, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"{program} took more than {TIMEOUT_SECONDS} s") from None
    if process.returncode:
        last = (process.stderr.strip() or process.stdout.strip() or "no output").splitlines()[-1]
        raise ValueError(f"{program} ended with exit code {process.returncode}: {last}")
