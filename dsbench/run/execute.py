"""The course of a run: its record taken up, or the network trained, tested and recorded, whatever ends it."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from dsbench import torchvision_ops
from dsbench.errors import InputError
from dsbench.run.folder import RunFolder
from dsbench.run.interrupts import interruptible
from dsbench.run.lock import Held, locked
from dsbench.run.plan import Plan
from dsbench.run.progress import Progress
from dsbench.run.record import FINAL, Record, Status

log = logging.getLogger("dsbench")


def execute(plan: Plan, progress: Progress) -> Record:
    """Train and test the planned run, or take up its record; returns the record as in result.json.

    A run that is recorded as done, diverged or collapsed is not trained again unless force=true, or rerun=stale where
    other code has made it, which keep the old result until there is a new one; a run that was ended by anything else
    goes on from its last checkpoint. A record that stays needs no folder that can be written to, no data and none of
    the memory of training. Raises whatever ended the run; the record says so too.
    """
    there = plan.folder.result()
    stays = there is not None and there.stays(plan.config.force, plan.config.rerun)
    if not stays:
        plan.prepare()
    try:
        plan.folder.create()
    except InputError:  # it cannot be written to
        if there is None or not stays:
            raise
        return _shown(plan, progress, there)
    train = None if stays else _training(plan, progress)
    with locked(plan.folder.path, progress.waiting) as held:
        folder = replace(plan.folder, permit=held.confirm)
        record = folder.result()
        if record is not None and record.is_replaced(plan.config.force, plan.config.rerun):
            folder.set_aside() if record.status in FINAL else folder.discard()
            record = None
        if record is not None and record.status in FINAL:
            return _take_up(plan, folder, progress, record)
        train = train or _training(plan, progress)  # its record has gone in between
        with run_log(folder.log_file), interruptible():
            record = train(plan, folder, progress, held, record)
        folder.drop_previous()
        return record


def _training(plan: Plan, progress: Progress) -> Callable[[Plan, RunFolder, Progress, Held, Record | None], Record]:
    """What trains the run, after seconds in which Lightning is imported; what is prepared meanwhile is shown first."""
    progress.preparing(plan)
    torchvision_ops.ensure()  # before Lightning imports torchvision
    from dsbench.run.train import train_and_test

    _quieten_lightning()
    return train_and_test


def _quieten_lightning() -> None:
    """Lightning's warnings go to the run's log alone; importing it installs handlers, so this comes after."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = False
        logging.getLogger(name).setLevel(logging.WARNING)
    # Of torch 2.9 to 2.13, Lightning 2.6 asks what these deprecate; nothing a user can change.
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
    warnings.filterwarnings("ignore", "Please use the new API settings to control TF32", UserWarning)
    warnings.filterwarnings("ignore", "GPU available but not used", UserWarning)  # device=cpu means it


def _take_up(plan: Plan, folder: RunFolder, progress: Progress, record: Record) -> Record:
    """Return the record with the names by which it is asked for now; they are written where it had no study yet."""
    if record.label.experiment is None and plan.label.experiment is not None:
        folder.write_result(plan.named(record))
    if to_measure(plan, record):
        from dsbench.run.mirror import mirror_again

        with run_log(folder.log_file), interruptible():
            record = measured(plan, progress, record)
            if not to_measure(plan, record):
                mirror_again(plan.config, folder, plan.named(record))
    return _shown(plan, progress, record)


def _shown(plan: Plan, progress: Progress, record: Record) -> Record:
    """Show the record with the names by which it is asked for now."""
    named = plan.named(record)
    progress.recorded(plan, named)
    return named


def to_measure(plan: Plan, record: Record) -> bool:
    """Whether train.bench asks for measurements that the record of a run that is done does not hold."""
    return plan.config.train.bench and record.status == Status.DONE and "measured_on" not in record.measured


def measured(plan: Plan, progress: Progress, record: Record) -> Record:
    """The record with the measurements of the run, which are written as well."""
    from dsbench.run.bench import complete  # of which a run that is not measured needs nothing

    return complete(plan, progress, record)


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
