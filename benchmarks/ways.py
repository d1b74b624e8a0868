"""The ways to train a network that gpu.py compares, each measured in the process that asks: images a second."""

from __future__ import annotations

import csv
import json
import re
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from measure import few_images

WAYS = {
    "a": "the usual Lightning way: DataLoader, images one by one, defaults",
    "b": "a careful plain loop: data on the device, channels_last, autocast, no waiting",
    "b contiguous": "the same in contiguous memory format",
    "c": "dsbench train.graph=false",
    "d": "dsbench train.graph=true",
    "e": "dsbench, seeds one after the other",
    "f": "dsbench, processes side by side",
    "g": "dsbench, the same seeds fused",
}
_UNKNOWN = re.compile(r"unknown key '(train\.graph|fuse)'")


@dataclass(frozen=True)
class Network:
    """One of the networks compared: a name of recipes.RECIPES, its data set, and what dsbench is told."""

    name: str
    data: str
    overrides: tuple[str, ...]


NETWORKS = {
    network.name: network
    for network in (
        *(
            Network(f"plain_{width}/{model}", "cifar10", (f"model={model}", "data=cifar10", f"width={width}"))
            for width in (8, 16, 32)
            for model in ("cnn", "dwsep")
        ),
        *(
            Network(name, "mnist", (f"experiment={name}", "train.early_stopping.monitor=null"))
            for name in ("mnist_7800/cnn", "mnist_7800/dwsep_same_budget")
        ),
    )
}
# Of these it is also measured how many processes share a card best; there is no recipe by hand for them.
LARGER = {
    f"plain_{width}/cnn": Network(f"plain_{width}/cnn", "cifar10", ("model=cnn", "data=cifar10", f"width={width}"))
    for width in (64, 128)
}


@dataclass(frozen=True)
class Place:
    """Where and how long is trained: `root` is a data root for each data set, the first epoch warms up."""

    device: str
    precision: str
    epochs: int
    roots: dict[str, Path]
    scratch: Path

    def images(self, data: str) -> int:
        """Training images of an epoch."""
        import numpy as np

        return len(np.load(self.roots[data] / "rows.npy", mmap_mode="r"))


@dataclass(frozen=True)
class Task:
    """One measurement: a network trained in one of WAYS; `number` is that of workers, seeds or processes."""

    network: Network
    way: str
    number: int = 1
    overrides: tuple[str, ...] = ()
    epochs: int | None = None  # of each run; None: the place's


def data_root(name: str, source: Path, root: Path, images: int, test_images: int) -> bool:
    """Make `root` a data root with so many images of the set; False where they are random, since `source` has none."""
    import numpy as np

    from dsbench.data import prepared, sets

    dataset = sets.get(name)
    there = prepared.folder_of(dataset, source).exists() or (source / f"{name}.npz").exists()
    if there:
        arrays = vars(prepared.prepare(name, source))
    else:
        draw, (channels, height, width) = np.random.default_rng(0), dataset.image_shape
        shape = (height, width, channels)
        counts = {"train": images, "test": test_images}
        arrays = {f"x_{part}": draw.integers(0, 256, (n, *shape), np.uint8) for part, n in counts.items()}
        arrays |= {f"y_{part}": np.arange(n) % 10 for part, n in counts.items()}
    few_images(name, arrays, root, images, test_images)
    return there


def measured(place: Place, task: Task) -> dict[str, Any]:
    """Images a second of a task of way a to e or g, or why it is `skipped`."""
    if task.way == "a":
        return _loop(place, task, *_lightning(place, task))
    if task.way.startswith("b"):
        return _loop(place, task, *_plain(place, task))
    seeds = task.number if task.way in ("e", "g") else 1
    result = trained(place, task, seeds, together=seeds if task.way == "g" else 1)
    if task.way == "e" and "skipped" in result:  # without the key no seeds are fused
        return trained(place, replace(task, overrides=()), seeds)
    return result


def side_by_side(place: Place, task: Task, index: int, barriers: Any) -> dict[str, Any]:
    """What process `index` has to say of a task of way f; it trains with the first `task.number` of them."""
    if index >= task.number:
        return {}
    own = replace(place, scratch=place.scratch / f"process-{index}")
    barriers[task.number].wait(timeout=120)
    return trained(own, task, seeds=1)


def trained(place: Place, task: Task, seeds: int, together: int = 1) -> dict[str, Any]:
    """Train so many seeds by a sweep in this process, `together` at a time, and read from their records how fast.

    `images_per_second` is of training, after the first epoch; `whole_seconds` are those of the whole sweep, from its
    plan to its tables.
    """
    import dsbench

    network, epochs, outputs = task.network, task.epochs or place.epochs, place.scratch / "outputs"
    shutil.rmtree(outputs, ignore_errors=True)
    start = time.perf_counter()
    try:
        dsbench.sweep(
            [
                *network.overrides,
                *task.overrides,
                f"seeds={seeds}",
                f"train.max_epochs={epochs}",
                f"precision={place.precision}",
                f"device={place.device}",
                *(["threads=1"] if place.device == "cpu" else []),
                f"data.root={place.roots[network.data]}",
                f"outputs={outputs}",
                *("data.split=study", "data.verify=false", "logger=csv", "progress=none", "report=false"),
                *("bench_minutes=0", "hydra/launcher=basic"),
            ]
        )
    except dsbench.InputError as error:
        if unknown := _UNKNOWN.search(str(error)):
            return {"skipped": f"this dsbench has no key {unknown[1]}"}
        if place.device == "cpu" and "train.graph" in str(error):
            return {"skipped": "a CUDA graph needs a GPU"}
        raise
    whole = time.perf_counter() - start
    folders = sorted((outputs / "runs").glob("*/result.json"))
    records = [json.loads(path.read_text(encoding="utf-8")) for path in folders]
    seconds: list[float] = []
    for path in folders:
        with path.with_name("metrics.csv").open(encoding="utf-8") as file:
            seconds += [float(row["epoch_seconds"]) for row in csv.DictReader(file)][1:]
    images = place.images(network.data)
    if len(seconds) != seeds * (epochs - 1):
        ends = ", ".join(sorted({f"{record['status']}: {record.get('error')}" for record in records}))
        raise ValueError(f"{len(seconds)} epochs instead of {seeds * (epochs - 1)} ({ends})")
    fused = records[0].get("fused")
    if together > 1 and fused != together:
        raise ValueError(f"{fused} seeds were fused instead of {together}")
    if "train.graph=true" in task.overrides and not all(record.get("graph") for record in records):
        raise ValueError("no CUDA graph was captured; run.log of the run says why")
    return {
        "images_per_second": together * images * len(seconds) / sum(seconds),
        "whole_seconds": whole,
        "whole_images_per_second": images * epochs * seeds / whole,
        "macs": records[0]["macs"],
        "batch_size": records[0]["settings"]["train.batch_size"],
        "graph": records[0].get("graph"),
        "fused": fused,
        "seconds": seconds,
    }


def _loop(place: Place, task: Task, parameters: int, seconds: list[float]) -> dict[str, Any]:
    import numpy as np

    later, images = seconds[1:], len(np.load(_images_of(place, task)[1]))
    return {"images_per_second": images * len(later) / sum(later), "seconds": later, "params": parameters}


def _lightning(place: Place, task: Task) -> tuple[int, list[float]]:
    import lightning_loop
    from recipes import RECIPES

    accelerator = {"cuda": "gpu"}.get(place.device, place.device)
    precision = {"bf16": "bf16-mixed"}.get(place.precision, "32-true")
    classifier = lightning_loop.train(
        RECIPES[task.network.name],
        *_images_of(place, task),
        place.epochs,
        task.number,
        accelerator,
        precision,
    )
    return sum(p.numel() for p in classifier.network.parameters()), classifier.seconds


def _plain(place: Place, task: Task) -> tuple[int, list[float]]:
    import plain_loop
    import torch
    from recipes import RECIPES

    memory_format = torch.contiguous_format if task.way == "b contiguous" else torch.channels_last
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True):
        network, seconds = plain_loop.train(
            RECIPES[task.network.name],
            *_images_of(place, task),
            place.epochs,
            place.device,
            place.precision,
            memory_format,
        )
    return sum(p.numel() for p in network.parameters()), seconds


def _images_of(place: Place, task: Task) -> tuple[Path, Path]:
    """The folder of the prepared images, and a file with the numbers of those trained on: a quarter in the slow way."""
    import numpy as np

    from dsbench.data import prepared, sets

    root, count = place.roots[task.network.data], place.images(task.network.data)
    chosen = root / f"way-{task.way[0]}.npy"
    if not chosen.exists():
        np.save(chosen, np.arange(count // 4 if task.way == "a" else count))
    return prepared.folder_of(sets.get(task.network.data), root), chosen
