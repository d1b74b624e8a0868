"""The jobs of one launch: Hydra jobs, each with its configuration, sent to the processes that run them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from dsbench.config.compose import composed_choices, keep_choices, typed
from dsbench.errors import InputError
from dsbench.process import end_quickly, scratch_for_hydra, wait_briefly
from dsbench.run.interrupts import Interrupted, TimedOut
from dsbench.run.outcome import Ended, ProcessDiedError
from dsbench.run.record import FINAL
from dsbench.sweep.composition import Composer

_KEPT = 256  # composed jobs, more than run at once


@dataclass(frozen=True, eq=False)
class Job:
    """What to run: a configuration, and pickled in `shared` what all jobs of the launch have in common."""

    number: int
    """Its place in the launch, from 0."""
    config: DictConfig
    shared: bytes

    def __call__(self) -> JobReturn:
        """Run it in this process; returns its outcome, also where a signal or its time limit has ended it."""
        hydra_context, task_function, state, choices = cloudpickle.loads(self.shared)
        Singleton.set_state(state)
        keep_choices(choices)
        setup_globals()
        try:
            returned = run_job(
                hydra_context=hydra_context,
                task_function=task_function,
                config=self.config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
        except (Interrupted, TimedOut) as error:
            returned = self.ended(Ended("timeout" if isinstance(error, TimedOut) else "interrupted", str(error)))
        if is_ours(task_function):
            returned.cfg = returned.hydra_cfg = None  # a third of a megabyte, which nothing of dsbench's reads
        return returned

    def ended(self, ended: Ended) -> JobReturn:
        """The outcome for Hydra of a job that returned none itself, by how its run has ended."""
        if ended.status in FINAL:
            return self._return(JobStatus.COMPLETED, None)
        return self.failed(ProcessDiedError(ended))

    def failed(self, error: Exception) -> JobReturn:
        """The outcome for Hydra of a job that `error` has ended."""
        return self._return(JobStatus.FAILED, error)

    def _return(self, status: JobStatus, value: Exception | None) -> JobReturn:
        overrides = OmegaConf.to_container(self.config.hydra.overrides.task)
        returned = JobReturn(overrides=overrides, cfg=self.config, status=status)  # type: ignore[arg-type]
        returned.return_value = value
        return returned


def run_elsewhere(job: Job) -> JobReturn:
    """Run the job in a process that the sweep has not started, perhaps on another machine, with files of its own."""
    wait_briefly()
    end_quickly()
    with scratch_for_hydra():
        return job()


class Jobs(Sequence[Job]):
    """The jobs that `overrides` list, each composed when it is asked for: of thousands few are needed at a time.

    Each has `threads` where it names none and, with `absolute`, the folders of results and data as seen from this
    machine's current folder. Hydra is set up in this process for them.
    """

    def __init__(
        self,
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
        overrides: Sequence[Sequence[str]],
        first: int,
        threads: int,
        absolute: bool = False,
    ) -> None:
        """`config` is the sweep's own configuration, `first` the number that Hydra gives the first job."""
        setup_globals()
        configure_log(config.hydra.hydra_logging, config.hydra.verbose)
        self.overrides, self._ours = overrides, is_ours(task_function)
        self._first, self._threads, self._absolute = first, threads, absolute
        self._shared = cloudpickle.dumps((hydra_context, task_function, Singleton.get_state(), composed_choices()))
        loader = hydra_context.config_loader
        self._compose = Composer(lambda overrides: loader.load_sweep_config(config, overrides), loader)
        self._job = lru_cache(_KEPT)(self._composed)

    def __len__(self) -> int:
        return len(self.overrides)

    def __getitem__(self, number: int) -> Job:  # type: ignore[override]  # no slices
        return self._job(number)

    def __iter__(self) -> Iterator[Job]:
        return map(self._job, range(len(self)))

    def folders(self, number: int) -> list[Path]:
        """Where the runs of a job are recorded, one or those of a group; none where it is no job of dsbench's."""
        if not self._ours:
            return []
        from dsbench.run.plan import plan, with_seed  # which no process of a job needs for another application

        config = self[number].config
        try:
            first = plan(typed(config, config.hydra.runtime.choices, config.hydra.overrides.task))
        except InputError:
            return []
        return [with_seed(first, seed).folder.path for seed in first.seeds]

    def _composed(self, number: int) -> Job:
        config = self._compose(self.overrides[number])
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = self._first + number
            if "threads" in config and config.threads is None:
                config.threads = self._threads
            for key in ("outputs", "data.root") if self._absolute else ():
                if OmegaConf.select(config, key) is not None:
                    OmegaConf.update(config, key, str(Path(OmegaConf.select(config, key)).absolute()))
        return Job(number, config, self._shared)


def is_ours(task_function: TaskFunction) -> bool:
    """Whether the jobs are dsbench's runs and not those of another Hydra application."""
    return task_function.__module__.startswith("dsbench.")
