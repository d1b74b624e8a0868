"""A run in Weights & Biases."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from dsbench.config.schema import TAG_LETTERS, WandbConfig
from dsbench.errors import FailureError
from dsbench.tracking import server
from dsbench.tracking.tracker import Card
from dsbench.training.history import Epoch

log = logging.getLogger("dsbench")

# By key of an epoch's row: the name of the metric, and its summary over epochs in a table of runs. W&B's pages and
# leet's have charts in the order of their names, so accuracy comes first and time last.
METRICS = {
    "val_acc": ("acc/val", "max"),
    "train_acc": ("acc/train", "max"),
    "val_loss": ("loss/val", "min"),
    "train_loss": ("loss/train", "min"),
    "lr": ("lr", "last"),
    "images_per_second": ("time/images_per_second", "mean"),
    "epoch_seconds": ("time/epoch_seconds", "mean"),
}
CONFIG_FILE = "dsbench.yaml"  # the whole configuration of a run, beside W&B's own files
_ROOM_BYTES = 256 * 1024  # that a run of W&B needs at the least
_LISTED_LETTERS = 44  # of names, so many of which leet's list shows where a terminal is 200 columns wide
NAMED = "named"  # the folder beside W&B's own, of links to these that are called as the runs in them are


def check_settings(config: WandbConfig) -> None:
    """Say what of the environment is not heard. Raises InputError for mode=online without an address or credentials."""
    chosen = server.mode(config.mode)
    if chosen != "disabled":
        server.say_unheard()
    if chosen == "online":
        later = ", or stay with logger.mode=offline and run `dsbench sync` later"
        server.check_credentials("logger.mode=online", later)


def begin(config: WandbConfig, outputs: Path, card: Card, job_type: str) -> Any:
    """Start a W&B run under `outputs`/wandb whose id is the card's, in place of an earlier offline one of that id.

    It is offline where logger.mode=online cannot reach the server. Raises OSError where the folder cannot be written
    to, and what W&B raises.
    """
    mode = reachable_mode(server.mode(config.mode))
    earlier = offline_folders(outputs, card.run_id)
    os.environ.setdefault("WANDB_DATA_DIR", str(outputs / "wandb" / ".staging"))  # else it is in the home folder
    (outputs / "wandb").mkdir(parents=True, exist_ok=True)
    _check_room(outputs / "wandb")
    with server.own_environment(mode):
        import wandb

        run = wandb.init(
            project=config.project,
            entity=config.entity,
            dir=outputs,
            id=card.run_id,
            name=card.name,
            group=config.group or card.group,
            job_type=job_type,
            tags=_tags(config, card),
            mode="online" if mode == "online" else "offline",
            resume="allow" if mode == "online" else None,
            reinit="create_new",  # beside the runs that are trained together with this one
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


def reachable_mode(mode: str) -> str:
    """`mode`, but offline where the server that online needs does not answer, which is logged."""
    if mode == "online":
        try:
            server.check_reachable()
        except FailureError as error:
            log.warning("%s; what is shown there stays offline, `dsbench sync` uploads it later", error)
            return "offline"
    return mode


def _check_room(folder: Path) -> None:
    """Raise OSError where the folder takes nothing: W&B would write elsewhere, or nowhere, and not say so."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(bytes(_ROOM_BYTES))
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def offline_folders(outputs: Path, run_id: str) -> list[Path]:
    """The folders of offline runs of that id.

    W&B names them by second and id, and puts -1 behind where that is taken; the file within has the id alone.
    """
    return [path.parent for path in (outputs / "wandb").glob(f"offline-run-*/run-{run_id}.wandb")]


def name_folder(outputs: Path, folder: Path, name: str, run_id: str) -> str:
    """Link to W&B's `folder` of a run by a name that tells, in place of an earlier one; returns the link's name.

    `wandb leet` lists folders by name, those alone that begin with run-, and finds the run by what is called
    run-TIME-ID anywhere within: here behind spaces, where its list ends in most terminals.
    """
    place = outputs / "wandb" / NAMED
    place.mkdir(exist_ok=True)
    started = folder.name.removeprefix("offline-").rpartition(f"-{run_id}")[0]
    link = place / f"run-{name.replace('/', '+'):<{_LISTED_LETTERS}} {started}-{run_id}"
    for earlier in place.glob(f"run-*-{run_id}"):
        earlier.unlink()
    link.symlink_to(Path("..", folder.name), target_is_directory=True)
    return link.name


def _tags(config: WandbConfig, card: Card) -> list[str]:
    """The card's tags, the user's, and a sweep's group: `wandb leet` shows and filters tags, not groups."""
    own = [tag for tag in (*card.tags, config.group or "") if 0 < len(tag) <= TAG_LETTERS]
    return list(dict.fromkeys([*own, *config.tags]))


class WandbTracker:
    """One W&B run, whose id is the run's own, under `outputs`/wandb."""

    def __init__(self, config: WandbConfig, outputs: Path, card: Card) -> None:
        self.run = begin(config, outputs, card, "train")
        folder = Path(self.run.dir).parent
        with suppress(OSError):  # a file system without links
            name_folder(outputs, folder, card.name, card.run_id)
        self._keep(card)
        self.run.define_metric("epoch", hidden=True)
        for name, summary in METRICS.values():
            self.run.define_metric(name, step_metric="epoch", summary=summary)

    def _keep(self, card: Card) -> None:
        """Keep the whole configuration, of which W&B's own has what runs are sorted and filtered by, as a file."""
        file = Path(self.run.dir, CONFIG_FILE)
        file.write_text(card.config, encoding="utf-8")
        self.run.save(file, base_path=file.parent, policy="now")

    def epoch(self, row: Epoch) -> None:
        """Log an epoch that an online run does not have already."""
        if row["epoch"] > self.run.step or not self.run.resumed:
            metrics = {name: row[key] for key, (name, _) in METRICS.items()}  # type: ignore[literal-required]
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
