"""What trackers show of a run: names to find it by, a summary, and all of it anew where the record has grown."""

from __future__ import annotations

import json
from typing import Any

from omegaconf import OmegaConf

from dsbench.config.schema import Config, WandbConfig
from dsbench.measure.record import flat
from dsbench.quantities import COUNTED
from dsbench.run.folder import RunFolder
from dsbench.tracking.tracker import Card, open_tracker
from dsbench.training.checkpoint import recorded

_NAMES = ("model", "arch", "block", "data", "study", "width", "fine_width", "kernel", "seed", "precision")
_SUMMARY = (
    "status",
    "test_acc",
    "test_loss",
    "train_acc",
    "epochs",
    "train_seconds",
    "train_macs",
    "images_per_second",
    *(cost.name for cost in COUNTED),
)


def card(config: Config, record: dict[str, Any]) -> Card:
    """The names of a run and everything that is known of it; `record` is what result.json holds when it begins."""
    study = record["study"]  # mnist_7800/cnn, or mnist_7800/cnn (modified: width), or None
    cell = f"{record['model']}-{record['arch']}-w{record['width']}-{record['data']}"
    title = study if study and " (modified: " not in study else cell
    tags = (record["model"], record["data"], record["arch"], *([study.split("/")[0]] if study else []))
    everything = OmegaConf.to_container(OmegaConf.structured(config))
    assert isinstance(everything, dict)
    known = {key: value for key, value in record.items() if key != "settings"}  # these are in `everything` anyway
    facts = {str(key): value for key, value in everything.items()} | {"run": known}
    cell_id = record.get("cell_id") or record["run_id"]
    facts["cell"] = f"{title} {cell_id}"  # by which curves are grouped: names alone are not unique
    chosen = {name: record.get(name) for name in _NAMES} | (record.get("settings") or {})
    return Card(
        run_id=record["run_id"],
        name=f"{title} s{record['seed']}",
        group=study or cell,
        tags=tuple(dict.fromkeys(tags)),
        facts=facts,
        hparams={name: _plain(value) for name, value in chosen.items() if value is not None},
    )


def _plain(value: Any) -> Any:
    """A number, a text or a truth value; a list, such as kernels, is text."""
    return value if isinstance(value, (int, float, str)) else json.dumps(value)


def summary(record: dict[str, Any]) -> dict[str, Any]:
    """What a table of runs shows; val_acc is the best epoch's there, and measurements have flat keys."""
    shown = {key: record[key] for key in _SUMMARY if key in record}
    return shown | ({"val_acc": record["best_val_acc"]} if "best_val_acc" in record else {}) | flat(record)


def mirror_anew(config: Config, folder: RunFolder, record: dict[str, Any]) -> None:
    """Show a completed record in the tracker, which cannot add to a finished run, in place of what it showed before."""
    history = recorded(folder.last)
    if len(history) == record["epochs"]:  # else the checkpoint is gone, and the curves would be lost
        keys = list(record)
        begun = {key: record[key] for key in keys[: keys.index("finished") + 1]}  # results stand behind it
        tracker = open_tracker(config, folder.outputs, card(config, begun), history)
        tracker.finish(summary(record), record["test_confusion"], failed=False)


def shown_offline(config: Config, folder: RunFolder, run_id: str) -> bool:
    """Whether an offline run of W&B mirrors the run."""
    logger = config.logger
    if not isinstance(logger, WandbConfig) or logger.mode != "offline":
        return False
    return any((folder.outputs / "wandb").glob(f"offline-run-*-{run_id}"))
