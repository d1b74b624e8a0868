"""The course of runs: a record taken up, or networks trained, tested and recorded, whatever ends them.

A run alone is a group of one: all that trains a run trains a group of them as one program.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from dsbench import torchvision_ops
from dsbench.errors import InputError
from dsbench.run.folder import RunFolder
from dsbench.run.interrupts import interruptible
from dsbench.run.lock import Held, locked, locked_now
from dsbench.run.log import about, run_log
from dsbench.run.plan import Plan
from dsbench.run.progress import Progress
from dsbench.run.record import FINAL, Record, Status

Ended = Record | BaseException  # the record of a result, or what has ended the run without one


@dataclass
class Member:
    """A run of a group. `folder`, `held` and `earlier` are known once it has its lock, `ended` once it has ended.

    `earlier` is the record of the attempt that this one continues, None for a first one.
    """

    plan: Plan
    progress: Progress
    folder: RunFolder
    held: Held | None = None
    earlier: Record | None = None
    ended: Ended | None = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within, an error ends this run and no other, and what is logged is in this run's log alone."""
        with about(self.folder.log_file):
            try:
                yield
            except Exception as error:
                self.ended = error


def execute(plan: Plan, progress: Progress) -> Record:
    """Train and test the planned run, or take up its record; returns the record as in result.json.

    A run that is recorded as done, diverged or collapsed is not trained again unless force=true, or rerun=stale where
    other code has made it, which keep the old result until there is a new one; a run that was ended by anything else
    goes on from its last checkpoint. A record that stays needs no folder that can be written to, no data and none of
    the memory of training. Raises whatever ended the run; the record says so too.
    """
    (ended,) = execute_together([plan], [progress])
    if isinstance(ended, BaseException):
        raise ended
    return ended


def execute_together(plans: Sequence[Plan], progresses: Sequence[Progress]) -> list[Ended]:
    """As `execute` for each of `plans`, runs that differ in their seeds, but trained as one program; in their order.

    What ends one run alone stands in its place and disturbs no other: an error of its own, or that its time was over.
    Runs that other processes have are left to these while there are others to train, then waited for. Those whose last
    checkpoints stand at different steps are trained in as many programs, one after the other.

    Each run is shown by its own one of `progresses`, what they share (what is about to be trained, the bar) by that of
    the first. Raises what asks this process to stop, once that is recorded of all that train.
    """
    members = [Member(plan, progress, plan.folder) for plan, progress in zip(plans, progresses, strict=True)]
    absent = []
    for member in members:
        with member.alone():
            if not _stays(member):
                absent.append(member)
    train = _training(absent[0]) if absent else None
    while waiting := [member for member in members if member.ended is None]:
        with ExitStack() as locks:
            taken = _lock(waiting, locks)
            for member in taken:
                with member.alone():
                    _look(member)
            rest = [member for member in taken if member.ended is None]
            if rest:
                train = train or _training(rest[0])  # a record has gone in between
                with ExitStack() as logs, interruptible():
                    for member in rest:
                        with member.alone():
                            logs.enter_context(run_log(member.folder.log_file))
                    train([member for member in rest if member.ended is None])
                for member in rest:
                    if isinstance(member.ended, Record):
                        member.folder.drop_previous()
    return [member.ended for member in members if member.ended is not None]


def _stays(member: Member) -> bool:
    """Whether its record stays; what is to be trained is prepared. Raises InputError where that cannot be."""
    plan = member.plan
    there = plan.folder.result()
    stays = there is not None and there.stays(plan.config.force, plan.config.rerun)
    if not stays:
        plan.prepare()
    try:
        plan.folder.create()
    except InputError:  # it cannot be written to
        if there is None or not stays:
            raise
        member.ended = _shown(plan, member.progress, there)
    return stays


def _training(member: Member) -> Callable[[Sequence[Member]], None]:
    """What trains runs, after seconds in which Lightning is imported; what is prepared meanwhile is shown first."""
    member.progress.preparing(member.plan)
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


def _lock(members: Sequence[Member], locks: ExitStack) -> list[Member]:
    """Take the locks of those that no process has; where each has one, that of the first, after its process.

    Who waits has no lock, so that no two processes wait for each other.
    """
    taken = _lock_free(members, locks)
    first, *others = [member for member in members if member.ended is None] or members
    if not taken and first.ended is None:
        with first.alone():
            _take(first, locks.enter_context(locked(first.folder.path, first.progress.waiting)))
            taken = [first, *_lock_free(others, locks)]
    return taken


def _lock_free(members: Sequence[Member], locks: ExitStack) -> list[Member]:
    taken = []
    for member in members:
        with member.alone():
            held = locks.enter_context(locked_now(member.folder.path))
            if held is not None:
                _take(member, held)
                taken.append(member)
    return taken


def _take(member: Member, held: Held) -> None:
    member.held, member.folder = held, replace(member.plan.folder, permit=held.confirm)


def _look(member: Member) -> None:
    """Take up the record of a result that stays; of any other that does, training goes on."""
    folder, config, record = member.folder, member.plan.config, member.folder.result()
    if record is not None and record.is_replaced(config.force, config.rerun):
        folder.set_aside() if record.status in FINAL else folder.discard()
        record = None
    if record is not None and record.status in FINAL:
        member.ended = _take_up(member.plan, folder, member.progress, record)
    else:
        member.earlier = record


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
