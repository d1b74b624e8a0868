"""Runs as tasks of Ray."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from hydra.core.utils import JobReturn

from dsbench.errors import InputError, first_line
from dsbench.run.interrupts import GRACE_SECONDS
from dsbench.sweep.launch.cluster import Away

_WAIT_SECONDS = 0.5


class Ray:
    """A Ray instance, which starts tasks as its CPUs and GPUs allow; each run has a process of its own."""

    at_once = None

    def __init__(self, cpus_per_task: int, gpus_per_task: float) -> None:
        import ray

        self.ray, self.cpus_per_task = ray, cpus_per_task
        # The sweep itself hands in again what died: Ray could not say so.
        options: dict[str, Any] = {
            "num_cpus": cpus_per_task,
            "num_gpus": gpus_per_task,
            "max_retries": 0,
            "max_calls": 1,
        }
        self._task = ray.remote(**options)(_run)

    def __str__(self) -> str:
        return "Ray"

    def submit(self, calls: Sequence[Away]) -> list[Any]:
        """Hand in jobs."""
        return [self._task.remote(call) for call in calls]

    def ended(self, jobs: Sequence[Any]) -> list[Any]:
        """Wait a moment; returns those of `jobs` that have ended."""
        time.sleep(_WAIT_SECONDS)
        return self._ready(jobs)

    def outcome(self, job: Any) -> JobReturn:
        """How a job that has ended did; raises Ray's error where its process died."""
        return self.ray.get(job)

    def cancel(self, jobs: Sequence[Any]) -> None:
        """Interrupt what runs, as Ctrl-C would, and give it a few seconds; what waits is dropped."""
        for job in jobs:
            with suppress(Exception):  # it may have ended by itself
                self.ray.cancel(job)
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline and len(self._ready(jobs)) < len(jobs):
            time.sleep(_WAIT_SECONDS)

    def _ready(self, jobs: Sequence[Any]) -> list[Any]:
        if not jobs:
            return []
        try:
            return self.ray.wait(list(jobs), num_returns=len(jobs), timeout=0)[0]
        except SystemError as error:  # what Ray makes of a signal that comes within
            raise error.__cause__ or error from None


@contextmanager
def connected(address: str | None, cpus_per_task: int, gpus_per_task: float) -> Iterator[Ray]:
    """A connection to the cluster at `address`, or to a Ray instance that lives within on this machine.

    Raises InputError where there is no cluster, or this machine is too small for a run.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray announces in a warning that it will be 0
    os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default, which starves runs beside any other process
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    options |= {} if address else {"include_dashboard": False}
    try:
        ray.init(address or "local", **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"hydra.launcher.address={address}: no Ray to connect to: {first_line(error)}") from error
    try:
        if not address:  # a cluster may grow
            _check_size(ray.cluster_resources(), cpus_per_task, gpus_per_task)
        yield Ray(cpus_per_task, gpus_per_task)
    finally:
        ray.shutdown()


def _check_size(there: Mapping[str, float], cpus_per_task: int, gpus_per_task: float) -> None:
    for kind, key, wanted in (("CPU", "cpus_per_task", cpus_per_task), ("GPU", "gpus_per_task", gpus_per_task)):
        if wanted > there.get(kind, 0):
            raise InputError(f"hydra.launcher.{key}={wanted}: this machine has {there.get(kind, 0):g} {kind}s")


def _run(call: Away) -> JobReturn:
    return call()
