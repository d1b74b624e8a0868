"""Runs as tasks of Ray."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from hydra.core.utils import JobReturn

from dsbench.errors import InputError, first_line
from dsbench.process import short_folder
from dsbench.run.outcome import Ended
from dsbench.sweep.launch.backend import Backend
from dsbench.sweep.launch.job import Job, run_elsewhere

_WAIT_SECONDS = 0.5


class Ray(Backend):
    """The cluster at `address`, or a Ray of this machine's own; it starts tasks as its CPUs and GPUs allow.

    Each run has a process of its own.
    """

    needs = ("ray", "ray")

    def __init__(self, address: str | None, cpus_per_task: int, gpus_per_task: float) -> None:
        self.address, self.threads, self.gpus_per_task = address, cpus_per_task, gpus_per_task

    def __str__(self) -> str:
        return "Ray"

    def __enter__(self) -> Ray:
        """Raises InputError where there is no cluster, or this machine is too small for a run."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray announces in a warning that it will be 0
        os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default, which starves runs beside any other process
        os.environ.setdefault("RAY_TMPDIR", short_folder())  # where it has its sockets
        import ray

        self.ray = ray
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        options |= {} if self.address else {"include_dashboard": False}
        try:
            ray.init(self.address or "local", **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            why = first_line(error)
            raise InputError(f"hydra.launcher.address={self.address}: no Ray to connect to: {why}") from error
        try:
            if not self.address:  # a cluster may grow
                self._check_size(ray.cluster_resources())
        except InputError:
            ray.shutdown()
            raise
        # A task whose process dies is started again by the sweep: Ray could not say that it was.
        once: dict[str, Any] = {"max_retries": 0, "max_calls": 1}
        self._task = ray.remote(num_cpus=self.threads, num_gpus=self.gpus_per_task, **once)(run_elsewhere)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.ray.shutdown()

    def _check_size(self, there: Mapping[str, float]) -> None:
        sizes = (("CPU", "cpus_per_task", self.threads), ("GPU", "gpus_per_task", self.gpus_per_task))
        for kind, key, count in sizes:
            if count > there.get(kind, 0):
                raise InputError(f"hydra.launcher.{key}={count}: this machine has {there.get(kind, 0):g} {kind}s")

    def start(self, jobs: Sequence[Job]) -> list[Any]:
        """Hand in jobs."""
        return [self._task.remote(job) for job in jobs]

    def poll(self, running: Sequence[Any]) -> list[tuple[Any, JobReturn | Ended]]:
        """Wait a moment; returns the tasks that have ended, and how."""
        time.sleep(_WAIT_SECONDS)
        return [(task, self._end_of(task)) for task in self._ready(running)]

    def _end_of(self, task: Any) -> JobReturn | Ended:
        try:
            return self.ray.get(task)
        except Exception as error:  # of the process, or of the machine
            return Ended("killed", first_line(error))

    def end(self, running: Sequence[Any], grace_seconds: float) -> None:
        """Interrupt what runs, as Ctrl-C would, and give it `grace_seconds`; what waits is dropped."""
        for task in running:
            with suppress(Exception):  # it may have ended by itself
                self.ray.cancel(task)
        deadline = time.monotonic() + grace_seconds
        while time.monotonic() < deadline and len(self._ready(running)) < len(running):
            time.sleep(_WAIT_SECONDS)

    def _ready(self, tasks: Sequence[Any]) -> list[Any]:
        if not tasks:
            return []
        try:
            return self.ray.wait(list(tasks), num_returns=len(tasks), timeout=0)[0]
        except SystemError as error:  # what Ray makes of a signal that comes within
            raise error.__cause__ or error from None
