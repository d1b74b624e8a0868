"""What trackers show of a run: names to find it by, a summary, and all of it again where the record has grown."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from dsbench import torchvision_ops
from dsbench.config.hydra_internals import as_yaml
from dsbench.config.schema import Config, WandbConfig
from dsbench.measure.record import flat
from dsbench.quantities import COUNTED
from dsbench.run.folder import RunFolder
from dsbench.run.record import Record
from dsbench.tracking.tracker import Card, open_tracker

_NAMES = ("model", "block", "arch", "data", "width", "fine_width", "kernel", "seed")
_SHORT = {  # settings that have a short name where runs are sorted and filtered
    "arch.depth": "depth",
    "optimizer.name": "optimizer",
    "optimizer.lr": "lr",
    "optimizer.weight_decay": "weight_decay",
    "schedule.name": "schedule",
    "train.batch_size": "batch",
}
_IDLE: tuple[Any, ...] = (0, False, "none", [], {})  # values of settings that do nothing
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


def card(config: Config, record: Record, text: str | None = None) -> Card:
    """The names of a run and its facts; `record` is that of a run that has just started, without results.

    `text` is the configuration as YAML, where that is made already.
    """
    run = record.plain()
    chosen = {**{name: run[name] for name in (*_NAMES, "study", "precision")}, **record.settings}
    return Card(
        run_id=record.run_id,
        name=title(record),
        group=record.label.study or record.data or "dsbench",
        tags=tuple(dict.fromkeys(tag for tag in (record.model, record.data, record.label.study) if tag)),
        facts=_facts(record),
        hparams={name: _plain(value) for name, value in chosen.items() if value is not None},
        config=as_yaml(asdict(config)) if text is None else text,
    )


def title(record: Record) -> str:
    """Its short label, and before the seed what of block, kernel size and depth is not the usual."""
    kernel = "-".join(map(str, record.kernel)) if isinstance(record.kernel, list) else record.kernel
    depth = record.settings.get("arch.depth")
    parts = [
        replace(record, seed=None).short_label,
        record.block if record.block not in (None, "mobilenet") else "",
        f"k{kernel}" if kernel not in (None, 3) else "",
        f"d{depth}" if depth not in (None, 2) else "",
        f"s{record.seed}" if record.seed is not None else "",
    ]
    return " ".join(part for part in parts if part)


def _facts(record: Record) -> dict[str, Any]:
    """What runs are sorted, filtered and grouped by, under short names and flat; what is null or idle is left out."""
    settings = dict(record.settings)
    named = {name: settings.pop(key, None) for key, name in _SHORT.items()}
    told = {key: value for key, value in settings.items() if not key.startswith("arch.") and value not in _IDLE}
    rest = {key.replace(".", "_"): value for key, value in told.items()}
    cell = replace(record, seed=None)
    facts = {
        **{name: getattr(record, name) for name in _NAMES},
        **named,
        "epochs": record.stop.target if record.stop and record.stop.by == "epochs" else None,
        "stop": f"{record.stop.target:g} {record.stop.by}" if record.stop and record.stop.by != "epochs" else None,
        "budget": record.requested.target_line if record.requested else None,
        **{name: getattr(record, name) for name in ("split", "precision", "device", "threads")},
        **{name: record.costs.get(name) for name in ("params", "macs", "acts")},
        "study": str(record.label) or None,
        "git_sha": record.git_sha,
        "cell": f"{title(cell)} {record.cell_id or record.run_id}",  # groups curves: names alone are not unique
        **rest,
    }
    return {name: _plain(value) for name, value in facts.items() if value is not None}


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
    torchvision_ops.ensure()  # before Lightning imports torchvision: this process may have trained and measured nothing
    from dsbench.training.checkpoint import recorded  # Lightning takes two seconds, names should not

    history = recorded(folder.last)
    if record.result and len(history) == record.result.epochs:
        started = replace(record, result=None, measured={}, more={})
        tracker = open_tracker(config, folder.outputs, card(config, started), history)
        tracker.finish(summary(record), folder.confusion(), failed=False)


def shown_offline(config: Config, folder: RunFolder, run_id: str) -> bool:
    """Whether an offline run of W&B mirrors the run, as it does too where an online one has reached no server."""
    if not isinstance(config.logger, WandbConfig):
        return False
    from dsbench.tracking.wandb import offline_folders

    return bool(offline_folders(folder.outputs, run_id))
