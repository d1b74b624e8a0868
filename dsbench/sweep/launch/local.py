"""Hydra jobs in processes of this machine: as many at once as fit, each with threads and a GPU of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from dsbench.process import wait_briefly
from dsbench.run.outcome import Begun, Fate, ProcessDiedError, fate
from dsbench.run.record import FINAL
from dsbench.sweep.axes import key
from dsbench.sweep.launch import pool
from dsbench.sweep.launch.jobs import Calls, is_ours
from dsbench.sweep.launch.pool import Ended, Pool, Task
from dsbench.sweep.launch.workers import slots
from dsbench.sweep.view import View

PRELOAD = ["dsbench.sweep.launch.preload"]  # by the server that the processes of dsbench's own runs are forked from


def launch(
    hydra_context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    initial_job_idx: int,
) -> list[JobReturn]:
    """Run the jobs, each through Hydra's run_job in a process of its own; returns how each ended, in order.

    `n_jobs`, `threads` and `retries` are read from `config` where it has them, `timeout` from a job's.
    """
    wait_briefly()
    n_jobs, threads, device = (_given(config, name) for name in ("n_jobs", "threads", "device"))
    places = slots(len(job_overrides), n_jobs, threads, device or "auto")
    calls = Calls(hydra_context, task_function, config, job_overrides, initial_job_idx, places.threads)
    share_wandb_service([calls[number].config for number in _one_a_logger(job_overrides)])
    view = View(job_overrides, places)
    tries = [1 + (_given(config, "retries") or 0)] * len(calls)
    returned: list[JobReturn | None] = [None] * len(calls)
    begun: dict[int, Begun] = {}

    def task(index: int) -> Task:
        return Task(index, cloudpickle.dumps(calls[index]))

    def limit(number: int, run: Begun) -> None:
        begun[number] = run
        workers.limit(number, run.backstop_seconds)

    def started(number: int) -> None:
        limit(number, Begun(None, _given(calls[number].config, "timeout")))
        view.started(number)

    def told(number: int, event: dict[str, Any]) -> None:
        if event["kind"] == "started":
            limit(number, Begun(Path(event["folder"]), _given(calls[number].config, "timeout")))
        elif event["kind"] == "waiting":  # as long as the other one takes
            limit(number, Begun(None, None))
        view.told(number, event)

    def ended(one: Ended) -> Task | None:
        tries[one.number] -= 1
        run, job, again = begun.pop(one.number), one.result, False
        if isinstance(job, Exception):  # what was returned cannot be made here
            job = failed(calls[one.number].config, job)
        if not one.returned:
            found = fate(one.exitcode, run)
            job = ended_so(found, calls[one.number].config)
            again = found.status == "killed" and tries[one.number] > 0
        returned[one.number] = job
        view.ended(one.number, job, again)
        return task(one.number) if again else None

    with view:
        preload = PRELOAD if is_ours(task_function) else []
        environments = [{**os.environ, **own} for own in places.environments]  # the server's may be an older one
        workers = Pool(environments, preload, started, told, ended, view.refresh)
        workers.run(task(index) for index in range(len(calls)))
    return [one for one in returned if one is not None]


def warm_up() -> None:
    """Begin what `launch` needs and takes seconds to import, beside whatever this process does before."""
    pool.begin(multiprocessing.get_context("forkserver"), PRELOAD)


def _one_a_logger(job_overrides: Sequence[Sequence[str]]) -> Iterable[int]:
    """The number of a job for each choice of logger."""
    chosen = (tuple(one for one in job if key(one).split(".")[0] == "logger") for job in job_overrides)
    return {logger: number for number, logger in enumerate(chosen)}.values()


def failed(config: DictConfig, error: Exception) -> JobReturn:
    """What is known of a job that did not come to its end."""
    return _job(config, JobStatus.FAILED, error)


def ended_so(found: Fate, config: DictConfig) -> JobReturn:
    """What Hydra is told of a job whose process died."""
    return _job(config, JobStatus.COMPLETED, None) if found.status in FINAL else failed(config, ProcessDiedError(found))


def _job(config: DictConfig, status: JobStatus, value: Any) -> JobReturn:
    overrides = OmegaConf.to_container(config.hydra.overrides.task)
    job = JobReturn(overrides=overrides, cfg=config, status=status)  # type: ignore[arg-type]
    job.return_value = value
    return job


def share_wandb_service(configs: Sequence[DictConfig]) -> None:
    """Start W&B's service once, here, for the processes of the jobs that use it: it is in their environment.

    Each would start its own else, which takes half of what an offline run costs.
    """
    loggers = [config.logger for config in configs if OmegaConf.select(config, "logger.name") == "wandb"]
    modes = [logger.mode for logger in loggers if logger.mode != "disabled"]
    if modes:
        import wandb

        from dsbench.tracking.wandb import say_mode

        os.environ.setdefault("WANDB_SILENT", "true")
        say_mode(modes[0])
        wandb.setup()


def _given(config: DictConfig, key: str) -> Any:
    return OmegaConf.select(config, key) if key in config else None
