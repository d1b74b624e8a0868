"""Sweeps as commands, timed as a whole: dsbench's launcher, Hydra's BasicLauncher, and the usual Lightning way."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from machine import Bystanders, cores, load_average

from dsbench.data import prepared, sets

HERE = Path(__file__).parent
CASE = "mnist_7800/cnn"
EPOCHS = 2
WAYS = {
    "a": "python sweep.py",
    "b": "python sweep.py hydra/launcher=basic hydra/sweeper=basic",
    "c": "Lightning, images one by one, BasicLauncher",
}
FEW = (8, 72)  # runs of the two sweeps whose difference gives the fixed cost of a run
SMALL = 64  # images of each of its runs


@dataclass(frozen=True)
class Timed:
    """One sweep, start-up included. `test_acc` is the mean over its runs, a share of 1."""

    way: str
    precision: str
    turn: int
    runs: int
    seconds: float
    test_acc: float
    load_average: float
    bystander_cores: float | None

    @property
    def runs_per_hour(self) -> float:
        """Runs in an hour at this pace."""
        return 3600 * self.runs / self.seconds


def timed(way: str, precision: str, turn: int, seeds: int, data: Path, scratch: Path, workers: int = 0) -> Timed:
    """Run `seeds` seeds of CASE on full MNIST, two epochs each, validated after each and tested at the end.

    `precision` is 32 or bf16, `workers` the DataLoader processes of way c. Raises ValueError where the sweep fails.
    """
    out = scratch / "sweep"
    shutil.rmtree(out, ignore_errors=True)
    before, others, start = load_average(), Bystanders(), time.perf_counter()
    if way == "c":
        images = prepared.folder_of(sets.get("mnist"), data)
        lightning = {"32": "32-true", "bf16": "bf16-mixed"}[precision]
        run(
            "benchmarks/lightning_sweep.py",
            "-m",
            f"seed=range(0,{seeds})",
            f"images={images}",
            f"epochs={EPOCHS}",
            f"threads={cores()}",
            f"workers={workers}",
            f"precision={lightning}",
            f"hydra.sweep.dir={out}",
        )
        seconds = time.perf_counter() - start
        accuracies = [float(path.read_text()) for path in out.glob("*/test_acc.txt")]
    else:
        basic = ["hydra/launcher=basic", "hydra/sweeper=basic"] if way == "b" else []
        run("sweep.py", "-m", *_training(precision, data, out, EPOCHS), f"seeds={seeds}", *basic)
        seconds = time.perf_counter() - start
        accuracies = [record["test_acc"] for record in records(out)]
    if len(accuracies) != seeds:
        raise ValueError(f"{len(accuracies)} runs instead of {seeds}")
    return Timed(way, precision, turn, seeds, seconds, statistics.mean(accuracies), before, others.cores())


def fixed_seconds(data: Path, scratch: Path, python: str = sys.executable, folder: Path = HERE.parent) -> float:
    """Seconds that a run costs beside its training, once the sweep is under way.

    From two sweeps of one epoch on 64 images each, of 8 and of 72 runs: the difference of their wall times, times the
    runs at once, over the 64 runs between, less the training seconds of a run. Evaluation is not taken off.
    """
    small = _small_set(data, scratch)
    walls, training = [], 0.0
    for runs in FEW:
        out = scratch / "fixed"
        shutil.rmtree(out, ignore_errors=True)
        start = time.perf_counter()
        seeds = [f"seeds={runs}", "data.verify=false"]
        run("sweep.py", "-m", *_training("32", small, out, 1), *seeds, python=python, folder=folder)
        walls.append(time.perf_counter() - start)
        training = statistics.mean(record["train_seconds"] for record in records(out))
    return (walls[1] - walls[0]) * cores() / (FEW[1] - FEW[0]) - training


def records(outputs: Path) -> list[dict]:
    """The records under `outputs`."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in outputs.glob("runs/*/result.json")]


def run(*arguments: str, python: str = sys.executable, folder: Path = HERE.parent) -> str:
    """Run a Python program in `folder`, a checkout; returns what it printed, raises ValueError with its last line."""
    command = [python, *arguments]
    environment = os.environ | {"WANDB_SILENT": "true"}
    ended = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment
    )
    if ended.returncode:
        last = (ended.stderr.strip() or ended.stdout.strip() or "no output").splitlines()[-1]
        raise ValueError(f"{' '.join(command[1:4])} ... ended with exit code {ended.returncode}: {last}")
    return ended.stdout


def _training(precision: str, data: Path, out: Path, epochs: int) -> list[str]:
    return [
        f"experiment={CASE}",
        f"train.max_epochs={epochs}",
        "train.early_stopping.monitor=null",
        f"precision={precision}",
        "device=cpu",
        f"data.root={data}",
        f"outputs={out}",
        "bench_minutes=0",
        "report=false",
    ]


def _small_set(data: Path, scratch: Path) -> Path:
    """A data root whose MNIST has SMALL training and SMALL test images."""
    arrays, root = prepared.prepare("mnist", data), scratch / "small"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    parts = {name: getattr(arrays, name)[:SMALL] for name in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(root / "mnist.npz", **parts)
    prepared.prepare(replace(sets.get("mnist"), validation_size=1), root, verify=False)
    return root
