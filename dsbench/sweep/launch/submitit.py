"""Runs as jobs of submitit: of a SLURM array, or processes of this machine that are started as SLURM would."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn

from dsbench.errors import FailureError, InputError, first_line
from dsbench.machine import cores
from dsbench.numerals import counted
from dsbench.process import import_path, importing_alike, without_interrupts
from dsbench.run.interrupts import GRACE_SECONDS
from dsbench.run.lock import Owner, this_process
from dsbench.run.outcome import Ended
from dsbench.sweep.launch.backend import Backend, LaunchContext
from dsbench.sweep.launch.job import Job, run_elsewhere
from dsbench.sweep.launch.workers import Load, in_memory

_WAIT_SECONDS = {"local": 0.2, "slurm": 2.0}
_OF_SLURM = (
    *("partition", "account", "qos", "constraint", "array_parallelism", "setup", "additional_parameters"),
    *("time", "exclude", "comment", "gres"),
)


class _Task:
    """A job for submitit; on this machine it ends a few seconds after the sweep's process at the latest."""

    def __init__(self, job: Job, owner: Owner | None) -> None:
        """`owner` is the process with which it ends, if any."""
        self.job, self.owner = job, owner

    def __call__(self) -> JobReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # submitit would ignore it; a run makes a checkpoint and ends
        if self.owner is not None:
            threading.Thread(target=self._end_with, args=(self.owner,), daemon=True).start()
        return run_elsewhere(self.job)

    def checkpoint(self) -> Any:
        """What submitit hands in where SLURM preempts the job or its time is over: the same job, which goes on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _end_with(self, owner: Owner) -> None:
        while owner.runs():
            time.sleep(_WAIT_SECONDS["local"])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        _kill(os.getpid())


class Submitit(Backend):
    """submitit's executor for `cluster` (local or slurm); `folder` keeps what jobs print and what goes to them."""

    needs = ("submitit", "slurm")

    def __init__(self, folder: Path, cluster: str, loads: Sequence[Load] = (), **parameters: Any) -> None:
        """`parameters` are submitit's, those of SLURM without their prefix; None stands for the cluster's default."""
        self.cluster, self.folder, self.threads = cluster, folder, parameters["cpus_per_task"]
        if cluster == "local":
            self.at_once = min(max(1, cores() // self.threads), in_memory(loads, forked=False))
        self._parameters = parameters

    @classmethod
    def of(cls, context: LaunchContext, **options: Any) -> Submitit:
        """The executor with the options of its YAML file."""
        return cls(context.folder, loads=context.loads, **options)

    def __str__(self) -> str:
        where = "SLURM"
        if self.at_once is not None:
            where = f"{counted(self.at_once, 'process', 'processes')} of this machine at once"
        return f"{where}; what they say: {self.folder}"

    def __enter__(self) -> Submitit:
        """Raises InputError where there is no such cluster, or it takes no such parameter."""
        import submitit

        given = {key: value for key, value in self._parameters.items() if value not in (None, {}, [])}
        timeouts = {"slurm_max_num_timeout": given.pop("max_num_timeout")} if "max_num_timeout" in given else {}
        named = {f"slurm_{key}" if key in _OF_SLURM else key: value for key, value in given.items()}
        try:
            python = {f"{self.cluster}_python": _python()}
            self._executor = submitit.AutoExecutor(self.folder, cluster=self.cluster, **timeouts, **python)
            self._executor.update_parameters(name="dsbench", stderr_to_stdout=True, **named)
        except (RuntimeError, ValueError, TypeError, NameError, AssertionError) as error:
            raise InputError(f"hydra.launcher: submitit refuses: {first_line(error)}") from error
        return self

    def start(self, jobs: Sequence[Job]) -> list[Any]:
        """Hand in jobs, to SLURM as one array. Raises FailureError where that fails."""
        import submitit

        here = self.cluster == "local"
        owner = this_process() if here else None
        try:
            # on this machine the process that watches a job is one of submitit's own
            with without_interrupts() if here else nullcontext(), importing_alike(), self._executor.batch():
                return [self._executor.submit(_Task(job, owner)) for job in jobs]
        except submitit.core.utils.FailedJobError as error:
            raise FailureError(f"sbatch took no jobs: {' '.join(str(error).split())}") from error

    def poll(self, running: Sequence[Any]) -> list[tuple[Any, JobReturn | Ended]]:
        """Wait a moment; returns the jobs that have ended, and how."""
        ended = [job for job in running if job.done()]
        if not ended:
            time.sleep(_WAIT_SECONDS[self.cluster])
        return [(job, self._end_of(job)) for job in ended]

    def _end_of(self, job: Any) -> JobReturn | Ended:
        """The outcome of a job that has ended; its files are removed where it returned something."""
        import submitit

        died = Ended("killed", f"its process ended without a result ({job.state}); log: {job.paths.stdout}")
        if self.cluster == "local" and not job.paths.result_pickle.exists():
            return died  # submitit would wait 15 s for a slow disk
        try:
            returned = job.result()
        except submitit.core.utils.UncompletedJobError:
            return died
        except Exception as error:  # what the job has raised, or of the machine
            return Ended("killed", first_line(error))
        for path in self.folder.glob(f"{job.job_id}_*"):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # others have files there
            self.folder.rmdir()
        return returned

    def end(self, running: Sequence[Any], grace_seconds: float) -> None:
        """Interrupt jobs, and give them `grace_seconds` to record it."""
        for job in running:
            self._interrupt(job)
        deadline = time.monotonic() + grace_seconds
        while time.monotonic() < deadline and not all(job.done() for job in running):
            time.sleep(_WAIT_SECONDS["local"])
        if self.cluster == "local":  # SLURM itself kills what is left
            for job in running:
                _kill(int(job.job_id))

    def _interrupt(self, job: Any) -> None:
        if self.cluster == "local":  # submitit's own way ends in a traceback
            with suppress(ProcessLookupError):
                os.kill(int(job.job_id), signal.SIGTERM)
        else:
            job.cancel(check=False)


def _python() -> str:
    """The command of a job's Python, which imports from where this one does."""
    return shlex.join(["env", *(f"{name}={value}" for name, value in import_path().items()), sys.executable])


def _kill(process_id: int) -> None:
    """Kill a process and all that it has started."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(process_id)
        for member in (*process.children(recursive=True), process):
            with suppress(psutil.NoSuchProcess):
                member.kill()
