"""Hydra jobs in processes of this machine: as many at once as fit, each with threads and a GPU of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from dsbench.config.compose import known_choices, take_over
from dsbench.process import wait_briefly
from dsbench.run.status import FINAL
from dsbench.sweep import server
from dsbench.sweep.composition import Composer
from dsbench.sweep.fate import Begun, Fate, ProcessDiedError, fate
from dsbench.sweep.pool import Pool
from dsbench.sweep.slots import slots
from dsbench.sweep.task import Ended, Task
from dsbench.sweep.view import View

PRELOAD = ["dsbench.sweep.preload"]  # by the server that the processes of dsbench's own runs are forked from


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
    calls = composed_calls(hydra_context, task_function, config, job_overrides, initial_job_idx, places.threads)
    configs = [call.config for call in calls]
    share_wandb_service(configs)
    view = View(configs, places)
    tries = [1 + (_given(config, "retries") or 0)] * len(configs)
    returned: list[JobReturn | None] = [None] * len(configs)
    begun: dict[int, Begun] = {}

    def task(index: int) -> Task:
        return Task(index, cloudpickle.dumps(calls[index]))

    def limit(number: int, run: Begun) -> None:
        begun[number] = run
        pool.limit(number, run.backstop_seconds)

    def started(number: int) -> None:
        limit(number, Begun(None, _given(configs[number], "timeout")))
        view.started(number)

    def told(number: int, event: dict[str, Any]) -> None:
        if event["kind"] == "started":
            limit(number, Begun(Path(event["folder"]), _given(configs[number], "timeout")))
        elif event["kind"] == "waiting":  # as long as the other one takes
            limit(number, Begun(None, None))
        view.told(number, event)

    def ended(one: Ended) -> Task | None:
        tries[one.number] -= 1
        run, job, again = begun.pop(one.number), one.result, False
        if isinstance(job, Exception):  # what was returned cannot be made here
            job = failed(configs[one.number], job)
        if not one.returned:
            found = fate(one.exitcode, run)
            job = ended_so(found, configs[one.number])
            again = found.status == "killed" and tries[one.number] > 0
        returned[one.number] = job
        view.ended(one.number, job, again)
        return task(one.number) if again else None

    with view:
        preload = PRELOAD if _is_ours(task_function) else []
        environments = [{**os.environ, **own} for own in places.environments]  # the server's may be an older one
        pool = Pool(environments, preload, started, told, ended, view.refresh)
        pool.run(task(index) for index in range(len(configs)))
    return [one for one in returned if one is not None]


def warm_up() -> None:
    """Begin what `launch` needs and takes seconds to import, beside whatever this process does before."""
    server.begin(multiprocessing.get_context("forkserver"), PRELOAD)


def composed_calls(
    hydra_context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    initial_job_idx: int,
    threads: int,
) -> list[Call]:
    """The jobs, composed, each with `threads` where it names none; Hydra is set up in this process for them."""
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    shared = cloudpickle.dumps((hydra_context, task_function, Singleton.get_state(), known_choices()))
    loader = hydra_context.config_loader
    compose = Composer(lambda overrides: loader.load_sweep_config(config, overrides), loader)
    calls = []
    for index, overrides in enumerate(job_overrides):
        one = compose(overrides)
        with open_dict(one):
            one.hydra.job.id = one.hydra.job.num = initial_job_idx + index
            if "threads" in one and one.threads is None:
                one.threads = threads
        calls.append(Call(shared, one))
    return calls


class Call:
    """One job, as it goes to its process."""

    def __init__(self, shared: bytes, config: DictConfig) -> None:
        self.shared, self.config = shared, config

    def __call__(self) -> JobReturn:
        hydra_context, task_function, state, choices = cloudpickle.loads(self.shared)
        Singleton.set_state(state)
        take_over(choices)
        setup_globals()
        job = run_job(
            hydra_context=hydra_context,
            task_function=task_function,
            config=self.config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        if _is_ours(task_function):
            job.cfg = job.hydra_cfg = None  # a third of a megabyte, which nothing of dsbench's reads
        return job


def _is_ours(task_function: TaskFunction) -> bool:
    return task_function.__module__.startswith("dsbench.")


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
