"""A run from its start to its end: trained, tested, recorded and mirrored, whatever ends it."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from dsbench import machine, provenance
from dsbench.config.hydra_internals import as_yaml
from dsbench.errors import FailureError, first_line
from dsbench.files import write_atomically
from dsbench.numerals import memory
from dsbench.run import index
from dsbench.run.execute import measured, to_measure
from dsbench.run.folder import RunFolder
from dsbench.run.interrupts import (
    Interrupted,
    Limit,
    TimedOut,
    cooperative,
    deferred,
    raise_if_asked_to_stop,
    reason,
    stop_request,
)
from dsbench.run.lock import Held
from dsbench.run.mirror import card, summary
from dsbench.run.plan import Plan
from dsbench.run.progress import Bar, Progress
from dsbench.run.record import Record, Result, Status
from dsbench.tracking.tracker import Nothing, Tracker, open_tracker
from dsbench.training.checkpoint import Checkpoints, resumable
from dsbench.training.classifier import Classifier
from dsbench.training.device import Compute, out_of_memory
from dsbench.training.fit import Fitted, fit
from dsbench.training.gpu import gpu
from dsbench.training.history import Epoch, balanced_accuracy, best_epoch, class_accuracies, images_seen
from dsbench.training.stop import TRAIN_PASSES

log = logging.getLogger("dsbench")


def train_and_test(plan: Plan, folder: RunFolder, progress: Progress, held: Held, earlier: Record | None) -> Record:
    """Train and test; `earlier` is the record of the attempt that this one continues, None for a first one."""
    seconds = plan.config.timeout
    tracker: Tracker = Nothing()
    fitted: Fitted | None = None

    def on_epoch(history: list[Epoch]) -> None:
        folder.write_history(history)
        tracker.epoch(history[-1])
        progress.epoch(history[-1])

    with Limit(seconds, folder.log_file, lambda: folder.end_record(Status.TIMEOUT, reason(seconds or 0))) as limit:
        training = plan.training
        compute = training.compute
        history = resumable(folder.last, folder.best, training.test_weights)
        record = _first_record(plan, earlier)
        try:
            text = as_yaml(asdict(plan.config))
            write_atomically(folder.config_file, text, at_once=False)
            folder.write_result(record)
            folder.write_history(history)
            progress.started(plan, history)
            _say_what_is_short(plan)
            form = record.memory_format or faster_format(plan, compute)
            training = replace(training, compute=replace(compute, memory_format=form))
            record = replace(record, memory_format=form)
            tracker = open_tracker(plan.config, folder.outputs, card(plan.config, record, text), history)
            with progress.training(plan) as bar, cooperative():
                callbacks = [Watch(held), *([Moving(bar)] if bar else [])]
                fitted = fit(training, on_epoch, callbacks)
            limit.trained()
            result = _result(fitted, plan.cost.macs)
            record = replace(record, status=Status(fitted.status), remark=fitted.remark, result=result)
        except BaseException as error:
            limit.trained()
            # In C code, torch.save for one, a request to stop can come out as another error.
            cause = stop_request() or (_of_memory(plan) if out_of_memory(error) else error)
            record = replace(record, status=_status(cause), error=first_line(cause))
            log.debug("the run ended with an error", exc_info=True)
            if cause is not error:
                raise cause from error
            raise
        finally:
            record = replace(record, finished=provenance.now())
            confusion = fitted.confusion if fitted else None
            try:
                with deferred():
                    folder.write_result(record, confusion, fitted.correct if fitted else None)
                index.add(folder.outputs, record)
                if to_measure(plan, record):
                    record = measured(plan, progress, record)
            finally:
                tracker.finish(summary(record), confusion, failed=fitted is None)
        progress.finished(plan, record)
        return record


def _say_what_is_short(plan: Plan) -> None:
    """A remark where other processes have the memory that training needs."""
    free = machine.memory().available
    if plan.place.kind != "cuda" and plan.memory_bytes > free:
        log.warning("training needs %s, and %s are free now", memory(plan.memory_bytes), memory(free))


def _of_memory(plan: Plan) -> FailureError:
    """What torch says in a paragraph of a GPU's memory that ran out: the figures that a user can do something about."""
    there = gpu().memory_bytes if plan.place.kind == "cuda" else machine.memory().total
    return FailureError(
        f"out of memory: training needs {memory(plan.memory_bytes)} at the least, {plan.place.name} has "
        f"{memory(there)}, which other processes may use too; take a smaller width or train.batch_size"
    )


def _first_record(plan: Plan, earlier: Record | None) -> Record:
    """The record of a run that starts, or goes on from where the attempt ended whose record is `earlier`."""
    facts = plan.facts()
    return replace(
        facts,
        requested=earlier.requested if earlier else facts.requested,  # of several requests the first is kept
        memory_format=(earlier.memory_format if earlier else None) or facts.memory_format,
        status=Status.RUNNING,
        attempts=((earlier.attempts or 0) if earlier else 0) + 1,
        versions=provenance.versions(),
        git_sha=provenance.git_sha(),
        source_sha256=provenance.source_sha256(),
        n_jobs=provenance.n_jobs(),
        started=(earlier.started if earlier else None) or provenance.now(),
    )


def faster_format(plan: Plan, compute: Compute) -> str:
    """The memory format in which a step of `plan` takes less time on `compute`, a CUDA device.

    Where it cannot be measured, for want of memory say, it is channels_last, which is logged.
    """
    from dsbench.measure.memory_format import faster
    from dsbench.measure.store import Store
    from dsbench.measure.subject import StepRecipe, Subject

    subject = Subject(plan.network, compute, StepRecipe.of(plan.config.optimizer, plan.config.train))
    try:
        return faster(subject, Store(plan.folder.outputs / "latency"))
    except Exception as error:  # whatever goes wrong here, the run can do without
        log.warning("which memory format is faster could not be measured, it is channels_last: %s", first_line(error))
        log.debug("measuring ended with an error", exc_info=True)
        return "channels_last"


class Watch(Callback):
    """Between steps: ends training where another process has taken the run over, or where this one is asked to stop.

    The former before a checkpoint of the other is overwritten, the latter with a checkpoint of the step; Lightning
    calls callbacks that write checkpoints last.
    """

    def __init__(self, held: Held) -> None:
        self.held = held

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Mostly one look at the clock."""
        self.held.check()
        if stop_request() is not None:
            for callback in trainer.checkpoint_callbacks:
                assert isinstance(callback, Checkpoints)
                callback.save_within_epoch(trainer, pl_module)
            raise_if_asked_to_stop()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the checkpoints of the epoch."""
        self.held.confirm()


class Moving(Callback):
    """Moves `bar` with each step."""

    def __init__(self, bar: Bar) -> None:
        self.bar = bar

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show that an epoch starts."""
        self._show(pl_module, 0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show that a step is done."""
        self._show(pl_module, batch_idx + 1)

    def _show(self, pl_module: LightningModule, steps: int) -> None:
        assert isinstance(pl_module, Classifier)
        self.bar.step(pl_module.current_epoch, steps, pl_module.spent()[1])


def _result(fitted: Fitted, macs: int) -> Result:
    """What training came to; `macs` are those of a forward pass for one image."""
    history, best = fitted.history, best_epoch(fitted.history)
    seconds = sum(row["epoch_seconds"] for row in history)
    images = images_seen(history)
    confusion = fitted.confusion
    return Result(
        train_acc=history[-1]["train_acc"],
        train_loss=history[-1]["train_loss"],
        val_acc=history[-1]["val_acc"],
        val_loss=history[-1]["val_loss"],
        best_val_acc=history[best - 1]["val_acc"] if best else None,
        best_epoch=best or None,
        test_acc=fitted.test_acc,
        test_loss=fitted.test_loss,
        test_class_acc=class_accuracies(confusion) if confusion else None,
        test_balanced_acc=balanced_accuracy(confusion) if confusion else None,
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
