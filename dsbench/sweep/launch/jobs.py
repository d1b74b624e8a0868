"""The jobs of one launch as they go to the processes that run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from dsbench.config.compose import composed_choices, keep_choices
from dsbench.sweep.composition import Composer

_KEPT = 256  # composed jobs, more than run at once


class Call:
    """One job, as it goes to its process; `shared` is what all jobs of a launch have in common, pickled."""

    def __init__(self, shared: bytes, config: DictConfig) -> None:
        self.shared, self.config = shared, config

    def __call__(self) -> JobReturn:
        hydra_context, task_function, state, choices = cloudpickle.loads(self.shared)
        Singleton.set_state(state)
        keep_choices(choices)
        setup_globals()
        job = run_job(
            hydra_context=hydra_context,
            task_function=task_function,
            config=self.config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        if is_ours(task_function):
            job.cfg = job.hydra_cfg = None  # a third of a megabyte, which nothing of dsbench's reads
        return job


class Calls(Sequence[Call]):
    """The jobs that `overrides` list, each composed when it is asked for: of thousands few are needed at a time.

    Each has `threads` where it names none; `settle` changes what else there is to change in a job's configuration.
    Hydra is set up in this process for them.
    """

    def __init__(
        self,
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
        overrides: Sequence[Sequence[str]],
        first: int,
        threads: int,
        settle: Callable[[DictConfig], None] = lambda config: None,
    ) -> None:
        """`config` is the sweep's own configuration, `first` the number of its first job."""
        setup_globals()
        configure_log(config.hydra.hydra_logging, config.hydra.verbose)
        self.overrides = overrides
        self._first, self._threads, self._settle = first, threads, settle
        self._shared = cloudpickle.dumps((hydra_context, task_function, Singleton.get_state(), composed_choices()))
        loader = hydra_context.config_loader
        self._compose = Composer(lambda overrides: loader.load_sweep_config(config, overrides), loader)
        self._call = lru_cache(_KEPT)(self._composed)

    def __len__(self) -> int:
        return len(self.overrides)

    def __getitem__(self, index: int) -> Call:  # type: ignore[override]  # no slices
        return self._call(index)

    def __iter__(self) -> Iterator[Call]:
        return map(self._call, range(len(self)))

    def _composed(self, index: int) -> Call:
        config = self._compose(self.overrides[index])
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = self._first + index
            if "threads" in config and config.threads is None:
                config.threads = self._threads
        self._settle(config)
        return Call(self._shared, config)


def is_ours(task_function: TaskFunction) -> bool:
    """Whether the jobs are dsbench's runs and not those of another Hydra application."""
    return task_function.__module__.startswith("dsbench.")
