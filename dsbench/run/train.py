"""Runs from their start to their end: trained as one program, tested, recorded and mirrored, whatever ends them."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from traceback import clear_frames
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from dsbench import machine, provenance
from dsbench.config.hydra_internals import as_yaml
from dsbench.errors import FailureError, first_line
from dsbench.files import write_atomically
from dsbench.numerals import memory
from dsbench.run import index
from dsbench.run.execute import Member, measured, to_measure
from dsbench.run.identity import test_weights
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
from dsbench.run.lock import Held, LostLeaseError
from dsbench.run.log import about
from dsbench.run.mirror import card, summary
from dsbench.run.plan import Plan
from dsbench.run.progress import Bar
from dsbench.run.record import Record, Result, Status
from dsbench.tracking.tracker import Nothing, Tracker, open_tracker
from dsbench.training.checkpoint import Checkpoints, Saved, resumable
from dsbench.training.classifier import Classifier, NotFiniteError
from dsbench.training.device import out_of_memory
from dsbench.training.fit import Fitted, Training, fit
from dsbench.training.gpu import gpu
from dsbench.training.history import Epoch, balanced_accuracy, best_epoch, class_accuracies, images_seen
from dsbench.training.stop import TRAIN_PASSES

log = logging.getLogger("dsbench")


def train_and_test(members: Sequence[Member]) -> None:
    """Train those as one program whose last checkpoints stand at one step, and test; says of each how it `ended`.

    Raises what asks the process to stop, once that is recorded of all that train.
    """
    groups: dict[tuple[int, int], list[tuple[Member, Saved]]] = {}
    for member in members:
        with member.alone():
            saved = resumable(member.folder.last, member.folder.best, test_weights(member.plan.config))
            groups.setdefault(saved.position, []).append((member, saved))
    for group in groups.values():
        _train([Course(member, saved, len(group)) for member, saved in group])


class Course:
    """The training of a run from its first record to its last, as one of `fused` that start together.

    `outcome` is what training came to, or what ended it.
    """

    def __init__(self, member: Member, saved: Saved, fused: int) -> None:
        self.member, self.history = member, saved.history
        self.plan, self.folder, self.progress = member.plan, member.folder, member.progress
        assert member.held is not None
        self.held = member.held
        self.record = _first_record(self.plan, member.earlier, saved, fused)
        self.tracker: Tracker = Nothing()
        self.outcome: Fitted | BaseException | None = None

    def start(self) -> None:
        """Write and show all that is there before the first step."""
        plan, folder = self.plan, self.folder
        text = as_yaml(asdict(plan.config))
        write_atomically(folder.config_file, text, at_once=False)
        folder.write_result(self.record)
        folder.write_history(self.history)
        self.progress.started(plan, self.history)
        self.tracker = open_tracker(plan.config, folder.outputs, card(plan.config, self.record, text), self.history)

    def training(self) -> Training:
        """What training is given."""
        training, memory_format = self.plan.training, self.record.memory_format or "channels_last"
        compute = replace(training.compute, memory_format=memory_format)
        return replace(training, compute=compute, permit=self.held.confirm)

    def epoch(self, history: list[Epoch]) -> None:
        """Write and show the last epoch of `history`, which is safe in a checkpoint."""
        with about(self.folder.log_file):
            self.folder.write_history(history)
            self.tracker.epoch(history[-1])
            self.progress.epoch(history[-1])

    def record_end(self) -> None:
        """Write the record of the outcome, or of the error that has ended the run before there was one."""
        outcome = self.member.ended or self.outcome
        if isinstance(outcome, Fitted):
            result = _result(outcome, self.plan.cost.macs)
            status, remark, graph = Status(outcome.status), outcome.remark, outcome.graph
            ended = replace(self.record, status=status, remark=remark, graph=graph, result=result)
            self.record = replace(ended, finished=provenance.now())
            self.folder.write_result(self.record, outcome.confusion, outcome.correct)
            self.member.ended = self.record
        else:
            assert isinstance(outcome, BaseException)
            # In C code, torch.save for one, a request to stop can come out as another error.
            cause = stop_request() or (_of_memory(self.plan) if out_of_memory(outcome) else outcome)
            if cause is not outcome:
                cause.__cause__ = outcome
            self.member.ended = cause
            if not isinstance(outcome, NotFiniteError):
                log.debug("the run ended with an error", exc_info=outcome)
            self.record = self.record.ended(_status(cause), first_line(cause))
            self.folder.write_result(self.record)
        index.add(self.folder.outputs, self.record)

    def measure(self) -> None:
        """Measure the network, where train.bench asks for it."""
        if self.member.ended is self.record and to_measure(self.plan, self.record):
            self.member.ended = self.record = measured(self.plan, self.progress, self.record)

    def close(self) -> None:
        """Show the record in the tracker, for the last time."""
        confusion = self.outcome.confusion if isinstance(self.outcome, Fitted) else None
        with about(self.folder.log_file):
            self.tracker.finish(summary(self.record), confusion, failed=not isinstance(self.outcome, Fitted))

    def show(self) -> None:
        """Show the result, where there is one."""
        if self.member.ended is self.record:
            self.progress.finished(self.plan, self.record)


def _train(courses: Sequence[Course]) -> None:
    """Train as one program; each run ends by its own outcome. Raises what asks the process to stop."""
    stop: BaseException | None = None
    with _limit(courses) as limit:
        with ExitStack() as trackers:
            for course in courses:
                trackers.callback(course.close)
            try:
                _fit(courses)
                limit.trained()
            except BaseException as error:
                limit.trained()
                stop = error
                for course in courses:
                    course.outcome = course.outcome or error
            with deferred():
                for course in courses:
                    with course.member.alone():
                        course.record_end()
            for course in courses:
                with course.member.alone():
                    course.measure()
        for course in courses:
            with course.member.alone():
                course.show()
        for ended in (*(course.member.ended for course in courses), stop):
            if isinstance(ended, BaseException) and not isinstance(ended, (Exception, TimedOut)):
                raise ended
    outcomes = [course.outcome for course in courses]
    if len(courses) > 1 and all(isinstance(outcome, Exception) and out_of_memory(outcome) for outcome in outcomes):
        _train_in_halves(courses, "out of memory as one program")
    if again := [course for course in courses if isinstance(course.outcome, NotFiniteError)]:
        _train_in_halves(again, str(again[0].outcome))


def _fit(courses: Sequence[Course]) -> None:
    """The outcomes of those that can be started; an error of what they share is that of each."""
    form = courses[0].record.memory_format or faster_format(courses[0].plan)
    for course in courses:
        course.record = replace(course.record, memory_format=form)
        with course.member.alone():
            course.start()
    started = [course for course in courses if course.member.ended is None]
    if not started:
        return
    plan = started[0].plan
    _say_what_is_short(plan, len(started))
    outcomes: Sequence[Fitted | Exception]
    with started[0].progress.training(plan) as bar, cooperative():
        callbacks = [Watch(course.held for course in started), *([Moving(bar)] if bar else [])]
        trainings = [course.training() for course in started]
        try:
            outcomes = fit(trainings, lambda index, history: started[index].epoch(history), callbacks)
        except Exception as error:
            outcomes = [error] * len(started)
    for course, outcome in zip(started, outcomes, strict=True):
        course.outcome = outcome


def _of_memory(plan: Plan) -> FailureError:
    """What torch says in a paragraph of a GPU's memory that ran out: the figures that a user can do something about."""
    there = gpu().memory_bytes if plan.place.kind == "cuda" else machine.memory().total
    return FailureError(
        f"out of memory: training needs {memory(plan.memory_bytes)} at the least, {plan.place.name} has "
        f"{memory(there)}, which other processes may use too; take a smaller width or train.batch_size"
    )


def _train_in_halves(courses: Sequence[Course], why: str) -> None:
    """Train those again from their last checkpoints, in two programs, that cannot be trained as one: `why`.

    Runs that are not finite come apart so from those that made them so, and in the end are alone with what is theirs.
    """
    members = [course.member for course in courses]
    how = f"{len(members)} runs are tried again in two programs" if members[1:] else "tried again alone"
    for course in courses:
        assert isinstance(course.outcome, BaseException)
        clear_frames(course.outcome.__traceback__)  # which hold what filled the memory
        with about(course.folder.log_file):
            log.info("%s; %s", why, how)
        course.member.earlier, course.member.ended = course.record, None
    gc.collect()
    torch.cuda.empty_cache()
    for half in (members[: len(members) // 2], members[len(members) // 2 :]):
        train_and_test(half)


def _limit(courses: Sequence[Course]) -> Limit:
    """The time that the runs have, all of them at once."""
    seconds = courses[0].plan.config.timeout

    def last_words() -> None:
        for course in courses:
            with suppress(Exception):
                course.folder.end_record(Status.TIMEOUT, reason(seconds or 0))

    return Limit(seconds, [course.folder.log_file for course in courses], last_words)


def _say_what_is_short(plan: Plan, count: int) -> None:
    """A remark where other processes have the memory that training `count` such runs needs."""
    free, needed = machine.memory().available, count * plan.memory_bytes
    if plan.place.kind != "cuda" and needed > free:
        log.warning("training needs %s, and %s are free now", memory(needed), memory(free))


def _first_record(plan: Plan, earlier: Record | None, saved: Saved, fused: int) -> Record:
    """The record of a run that starts, or goes on from where the attempt ended whose record is `earlier`.

    `fused` runs train together; where training goes on, the largest number counts, since times are sums.
    """
    facts = plan.facts()
    before = (earlier.fused if earlier else None) or 1
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
        fused=fused if saved.position == (0, 0) else max(fused, before),
        started=(earlier.started if earlier else None) or provenance.now(),
    )


def faster_format(plan: Plan) -> str:
    """The memory format in which a step of `plan` takes less time on its CUDA device.

    Where it cannot be measured, for want of memory say, it is channels_last, which is logged.
    """
    from dsbench.measure.memory_format import faster
    from dsbench.measure.store import Store
    from dsbench.measure.subject import StepRecipe, Subject

    subject = Subject(plan.network, plan.place.compute(), StepRecipe.of(plan.config.optimizer, plan.config.train))
    try:
        return faster(subject, Store(plan.folder.outputs / "latency"))
    except Exception as error:  # whatever goes wrong here, the run can do without
        log.warning("which memory format is faster could not be measured, it is channels_last: %s", first_line(error))
        log.debug("measuring ended with an error", exc_info=True)
        return "channels_last"


class Watch(Callback):
    """Between steps: ends training where other processes have taken the runs over, or where this one is asked to stop.

    The latter with a checkpoint of the step; Lightning calls callbacks that write checkpoints last. Of several runs one
    that is lost trains on for nothing until it would write a checkpoint, for which Training.permit asks.
    """

    def __init__(self, held: Iterable[Held]) -> None:
        self.held = list(held)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Mostly one look at the clock."""
        for held in [*self.held]:
            try:
                held.check()
            except LostLeaseError:
                self.held.remove(held)
                if not self.held:
                    raise
        if stop_request() is not None:
            for callback in trainer.checkpoint_callbacks:
                assert isinstance(callback, Checkpoints)
                callback.save_within_epoch(trainer, pl_module)
            raise_if_asked_to_stop()


class Moving(Callback):
    """Moves `bar` with each step."""

    def __init__(self, bar: Bar) -> None:
        self.bar = bar

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show that an epoch starts."""
        self._show(pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show that steps are done."""
        self._show(pl_module)

    def _show(self, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        self.bar.step(pl_module.current_epoch, pl_module.train_pass.done, pl_module.spent()[1])


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
    interrupted = isinstance(error, (Interrupted, KeyboardInterrupt, SystemExit, NotFiniteError))
    return Status.INTERRUPTED if interrupted else Status.FAILED
