"""The log in a run's folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer

from dsbench import provenance
from dsbench.errors import first_line
from dsbench.files import write_atomically
from dsbench.run import bench
from dsbench.run.folder import RunFolder
from dsbench.run.identity import test_weights
from dsbench.run.interrupts import (
    Interrupted,
    Limit,
    TimedOut,
    asked,
    insist,
    interruptible,
    patient,
    reason,
    undisturbed,
)
from dsbench.run.lock import Held, locked
from dsbench.run.mirror import card, mirror_anew, summary
from dsbench.run.plan import Plan
from dsbench.run.progress import Progress
from dsbench.run.record import FINAL, Record, Result, Status
from dsbench.tracking.tracker import Nothing, Tracker, open_tracker
from dsbench.training.checkpoint import Checkpoints, recorded
from dsbench.training.fit import Outcome, fit
from dsbench.training.history import Epoch, best_epoch, images_seen
from dsbench.training.stop import TRAIN_PASSES


@contextmanager
def run_log(path: Path) -> Iterator[None]:
    """All that dsbench and Lightning log, and tracebacks, in the file `path`; times in UTC."""
    handler = _Handler(path, encoding="utf-8")
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.setLevel(logging.DEBUG)
    loggers = [logging.getLogger(name) for name in ("dsbench", "pytorch_lightning", "lightning_fabric")]
    loggers[0].setLevel(logging.DEBUG)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        with suppress(OSError):
            handler.close()


class _Handler(logging.FileHandler):
    """Says nothing more where it cannot be written to, on a full disk."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """What there is to say of the disk, the run itself says."""


class Guard(Callback):
    """Ends training where another process has taken the run over, before a checkpoint of it is overwritten.

    Where the process was asked to stop, it ends at the end of a step, with a checkpoint.

    Lightning calls callbacks that write checkpoints last.
    """

    def __init__(self, held: Held) -> None:
        self.held = held

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One look at the clock, as a rule."""
        self.held.check()
        if asked() is not None:
            for callback in trainer.checkpoint_callbacks:
                assert isinstance(callback, Checkpoints)
                callback.save_within_epoch(trainer, pl_module)
            insist()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the checkpoints of the epoch."""
        self.held.confirm()


log = logging.getLogger("dsbench")


def execute(plan: Plan, progress: Progress) -> Record:
    """Train and test the planned run, or take up its record; returns the record as in result.json.

    A run that is recorded as done, diverged or collapsed is not trained again unless force=true, or rerun=stale where
    other code has made it, which keep the old result until there is a new one; a run that was ended by anything else
    goes on from its last checkpoint. Raises whatever ended it; the record says so too.
    """
    plan.folder.create()
    with locked(plan.folder.path, progress.waiting) as held:
        folder = replace(plan.folder, permit=held.confirm)
        record = folder.result()
        if record is not None and record.anew(plan.config.force, plan.config.rerun):
            folder.set_aside() if record.status in FINAL else folder.discard()
            record = None
        if record is not None and record.status in FINAL:
            return _take_up(plan, folder, progress, record)
        with run_log(folder.log_file), interruptible():
            record = _train(plan, folder, progress, held, record)
        folder.drop_previous()
        return record


def _take_up(plan: Plan, folder: RunFolder, progress: Progress, record: Record) -> Record:
    """A recorded result under the names by which it is asked for now; a study's name, once known, stays."""
    facts = plan.facts()
    names = {name: getattr(facts, name) for name in ("model", "arch", "block", "label", "stop")}
    if record.label.experiment is None and facts.label.experiment is not None:
        folder.write_result(replace(record, **names))
    if bench.wanted(plan, record):
        with run_log(folder.log_file), interruptible():
            record = bench.complete(plan, progress, record)
            if not bench.wanted(plan, record):
                mirror_anew(plan.config, folder, replace(record, **names))
    named = replace(record, **names)
    progress.recorded(plan, named)
    return named


def _train(plan: Plan, folder: RunFolder, progress: Progress, held: Held, earlier: Record | None) -> Record:
    """Train and test; `earlier` is the record of the attempt that this one continues, None for a first one."""
    seconds = plan.config.timeout
    with Limit(seconds, folder.log_file, lambda: folder.end_record(Status.TIMEOUT, reason(seconds or 0))) as limit:
        return _attempt(plan, folder, progress, held, limit, earlier)


def _attempt(
    plan: Plan, folder: RunFolder, progress: Progress, held: Held, limit: Limit, earlier: Record | None
) -> Record:
    history = recorded(folder.last)
    facts = plan.facts()
    record = replace(
        facts,
        requested=earlier.requested if earlier else facts.requested,  # of several requests the first is kept
        status=Status.RUNNING,
        attempts=((earlier.attempts or 0) if earlier else 0) + 1,
        versions=provenance.versions(),
        git_sha=provenance.git_sha(),
        source_sha256=provenance.source_sha256(),
        n_jobs=provenance.n_jobs(),
        started=(earlier.started if earlier else None) or provenance.now(),
    )
    tracker: Tracker = Nothing()
    outcome: Outcome | None = None
    try:
        write_atomically(folder.config_file, OmegaConf.to_yaml(OmegaConf.structured(plan.config)))
        folder.write_result(record)
        folder.write_history(history)
        progress.started(plan, history)
        tracker = open_tracker(plan.config, folder.outputs, card(plan.config, record), history)
        outcome = _fit(plan, folder, progress, tracker, held)
        limit.trained()
        record = replace(record, status=Status(outcome.status), result=_result(outcome, plan.cost.macs))
    except BaseException as error:
        limit.trained()
        cause = asked() or error  # in C code, torch.save for one, a request to stop can come out as another error
        record = replace(record, status=_status(cause), error=first_line(cause))
        log.debug("the run ended with an error", exc_info=True)
        if cause is not error:
            raise cause from error
        raise
    finally:
        record = replace(record, finished=provenance.now())
        try:
            with undisturbed():
                folder.write_result(record, outcome.confusion if outcome else None)
            if bench.wanted(plan, record):
                record = bench.complete(plan, progress, record)
        finally:
            tracker.finish(summary(record), outcome.confusion if outcome else None, failed=outcome is None)
    progress.finished(plan, record)
    return record


def _fit(plan: Plan, folder: RunFolder, progress: Progress, tracker: Tracker, held: Held) -> Outcome:
    def on_epoch(history: list[Epoch]) -> None:
        folder.write_history(history)
        tracker.epoch(history[-1])
        progress.epoch(history[-1])

    with progress.training(plan) as callbacks, patient():
        return fit(
            plan.config,
            plan.network,
            plan.stop,
            plan.compute,
            test_weights(plan.config),
            folder.last,
            folder.best,
            on_epoch,
            [Guard(held), *callbacks],
        )


def _result(outcome: Outcome, macs: int) -> Result:
    """What training came to; `macs` are those of a forward pass for one image."""
    history, best = outcome.history, best_epoch(outcome.history)
    seconds = sum(row["epoch_seconds"] for row in history)
    images = images_seen(history)
    confusion = outcome.confusion
    return Result(
        train_acc=history[-1]["train_acc"],
        train_loss=history[-1]["train_loss"],
        val_acc=history[-1]["val_acc"],
        val_loss=history[-1]["val_loss"],
        best_val_acc=history[best - 1]["val_acc"] if best else None,
        best_epoch=best or None,
        test_acc=outcome.test_acc,
        test_loss=outcome.test_loss,
        test_class_acc=[row[i] / max(1, sum(row)) for i, row in enumerate(confusion)] if confusion else None,
        epochs=len(history),
        train_seconds=seconds,
        train_macs=TRAIN_PASSES * macs * images,
        images_per_second=images / seconds,
    )


def _status(error: BaseException) -> Status:
    if isinstance(error, TimedOut):
        return Status.TIMEOUT
    # submitit's handlers of a scheduler's signals end a process with SystemExit
    interrupted = isinstance(error, (Interrupted, KeyboardInterrupt, SystemExit))
    return Status.INTERRUPTED if interrupted else Status.FAILED
