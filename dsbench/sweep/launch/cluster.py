"""A Hydra job in a process of somebody else's, which outlives whatever ends the run."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, Protocol

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from dsbench import provenance
from dsbench.config.compose import typed
from dsbench.console import terminal
from dsbench.errors import FailureError, InputError, first_line
from dsbench.process import wait_briefly
from dsbench.run.interrupts import Interrupted, TimedOut, insist, undisturbed
from dsbench.run.outcome import Fate, ProcessDiedError, recorded
from dsbench.run.plan import plan
from dsbench.sweep.launch.jobs import Call, Calls
from dsbench.sweep.launch.local import ended_so, failed
from dsbench.sweep.view import labels


class Away:
    """A job in a process that the sweep has not started: without its scratch folder, its view, its channel."""

    def __init__(self, call: Call) -> None:
        self.call = call

    def __call__(self) -> JobReturn:
        """Run the job; a signal or a limit that ends the run is how it ended, and the process stays well."""
        wait_briefly()
        with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
            os.environ["DSBENCH_HYDRA_DIR"] = scratch
            try:
                return self.call()
            except (Interrupted, TimedOut) as error:
                status = "timeout" if isinstance(error, TimedOut) else "interrupted"
                return failed(self.call.config, ProcessDiedError(Fate(status, str(error))))

    def checkpoint(self) -> Any:
        """What submitit hands in where SLURM preempts the job or its time is over: the same, which goes on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


_TAKEN = ("killed", "interrupted")  # from the run by others: the sweep has not asked it to stop, its cluster has


class Cluster(Protocol):
    """Where jobs are handed in. A job is known by what `submit` returns for it."""

    cpus_per_task: int
    at_once: int | None

    def submit(self, calls: Sequence[Away]) -> Sequence[Hashable]:
        """Hand in jobs, at most `at_once` of which are there at a time."""

    def ended(self, jobs: Sequence[Any]) -> Sequence[Any]:
        """Wait a moment; returns those of `jobs` that have ended."""

    def outcome(self, job: Any) -> JobReturn:
        """How a job that has ended did. Raises where its process died without saying."""

    def cancel(self, jobs: Sequence[Any]) -> None:
        """Stop jobs, those that run and those that wait."""


def launch(
    cluster: Cluster,
    hydra_context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    initial_job_idx: int,
) -> list[JobReturn]:
    """Run the jobs on `cluster`; returns how each ended, in order. One that dies, or that the
    cluster wants to stop, is handed in again `retries` times.

    Results and data must lie where every machine finds them under the same path.
    """
    threads = cluster.cpus_per_task
    calls = Calls(hydra_context, task_function, config, job_overrides, initial_job_idx, threads, _settle_paths)
    return HandedIn(cluster, calls, labels(job_overrides), OmegaConf.select(config, "retries") or 0).run()


class HandedIn:
    """The jobs of one launch, by their numbers: those that wait, that run, and what came of the others."""

    def __init__(self, cluster: Cluster, calls: Sequence[Call], called: Sequence[str], retries: int) -> None:
        self.cluster, self.calls, self.since = cluster, calls, provenance.now()
        self._waiting, self._running = deque(range(len(calls))), dict[Any, int]()
        self._tries = [1 + retries] * len(calls)
        self._returned: dict[int, JobReturn] = {}
        self._called, self._console = called, terminal()

    def run(self) -> list[JobReturn]:
        """Have all of them run; returns how each ended, in order."""
        self._console.print(f"{len(self.calls)} jobs handed to {self.cluster}", soft_wrap=True)
        try:
            while self._waiting or self._running:
                insist()
                self._hand_in()
                for job in self.cluster.ended(list(self._running)):
                    self._take_up(job)
        except BaseException:
            self.cluster.cancel(list(self._running))
            raise
        return [self._returned[index] for index in range(len(self.calls))]

    def _hand_in(self) -> None:
        at_once = self.cluster.at_once
        count = len(self._waiting) if at_once is None else at_once - len(self._running)
        chosen = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
        if not chosen:
            return
        first = not (self._running or self._returned)
        try:
            with undisturbed():  # a job that is not among those that run would not be cancelled
                jobs = self.cluster.submit([Away(self.calls[index]) for index in chosen])
                self._running |= zip(jobs, chosen, strict=True)
        except FailureError as error:
            if first:
                raise
            for index in chosen:  # the others go on
                self._ended(index, failed(self.calls[index].config, error))

    def _take_up(self, job: Any) -> None:
        index = self._running.pop(job)
        self._tries[index] -= 1
        config = self.calls[index].config
        try:
            returned = self.cluster.outcome(job)
        except Exception as error:  # of the process, or of the machine
            found, folder = Fate("killed", first_line(error)), _folder(config)
            returned = ended_so(found if folder is None else recorded(folder, found, self.since), config)
        how = returned._return_value
        taken = isinstance(how, ProcessDiedError) and how.fate.status in _TAKEN
        self._ended(index, returned, taken and self._tries[index] > 0)

    def _ended(self, index: int, returned: JobReturn, again: bool = False) -> None:
        self._returned[index] = returned
        if again:
            self._waiting.append(index)
        done = len(self._returned.keys() - {*self._waiting, *self._running.values()})
        line = f"[{done}/{len(self.calls)}] {self._called[index]}: {_how(returned, again)}"
        self._console.print(line, soft_wrap=True)


def _folder(config: DictConfig) -> Path | None:
    """Where the run of a job is recorded; None for a job that is no run."""
    try:
        return plan(typed(config, config.hydra.runtime.choices, config.hydra.overrides.task)).folder.path
    except InputError:
        return None


def _how(job: JobReturn, again: bool) -> str:
    if job.status == JobStatus.COMPLETED:
        return "ended"
    return f"{'handed in again' if again else 'failed'}: {first_line(job._return_value)}"


def _settle_paths(config: DictConfig) -> None:
    """Make the folders of results and data those of this machine's current folder and environment."""
    with open_dict(config):
        for key in ("outputs", "data.root"):
            if OmegaConf.select(config, key) is not None:
                OmegaConf.update(config, key, str(Path(OmegaConf.select(config, key)).absolute()))
