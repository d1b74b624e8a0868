"""A run in Weights & Biases, and the credentials that its server needs."""

from __future__ import annotations

import netrc
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from dsbench.config.schema import WandbConfig
from dsbench.errors import InputError
from dsbench.tracking.tracker import Card
from dsbench.training.history import Epoch

_NO_ACCOUNT = "needs a W&B account: run `wandb login` or set WANDB_API_KEY"
_TAG_LETTERS = 64  # W&B's limit
# By key of an epoch's row: the name of the metric, and its summary over epochs in a table of runs.
_METRICS = {
    "train_loss": ("train/loss", "min"),
    "train_acc": ("train/acc", "max"),
    "val_loss": ("val/loss", "min"),
    "val_acc": ("val/acc", "max"),
    "lr": ("train/lr", "last"),
    "images_per_second": ("time/images_per_second", "mean"),
    "epoch_seconds": ("time/epoch_seconds", "mean"),
}


def check_settings(config: WandbConfig) -> None:
    """Raise InputError for mode=online without credentials; looks for them without the network."""
    if config.mode == "online" and not _has_credentials():
        raise InputError(
            f"logger.mode=online {_NO_ACCOUNT}, or stay with logger.mode=offline and run `dsbench sync` later"
        )


def check_credentials() -> None:
    """Raise InputError where there are none for the server; looks for them without the network."""
    if not _has_credentials():
        raise InputError(f"this {_NO_ACCOUNT}")


def base_url() -> str:
    """The address of W&B's server."""
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")


def _has_credentials() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlparse(base_url()).hostname
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def begin(config: WandbConfig, outputs: Path, card: Card, job_type: str) -> Any:
    """Start a W&B run under `outputs`/wandb whose id is the card's, in place of an earlier offline one of that id."""
    import wandb

    say_mode(config.mode)
    earlier = offline_folders(outputs, card.run_id)
    os.environ.setdefault("WANDB_DATA_DIR", str(outputs / "wandb" / ".staging"))  # else it is in the home folder
    run = wandb.init(
        project=config.project,
        entity=config.entity,
        dir=outputs,
        id=card.run_id,
        name=card.name,
        group=config.group or card.group,
        job_type=job_type,
        tags=_tags(config, card),
        mode="online" if config.mode == "online" else "offline",
        resume="allow" if config.mode == "online" else None,
        reinit="finish_previous",
        config=card.facts,  # a later update is lost if an offline run is killed
        settings=wandb.Settings(
            console="off",
            silent=True,
            disable_git=True,
            x_save_requirements=False,
            x_transaction_log_flush_interval=1,  # a run that is killed leaves a file that can be read
        ),
    )
    for folder in earlier:
        shutil.rmtree(folder)
    return run


def offline_folders(outputs: Path, run_id: str) -> list[Path]:
    """The folders of offline runs of that id.

    W&B names them by second and id, and puts -1 behind where that is taken; the file within has the id alone.
    """
    return [path.parent for path in (outputs / "wandb").glob(f"offline-run-*/run-{run_id}.wandb")]


def say_mode(mode: str) -> None:
    """Set W&B's mode before it is set up: unless the process is offline, statistics of its use go to its server."""
    os.environ["WANDB_MODE"] = "online" if mode == "online" else "offline"


def _tags(config: WandbConfig, card: Card) -> list[str]:
    """The card's tags, the user's, and a sweep's group: `wandb leet` shows and filters tags, not groups."""
    own = [tag for tag in (*card.tags, config.group or "") if 0 < len(tag) <= _TAG_LETTERS]
    return list(dict.fromkeys([*own, *config.tags]))


class WandbTracker:
    """One W&B run, whose id is the run's own, under `outputs`/wandb."""

    def __init__(self, config: WandbConfig, outputs: Path, card: Card) -> None:
        self.run = begin(config, outputs, card, "train")
        self.run.define_metric("epoch", hidden=True)
        for name, summary in _METRICS.values():
            self.run.define_metric(name, step_metric="epoch", summary=summary)

    def epoch(self, row: Epoch) -> None:
        """Log an epoch that an online run does not have already."""
        if row["epoch"] > self.run.step or not self.run.resumed:
            metrics = {name: row[key] for key, (name, _) in _METRICS.items()}  # type: ignore[literal-required]
            self.run.log({"epoch": row["epoch"], **metrics}, step=row["epoch"], commit=True)

    def finish(self, summary: dict[str, Any], confusion: list[list[int]] | None, failed: bool) -> None:
        """Set the summary, plot the confusion matrix, and finish the run."""
        try:
            if confusion is not None:
                self.run.log({"test/confusion": _confusion_plot(confusion)})
            self.run.summary.update(summary)
        finally:
            self.run.finish(exit_code=int(failed))


def _confusion_plot(confusion: list[list[int]]) -> Any:
    """W&B's own confusion matrix, which takes an entry an image."""
    from wandb.plot import confusion_matrix

    pairs = [(t, p) for t, row in enumerate(confusion) for p, count in enumerate(row) for _ in range(count)]
    names = [str(number) for number in range(len(confusion))]
    return confusion_matrix(y_true=[t for t, _ in pairs], preds=[p for _, p in pairs], class_names=names)
