"""What trackers show of a run: names to find it by, a summary, and all of it again where the record has grown."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from dsbench.config.schema import Config, WandbConfig
from dsbench.measure.record import flat
from dsbench.quantities import COUNTED
from dsbench.run.folder import RunFolder
from dsbench.run.record import Record
from dsbench.tracking.tracker import Card, open_tracker
from dsbench.training.checkpoint import recorded

_NAMES = ("model", "arch", "block", "data", "study", "width", "fine_width", "kernel", "seed", "precision")
_SUMMARY = (
    "status",
    "remark",
    "test_acc",
    "test_balanced_acc",
    "test_loss",
    "train_acc",
    "epochs",
    "train_seconds",
    "train_macs",
    "images_per_second",
    *(cost.name for cost in COUNTED),
)


def card(config: Config, record: Record) -> Card:
    """The names of a run and all facts about it; `record` is that of a run that has just started, without results."""
    label = record.label
    cell = f"{record.model}-{record.arch}-w{record.width}-{record.data}"
    title = label.experiment if label.experiment and not label.modified else cell
    tags = (record.model, record.data, record.arch, label.study)
    run = record.plain()
    del run["settings"]  # these are in the configuration anyway
    facts = asdict(config) | {"run": run}
    facts["cell"] = f"{title} {record.cell_id or record.run_id}"  # groups curves: names alone are not unique
    chosen = {**{name: run[name] for name in _NAMES}, **record.settings}
    return Card(
        run_id=record.run_id,
        name=f"{title} s{record.seed}",
        group=str(label) or cell,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag)),
        facts=facts,
        hparams={name: _plain(value) for name, value in chosen.items() if value is not None},
    )


def _plain(value: Any) -> Any:
    """A number, a text or a truth value; a list, such as kernels, is text."""
    return value if isinstance(value, (int, float, str)) else json.dumps(value)


def summary(record: Record) -> dict[str, Any]:
    """What a table of runs shows; val_acc is the best epoch's there, and measurements have flat keys."""
    plain = record.plain()
    shown = {key: plain[key] for key in _SUMMARY if key in plain}
    return shown | ({"val_acc": record.result.best_val_acc} if record.result else {}) | flat(record.measured)


def mirror_again(config: Config, folder: RunFolder, record: Record) -> None:
    """Show a completed record in the tracker, which cannot add to a finished run, in place of what it showed before.

    The curves come from the last checkpoint; where that is gone, the tracker keeps what it has.
    """
    history = recorded(folder.last)
    if record.result and len(history) == record.result.epochs:
        started = replace(record, result=None, measured={}, more={})
        tracker = open_tracker(config, folder.outputs, card(config, started), history)
        tracker.finish(summary(record), folder.confusion(), failed=False)


def shown_offline(config: Config, folder: RunFolder, run_id: str) -> bool:
    """Whether an offline run of W&B mirrors the run."""
    logger = config.logger
    if not isinstance(logger, WandbConfig) or logger.mode != "offline":
        return False
    from dsbench.tracking.wandb import offline_folders

    return bool(offline_folders(folder.outputs, run_id))
