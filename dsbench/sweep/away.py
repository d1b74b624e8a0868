"""A Hydra job in a process of somebody else's, which outlives whatever ends the run."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from hydra.core.utils import JobReturn

from dsbench.process import wait_briefly
from dsbench.run.signals import Interrupted
from dsbench.run.timeout import TimedOut
from dsbench.sweep.fate import Fate, ProcessDiedError
from dsbench.sweep.jobs import Call
from dsbench.sweep.local import failed


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
