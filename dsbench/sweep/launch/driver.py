"""A launch from its first job to its last, on any backend: retries, time limits, messages and results.

The backend (see dsbench.sweep.launch.backend) only starts jobs, asks how they are and ends them.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from dsbench import provenance
from dsbench.config.hydra_internals import returned_value
from dsbench.config.messages import one_line
from dsbench.config.overrides import key
from dsbench.errors import FailureError
from dsbench.run import interrupts
from dsbench.run.interrupts import deferred, raise_if_asked_to_stop
from dsbench.run.outcome import Ended, ProcessDiedError, recorded_end
from dsbench.run.record import FINAL
from dsbench.sweep.launch.backend import Backend
from dsbench.sweep.launch.job import Job, Jobs
from dsbench.sweep.launch.view import Board, Lines, View, labels

log = logging.getLogger("dsbench")


@dataclass
class RunningJob:
    """A job that a backend has started: where its run is recorded, of a group one, and how long it may still take."""

    job: Job
    folder: Path | None = None
    timeout_seconds: float | None = None
    _since: float = field(default_factory=time.monotonic)

    def limit(self, folder: Path | None, timeout_seconds: float | None) -> None:
        """Give the run in `folder` so many seconds from now on."""
        self.folder, self.timeout_seconds, self._since = folder, timeout_seconds, time.monotonic()

    def late(self, grace_seconds: float = 0.0) -> bool:
        """Whether its time, and `grace_seconds` more, are over."""
        seconds = self.timeout_seconds
        return seconds is not None and time.monotonic() - self._since > seconds + grace_seconds


def launch(
    backend: Backend,
    hydra_context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    initial_job_idx: int,
    board: Board | None = None,
) -> list[JobReturn]:
    """Run the jobs on `backend`, each through Hydra's run_job; returns how each ended, in order.

    `board` says what they are, where that is known. `retries` is read from the sweep's `config` where it has it,
    `timeout` from a job's.
    """
    jobs = Jobs(
        hydra_context, task_function, config, job_overrides, initial_job_idx, backend.threads, not backend.watched
    )
    if backend.watched:  # the service listens on this machine
        of_each_logger = {
            tuple(override for override in overrides if key(override).split(".")[0] == "logger"): number
            for number, overrides in enumerate(job_overrides)
        }
        share_wandb_service([jobs[number].config for number in of_each_logger.values()])
    own = ("seed", "together")
    cells = [tuple(override for override in overrides if key(override) not in own) for overrides in job_overrides]
    return Launch(backend, jobs, labels(job_overrides), _selected(config, "retries") or 0, cells, board).run()


class Launch:
    """The jobs of one launch, by their numbers: those that wait, those that run, and the results of the others.

    A job whose process dies is tried again, up to `retries` times; so is a job that a cluster has interrupted without
    being asked.
    """

    def __init__(
        self,
        backend: Backend,
        jobs: Jobs,
        labels: Sequence[str],
        retries: int,
        cells: Sequence[Hashable] | None = None,
        board: Board | None = None,
    ) -> None:
        """Jobs of equal `cells` differ in their seeds alone; None where no two do."""
        self.backend, self.jobs = backend, jobs
        at_once = backend.at_once or len(jobs)
        if backend.watched:
            self._view: Lines = View(labels, cells or labels, at_once, board=board)
        else:
            self._view = Lines(labels)
        self._retried = ("killed",) if backend.watched else ("killed", "interrupted")
        self._tries_left = [1 + retries] * len(jobs)
        self._waiting, self._running = deque(range(len(jobs))), dict[Any, RunningJob]()
        self._returned: dict[int, JobReturn] = {}
        self._started = provenance.now()

    def run(self) -> list[JobReturn]:
        """Have all of them run; returns how each ended, in order. What runs is ended where an exception ends this."""
        with self._view, self.backend:
            self._view.opened(str(self.backend))
            try:
                while self._waiting or self._running:
                    raise_if_asked_to_stop()
                    self._start()
                    for handle, news in self.backend.poll(list(self._running)):
                        if isinstance(news, Mapping):
                            self._take_event(self._running[handle], news)
                        else:
                            self._ended(self._running.pop(handle), news)
                    self._end_late()
                    self._view.refresh()
            except BaseException:
                self.backend.end(list(self._running), interrupts.GRACE_SECONDS)
                raise
        return [self._returned[number] for number in range(len(self.jobs))]

    def _start(self) -> None:
        at_once = self.backend.at_once
        count = len(self._waiting) if at_once is None else at_once - len(self._running)
        jobs = [self.jobs[self._waiting.popleft()] for _ in range(min(count, len(self._waiting)))]
        if not jobs:
            return
        first = not (self._running or self._returned)
        try:
            with deferred():  # a job that is not among those that run would not be ended
                started = self.backend.start(jobs)
                self._running |= {handle: RunningJob(job) for handle, job in zip(started, jobs, strict=True)}
        except FailureError as error:
            if first:
                raise
            for job in jobs:  # the others go on
                self._keep(job, job.failed(error), again=False)
            return
        for handle, job in zip(started, jobs, strict=True):
            if self.backend.watched:
                self._running[handle].limit(None, _selected(job.config, "timeout"))
            self._view.started(job.number)

    def _take_event(self, running: RunningJob, event: Mapping[str, Any]) -> None:
        if event["kind"] == "started":
            running.limit(Path(event["folder"]), _selected(running.job.config, "timeout"))
        elif event["kind"] == "waiting":  # as long as the other process takes
            running.limit(None, None)
        self._view.heard(running.job.number, event)

    def _ended(self, running: RunningJob, end: JobReturn | Ended) -> None:
        job = running.job
        self._tries_left[job.number] -= 1
        returned = job.ended(self._recorded_end(running, end)) if isinstance(end, Ended) else end
        error = returned_value(returned)
        retried = isinstance(error, ProcessDiedError) and error.ended.status in self._retried
        self._keep(job, returned, retried and self._tries_left[job.number] > 0)

    def _recorded_end(self, running: RunningJob, end: Ended) -> Ended:
        """How a job has ended whose process is gone: by its record or, where that does not say, `end`."""
        if running.late():
            end = Ended("timeout", interrupts.reason(running.timeout_seconds or 0))
        alone = not _selected(running.job.config, "together")
        folders = [running.folder] if running.folder and alone else self.jobs.folders(running.job.number)
        ends = [recorded_end(folder, end, self._started) for folder in folders]
        without = [each for each in ends if each.status not in FINAL]  # of a group some may have a result
        alike = [each for each in without if each.status == end.status]
        return next(iter(alike or without or ends), end)

    def _keep(self, job: Job, returned: JobReturn, again: bool) -> None:
        self._returned[job.number] = returned
        if again:
            self._waiting.append(job.number)
        self._view.ended(job.number, returned, again)

    def _end_late(self) -> None:
        """End the jobs that should long have ended by themselves."""
        late = [handle for handle, job in self._running.items() if job.late(3 * interrupts.GRACE_SECONDS)]
        if late:
            self.backend.end(late, 0.0)


def share_wandb_service(configs: Sequence[DictConfig]) -> None:
    """Start W&B's service once, in this process, for all jobs that use it: they find it by their environment.

    Otherwise each would start its own, half of the fixed time of an offline run. Where it does not start that is
    logged: runs are trained all the same. Where its server does not answer no job asks it again.
    """
    loggers = [config.logger for config in configs if OmegaConf.select(config, "logger.name") == "wandb"]
    if not loggers:
        return
    from dsbench.tracking import server
    from dsbench.tracking.wandb import reachable_mode

    modes = {server.mode(logger.mode) for logger in loggers} - {"disabled"}
    if modes:
        mode = reachable_mode(max(modes))
        if "online" in modes and mode == "offline":
            os.environ["WANDB_MODE"] = "offline"
        try:
            with server.own_environment(mode):
                import wandb

                wandb.setup()
        except Exception as error:  # of a tracker; the sweep goes on
            log.warning("W&B's service did not start, so each run tries by itself: %s", one_line(error))


def _selected(config: DictConfig, key: str) -> Any:
    return OmegaConf.select(config, key) if key in config else None
