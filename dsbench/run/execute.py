"""The course of one run: from a plan to a result on disk and in the tracker, whatever happens on the way."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf

from dsbench.errors import first_line
from dsbench.run import bench, facts
from dsbench.run.folder import RunFolder, write_atomically
from dsbench.run.guard import Guard
from dsbench.run.identity import test_weights
from dsbench.run.lease import Held
from dsbench.run.lock import locked
from dsbench.run.log import run_log
from dsbench.run.mirror import card, mirror_anew, summary
from dsbench.run.plan import Plan
from dsbench.run.progress import Progress
from dsbench.run.signals import Interrupted, asked, interruptible, patient, undisturbed
from dsbench.run.status import FINAL, anew
from dsbench.run.timeout import Limit, TimedOut, reason
from dsbench.tracking.tracker import Nothing, Tracker, open_tracker
from dsbench.training.checkpoint import recorded
from dsbench.training.fit import Outcome, fit
from dsbench.training.history import Epoch, best_epoch, images_seen
from dsbench.training.stop import TRAIN_PASSES

log = logging.getLogger("dsbench")


def execute(plan: Plan, progress: Progress) -> dict[str, Any]:
    """Train and test the planned run, or take up its record; returns the record as in result.json.

    A run that is recorded as done, diverged or collapsed is not trained again unless force=true, or rerun=stale where
    other code has made it, which keep the old result until there is a new one; a run that was ended by anything else
    goes on from its last checkpoint. Raises whatever ended it; the record says so too.
    """
    plan.folder.create()
    with locked(plan.folder.path, progress.waiting) as held:
        folder = replace(plan.folder, permit=held.confirm)
        result = folder.result()
        if result is not None and anew(result, plan.config.force, plan.config.rerun):
            folder.set_aside() if result["status"] in FINAL else folder.discard()
            result = None
        if result is not None and result["status"] in FINAL:
            return _take_up(plan, folder, progress, result)
        with run_log(folder.log_file), interruptible():
            result = _train(plan, folder, progress, held, result or {})
        folder.drop_previous()
        return result


def _take_up(plan: Plan, folder: RunFolder, progress: Progress, result: dict[str, Any]) -> dict[str, Any]:
    """A recorded result under the names by which it is asked for now; a study's name, once known, stays."""
    names = {key: plan.facts()[key] for key in ("model", "arch", "block", "study", "stop")}
    if result["study"] is None and names["study"] is not None:
        folder.write_result(result | names)
    if bench.wanted(plan, result):
        with run_log(folder.log_file), interruptible():
            result = bench.complete(plan, progress, result)
            if not bench.wanted(plan, result):
                mirror_anew(plan.config, folder, result | names)
    named = result | names
    progress.recorded(plan, named)
    return named


def _train(plan: Plan, folder: RunFolder, progress: Progress, held: Held, earlier: dict[str, Any]) -> dict[str, Any]:
    """Train and test; `earlier` is the record of the attempt that this one continues, empty for a first one."""
    seconds = plan.config.timeout
    with Limit(seconds, folder.log_file, lambda: folder.end_record("timeout", reason(seconds or 0))) as limit:
        return _attempt(plan, folder, progress, held, limit, earlier)


def _attempt(
    plan: Plan, folder: RunFolder, progress: Progress, held: Held, limit: Limit, earlier: dict[str, Any]
) -> dict[str, Any]:
    history = recorded(folder.last)
    result = {
        **plan.facts(),
        **({"requested": earlier.get("requested")} if earlier else {}),  # of several requests the first is kept
        "status": "running",
        "attempts": earlier.get("attempts", 0) + 1,
        "versions": facts.versions(),
        "git_sha": facts.git_sha(),
        "source_sha256": facts.source_sha256(),
        "n_jobs": facts.n_jobs(),
        "started": earlier.get("started", facts.now()),
        "finished": None,
    }
    tracker: Tracker = Nothing()
    outcome: Outcome | None = None
    try:
        write_atomically(folder.config_file, OmegaConf.to_yaml(OmegaConf.structured(plan.config)))
        folder.write_result(result)
        folder.write_history(history)
        progress.started(plan, history)
        tracker = open_tracker(plan.config, folder.outputs, card(plan.config, result), history)
        outcome = _fit(plan, folder, progress, tracker, held)
        limit.trained()
        result |= _measured(outcome, plan.cost.macs) | {"status": outcome.status}
    except BaseException as error:
        limit.trained()
        cause = asked() or error  # in C code, torch.save for one, a request to stop can come out as another error
        result |= {"status": _status(cause), "error": first_line(cause)}
        log.debug("the run ended with an error", exc_info=True)
        if cause is not error:
            raise cause from error
        raise
    finally:
        result["finished"] = facts.now()
        try:
            with undisturbed():
                folder.write_result(result)
            if bench.wanted(plan, result):
                result = bench.complete(plan, progress, result)
        finally:
            tracker.finish(summary(result), outcome.confusion if outcome else None, failed=outcome is None)
    progress.finished(plan, result)
    return result


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
            folder.log_file,
            on_epoch,
            [Guard(held), *callbacks],
        )


def _measured(outcome: Outcome, macs: int) -> dict[str, Any]:
    """The figures of result.json. train_acc and val_acc are the last epoch's, best_val_acc the best epoch's.

    `macs` are those of a forward pass for one image.
    """
    history, best = outcome.history, best_epoch(outcome.history)
    seconds = sum(row["epoch_seconds"] for row in history)
    images = images_seen(history)
    confusion = outcome.confusion
    return {
        "train_acc": history[-1]["train_acc"],
        "train_loss": history[-1]["train_loss"],
        "val_acc": history[-1]["val_acc"],
        "val_loss": history[-1]["val_loss"],
        "best_val_acc": history[best - 1]["val_acc"] if best else None,
        "best_epoch": best or None,
        "test_acc": outcome.test_acc,
        "test_loss": outcome.test_loss,
        "test_class_acc": [row[i] / max(1, sum(row)) for i, row in enumerate(confusion)] if confusion else None,
        "test_confusion": confusion,
        "epochs": len(history),
        "train_seconds": seconds,
        "train_macs": TRAIN_PASSES * macs * images,
        "images_per_second": images / seconds,
    }


def _status(error: BaseException) -> str:
    if isinstance(error, TimedOut):
        return "timeout"
    # submitit's handlers of a scheduler's signals end a process with SystemExit
    return "interrupted" if isinstance(error, (Interrupted, KeyboardInterrupt, SystemExit)) else "failed"
