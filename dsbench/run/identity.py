"""What decides a run's result, and the id that follows from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from dsbench.config.schema import Config
from dsbench.network.description import Network
from dsbench.training.stop import AfterSeconds, AfterSteps, Stop, epochs

# Keys of the configuration that decide nothing about the result, but for rounding; device and threads do under
# stop.by=seconds.
OUTSIDE = (
    "device",
    "threads",
    "outputs",
    "progress",
    "force",
    "rerun",
    "timeout",
    "logger",
    "data.root",
    "data.verify",
    "data.epochs",
    "train.checkpoint_minutes",
    "train.bench",
)


def identity(
    config: Config,
    network: Network,
    data_sha256: str,
    precision: str,
    length: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """All that decides the result of a run, and nothing else, as plain data.

    Names (model, architecture, study), device, threads, paths, loggers and progress are outside. `precision` is the
    resolved one, `length` what training_length says, which stop.by=epochs can do without.
    """
    train = config.train
    if length is None:
        assert config.stop.by == "epochs"
        length = {"max_epochs": epochs(config)}
    stopping = asdict(train.early_stopping) if train.early_stopping.monitor is not None else None
    return {
        "network": network.identity(),
        "data": {
            "sha256": data_sha256,
            "split": config.data.split,
            "scale": config.data.scale,
            "filter": config.data.filter,
            "augment": asdict(config.data.augment),
        },
        "recipe": {
            "optimizer": _effective(asdict(config.optimizer)),
            "schedule": asdict(config.schedule),
            **length,
            "batch_size": train.batch_size,
            "label_smoothing": train.label_smoothing,
            "grad_clip_norm": train.grad_clip_norm,
            "test_weights": test_weights(config),
            "early_stopping": stopping,
        },
        "seed": config.seed,
        "precision": precision,
    }


def training_length(stop: Stop, device: str, threads: int) -> dict[str, Any]:
    """What of the length of training decides the result: epochs, optimizer steps, or seconds on a machine.

    How many steps there are in a second is up to the device, by name, and its CPU threads.
    """
    if isinstance(stop, AfterSeconds):
        return {"train_seconds": stop.target, "device": device, "threads": threads}
    assert isinstance(stop, AfterSteps)
    whole, rest = divmod(stop.steps, stop.epoch_steps)
    return {"steps": stop.steps} if rest else {"max_epochs": whole}


def _effective(optimizer: dict[str, Any]) -> dict[str, Any]:
    """Without what no weight decay makes idle."""
    return {k: v for k, v in optimizer.items() if k != "decay_norm_and_bias" or optimizer["weight_decay"]}


def run_id(identity: dict[str, Any]) -> str:
    """Twelve hexadecimal digits that stand for `identity`."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def cell_id(identity: dict[str, Any]) -> str:
    """As run_id, the seed aside: runs with one cell_id differ only in their seed."""
    return run_id({key: value for key, value in identity.items() if key != "seed"})


def test_weights(config: Config) -> str:
    """Which weights are tested: those configured, or the best on validation unless that would choose on test."""
    return config.train.test_weights or ("last" if config.data.split == "study" else "best")
