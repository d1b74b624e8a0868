"""Hydra jobs handed to a scheduler, on this machine or others: each one's end is told apart, and none ends the rest."""

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

from dsbench.errors import first_line
from dsbench.process import wait_briefly
from dsbench.run.progress import terminal
from dsbench.run.signals import Interrupted
from dsbench.sweep.jobs import Call, Calls
from dsbench.sweep.local import failed
from dsbench.sweep.view import labels


class Away:
    """A job in a process that the sweep has not started: without its scratch folder, its view, its channel."""

    def __init__(self, call: Call) -> None:
        self.call = call

    def __call__(self) -> JobReturn:
        """Run the job; a signal that ends the run is how it ended, and the process stays well."""
        wait_briefly()
        with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
            os.environ["DSBENCH_HYDRA_DIR"] = scratch
            try:
                return self.call()
            except Interrupted as error:
                return failed(self.call.config, RuntimeError(str(error)))

    def checkpoint(self) -> Any:
        """What submitit hands in where SLURM preempts the job or its time is over: the same, which goes on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


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
    """Run the jobs on `cluster`; returns how each ended, in order. One that dies is handed in again `retries` times.

    Results and data must lie where every machine finds them under the same path.
    """
    threads = cluster.cpus_per_task
    calls = Calls(hydra_context, task_function, config, job_overrides, initial_job_idx, threads, _settle_paths)
    tries = [1 + (OmegaConf.select(config, "retries") or 0)] * len(calls)
    called, console = labels(job_overrides), terminal()
    returned: dict[int, JobReturn] = {}
    waiting, running, done = deque(range(len(calls))), dict[Any, int](), 0
    console.print(f"{len(calls)} jobs handed to {cluster}", soft_wrap=True)
    try:
        while waiting or running:
            count = len(waiting) if cluster.at_once is None else cluster.at_once - len(running)
            chosen = [waiting.popleft() for _ in range(min(count, len(waiting)))]
            if chosen:
                running |= zip(cluster.submit([Away(calls[i]) for i in chosen]), chosen, strict=True)
            for job in cluster.ended(list(running)):
                index = running.pop(job)
                tries[index] -= 1
                try:
                    returned[index], again = cluster.outcome(job), False
                except Exception as error:  # of the process, or of the machine
                    returned[index], again = failed(calls[index].config, error), tries[index] > 0
                if again:
                    waiting.append(index)
                done += not again
                line = f"[{done}/{len(calls)}] {called[index]}: {_how(returned[index], again)}"
                console.print(line, soft_wrap=True, markup=False)
    except BaseException:
        cluster.cancel(list(running))
        raise
    return [returned[index] for index in range(len(calls))]


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
