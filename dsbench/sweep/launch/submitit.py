"""Runs as jobs of submitit: of a SLURM array, or processes of this machine that are started as SLURM would."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn

from dsbench.errors import FailureError, InputError, first_line
from dsbench.run.interrupts import GRACE_SECONDS
from dsbench.run.lock import Owner, this_process
from dsbench.sweep.launch.cluster import Away
from dsbench.sweep.launch.workers import cores

_WAIT_SECONDS = {"local": 0.2, "slurm": 2.0}
_OF_SLURM = (
    *("partition", "account", "qos", "constraint", "array_parallelism", "setup", "additional_parameters"),
    *("time", "exclude", "comment", "gres"),
)


class Job:
    """A job as submitit has it; one on this machine ends, at the latest, a few seconds after what has handed it in."""

    def __init__(self, call: Away, owner: Owner | None) -> None:
        """`owner` is the process that it ends with, if any."""
        self.call, self.owner = call, owner

    def __call__(self) -> JobReturn:
        """Run the job."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # submitit would ignore it; a run makes a checkpoint and ends
        if self.owner is not None:
            threading.Thread(target=self._end_with, args=(self.owner,), daemon=True).start()
        return self.call()

    def checkpoint(self) -> Any:
        """As that of the job."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _end_with(self, owner: Owner) -> None:
        while owner.runs():
            time.sleep(_WAIT_SECONDS["local"])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        _kill(os.getpid())


class Submitit:
    """submitit's executor for `cluster` (local or slurm); `folder` keeps what jobs say and what goes to them."""

    def __init__(self, cluster: str, folder: Path, parameters: Mapping[str, Any]) -> None:
        """`parameters` are submitit's, those of SLURM without their prefix; None stands for the cluster's default.

        Raises InputError where there is no such cluster, or it takes no such parameter.
        """
        import submitit

        self.cluster, self.folder, self.cpus_per_task = cluster, folder, parameters["cpus_per_task"]
        self.at_once = max(1, cores() // self.cpus_per_task) if cluster == "local" else None
        given = {key: value for key, value in parameters.items() if value not in (None, {}, [])}
        timeouts = {"slurm_max_num_timeout": given.pop("max_num_timeout")} if "max_num_timeout" in given else {}
        named = {f"slurm_{key}" if key in _OF_SLURM else key: value for key, value in given.items()}
        try:
            self._executor = submitit.AutoExecutor(folder, cluster=cluster, **timeouts)
            self._executor.update_parameters(name="dsbench", stderr_to_stdout=True, **named)
        except (RuntimeError, ValueError, TypeError, NameError, AssertionError) as error:
            raise InputError(f"hydra.launcher: submitit refuses: {first_line(error)}") from error

    def __str__(self) -> str:
        where = "SLURM" if self.cluster == "slurm" else f"{self.at_once} processes of this machine at once"
        return f"{where}; what they say: {self.folder}"

    def submit(self, calls: Sequence[Away]) -> list[Any]:
        """Hand in jobs, to SLURM as one array. Raises FailureError where that fails."""
        import submitit

        here = self.cluster == "local"
        owner = this_process() if here else None
        try:
            with _deaf_to_ctrl_c() if here else nullcontext(), self._executor.batch():
                return [self._executor.submit(Job(call, owner)) for call in calls]
        except submitit.core.utils.FailedJobError as error:
            raise FailureError(f"sbatch took no jobs: {' '.join(str(error).split())}") from error

    def ended(self, jobs: Sequence[Any]) -> list[Any]:
        """Wait a moment; returns those of `jobs` that have ended."""
        out = [job for job in jobs if job.done()]
        if not out:
            time.sleep(_WAIT_SECONDS[self.cluster])
        return out

    def outcome(self, job: Any) -> JobReturn:
        """How a job that has ended did, whose files go. Raises FailureError where its process died."""
        import submitit

        try:
            returned = job.result()
        except submitit.core.utils.UncompletedJobError as error:
            raise FailureError(f"its process ended without a result ({job.state}); log: {job.paths.stdout}") from error
        for path in self.folder.glob(f"{job.job_id}_*"):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # others have files there
            self.folder.rmdir()
        return returned

    def cancel(self, jobs: Sequence[Any]) -> None:
        """Interrupt jobs, and give them a few seconds to say so in their records."""
        for job in jobs:
            self._interrupt(job)
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline and not all(job.done() for job in jobs):
            time.sleep(_WAIT_SECONDS["local"])
        if self.cluster == "local":  # SLURM itself kills what is left
            for job in jobs:
                _kill(int(job.job_id))

    def _interrupt(self, job: Any) -> None:
        if self.cluster == "local":  # submitit's own way ends in a traceback
            with suppress(ProcessLookupError):
                os.kill(int(job.job_id), signal.SIGTERM)
        else:
            job.cancel(check=False)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started within do not hear the terminal's Ctrl-C, which is for the sweep."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _kill(process_id: int) -> None:
    """Kill a process and all that it has started."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(process_id)
        for one in (*process.children(recursive=True), process):
            with suppress(psutil.NoSuchProcess):
                one.kill()
