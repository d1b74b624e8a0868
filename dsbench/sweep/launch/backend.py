"""What the jobs of a launch run on. Who adds a launcher reads this, and writes a module beside it and its YAML file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from dsbench.run.outcome import Ended
from dsbench.sweep.launch.job import Job
from dsbench.sweep.launch.workers import Load

if TYPE_CHECKING:
    from dsbench.sweep.launch.view import Board


@dataclass(frozen=True)
class LaunchContext:
    """What a backend is made for: so many `jobs` of the sweep that `config` configures."""

    config: DictConfig
    """The sweep's own; that of another Hydra application has none of dsbench's keys."""
    jobs: int
    folder: Path
    """Where a backend that has files keeps them."""
    ours: bool
    """Whether the jobs are dsbench's runs and not those of another Hydra application."""
    loads: tuple[Load, ...] = ()
    """What each job takes of a machine, where that is known."""


@dataclass(frozen=True)
class KnownJobs:
    """What a sweep knows of the jobs of a launch before it."""

    folder: Path | None = None
    """Where a backend that has files keeps them."""
    loads: tuple[Load, ...] = ()
    """As in LaunchContext."""
    board: Board | None = None
    """What a view shows of them."""


@runtime_checkable
class BackendLauncher(Protocol):
    """A launcher of Hydra's that runs jobs on a backend, those of its next launch being `known`."""

    known: KnownJobs

    def backend(self, jobs: int, known: KnownJobs) -> Backend:
        """What runs so many jobs of which so much is known."""
        ...


def backend_for(launcher: Launcher, jobs: int, known: KnownJobs | None = None) -> Backend | None:
    """What runs so many jobs; None for a launcher of Hydra's own, which runs them in this process, one by one."""
    return launcher.backend(jobs, known or KnownJobs()) if isinstance(launcher, BackendLauncher) else None


class Backend(ABC):
    """Starts jobs, asks how they are and ends them; retries, time limits and messages are the driver's.

    A launcher is a class like this, and a file in conf/hydra/launcher with the `_target_` of the others, the full
    name of the class as `backend`, and its options with their defaults: `hydra.launcher.<option>` on the command line.
    Nothing else names it.

    Making one only keeps the options, since a sweep that is planned and not launched asks for `threads` and `at_once`
    too. What there is to connect to is looked for by `__enter__`, which raises InputError where that cannot be;
    `__exit__` closes it again, after `end` where an exception ends the launch. `str()` of it says where jobs go, in the
    line "2 jobs handed to ...".

    A job is called in a process of its own, elsewhere through `run_elsewhere(job)`, and returns its outcome whatever
    becomes of its run, as long as the process lives. On SIGTERM a run makes a checkpoint and ends.

    Output: a watched run writes what its process prints into its own log. Elsewhere a run prints its progress as
    `python train.py` does, and the backend decides where that goes: into a file that `str()` or the reason of an end
    names, or nowhere; never into the sweep's terminal.

    A backend that knows how many jobs share a machine sets the environment variable N_JOBS (dsbench.provenance) for
    their processes: records keep it, since runs that are trained side by side slow each other. Without it nothing is
    recorded, and the verdict takes their times for undisturbed.
    """

    needs: ClassVar[tuple[str, str] | None] = None
    """The package that it needs, and the extra of dsbench's that has it."""
    threads: int
    """Of a run that names none."""
    at_once: int | None = None
    """How many jobs it takes at a time; None is any number."""
    why_at_once: str = ""
    """These in words, with what decides them, for the plan."""
    watched: ClassVar[bool] = False
    """Whether jobs are processes of this one, which start at once, tell what they do (through
    dsbench.sweep.launch.worker.work) and have its current folder; only then are they measured at the end of the sweep.

    Other jobs run elsewhere, with files that every machine has under the same path, and only their end is seen.
    """

    @classmethod
    def of(cls, context: LaunchContext, **options: Any) -> Backend:
        """The backend with the `options` of its YAML file. Raises InputError for a value that makes no sense."""
        return cls(**options)

    def prepare(self) -> None:  # noqa: B027
        """Start what takes seconds to start, while the sweep still plans; called where there are runs to train."""

    @abstractmethod
    def __str__(self) -> str:
        """Where jobs go."""

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:  # noqa: B027
        """Nothing is open."""

    @abstractmethod
    def start(self, jobs: Sequence[Job]) -> Sequence[Hashable]:
        """Start all of the jobs, no more than `at_once` with those that run; returns what stands for each, in order.

        Raises FailureError where it takes none of them: at the beginning that ends the sweep, later these jobs fail.
        """

    @abstractmethod
    def poll(self, running: Sequence[Any]) -> Sequence[tuple[Any, Mapping[str, Any] | JobReturn | Ended]]:
        """Wait a moment for news of jobs: an event of a watched run (see dsbench.sweep.launch.worker), or a job's end.

        An end is what the job returned or, where its process returned nothing, how that ended: `killed` is tried again.
        Each job ends once, and is not asked for again. Whatever becomes of a job or its machine is such an end, never
        an exception. Many seconds are too long a wait: Ctrl-C and time limits are looked after in between.
        """

    @abstractmethod
    def end(self, running: Sequence[Any], grace_seconds: float) -> None:
        """Ask jobs to stop, those in a queue too, and kill what is left of them after `grace_seconds`.

        With 0 they are killed at once; the launch goes on, and `poll` tells their ends.
        """
