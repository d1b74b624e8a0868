"""What a sweep runs, job by job, and what it is called: asked for again or with more seeds, it has the same name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from dsbench.config.compose import Composed
from dsbench.config.overrides import key
from dsbench.config.schema import SWEEPS_OWN
from dsbench.errors import InputError
from dsbench.run.identity import OUTSIDE
from dsbench.run.interrupts import raise_if_asked_to_stop
from dsbench.run.plan import Plan, plan, with_seed
from dsbench.run.record import FINAL, Record

_HOW = ("hydra/launcher", "hydra.launcher", "hydra.sweeper.n_trials")  # where runs are trained, how many are tried


def sweep_name(named: str | None, changes: Sequence[str], cells: Iterable[str]) -> str:
    """The name of a sweep: that of its file, a hash of its `cells` (cell_ids), or both.

    `named` is the sweep's file, if it has one; the hash comes on top where there are `changes` to what it runs.
    """
    digest = hashlib.sha256(" ".join(sorted(cells)).encode()).hexdigest()[:8]
    if named is None:
        return digest
    return f"{named}-{digest}" if changes else named


def deciding(arguments: Sequence[str]) -> list[str]:
    """Those of `arguments` that change which cells a sweep runs."""
    outside = ("seed", "sweep", *SWEEPS_OWN, *OUTSIDE, *_HOW)

    def decides(name: str) -> bool:
        return not any(name == other or name.startswith(f"{other}.") for other in outside)

    return [argument for argument in arguments if decides(key(argument))]


@dataclass(frozen=True)
class PlannedJob:
    """One combination of a sweep's axes: its overrides, and its plan or the reason why there is none."""

    overrides: tuple[str, ...]
    plan: Plan | None = None
    problem: str | None = None

    @cached_property
    def record(self) -> Record | None:
        """The run's record, None where there is none."""
        return self.plan.folder.result() if self.plan else None

    @property
    def done(self) -> bool:
        """Whether its result is there and stays."""
        config = self.plan.config if self.plan else None
        return config is not None and self.record is not None and self.record.stays(config.force, config.rerun)

    @property
    def stale(self) -> bool:
        """Whether its result is there, made by other code than this."""
        return self.record is not None and self.record.status in FINAL and self.record.stale


@dataclass(frozen=True)
class SweepPlan:
    """All jobs of a sweep, in order."""

    jobs: tuple[PlannedJob, ...]

    @cached_property
    def runs(self) -> dict[str, PlannedJob]:
        """The runs by run_id; jobs that come to the same run are one."""
        out: dict[str, PlannedJob] = {}
        for job in self.jobs:
            if job.plan is not None:
                out.setdefault(job.plan.run_id, job)
        return out

    @cached_property
    def cells(self) -> dict[str, list[PlannedJob]]:
        """The runs by cell_id: those of one cell differ in their seed alone."""
        out: dict[str, list[PlannedJob]] = {}
        for job in self.runs.values():
            assert job.plan is not None
            out.setdefault(job.plan.cell_id, []).append(job)
        return out

    @property
    def folded(self) -> int:
        """How many jobs come to the same run as an earlier one."""
        return sum(job.plan is not None for job in self.jobs) - len(self.runs)

    @property
    def missing(self) -> list[PlannedJob]:
        """The runs that are still to be trained."""
        return [job for job in self.runs.values() if not job.done]

    @property
    def stale(self) -> list[PlannedJob]:
        """The runs with a result that other code than this has made."""
        return [job for job in self.runs.values() if job.stale]

    @property
    def problems(self) -> list[PlannedJob]:
        """The jobs that cannot be."""
        return [job for job in self.jobs if job.problem is not None]


def plan_sweep(jobs: Sequence[Sequence[str]], compose: Callable[[Sequence[str]], Composed]) -> SweepPlan:
    """Plan every job; `compose` turns overrides into a configuration. What is wrong with a job stands in its problem.

    Cells are planned once: their seeds share network, costs, budget and label.
    """
    cells: dict[tuple[str, ...], Plan | InputError] = {}

    def cell(overrides: tuple[str, ...]) -> Plan | InputError:
        if overrides not in cells:
            try:
                cells[overrides] = plan(compose(overrides))
            except InputError as error:
                cells[overrides] = error
        return cells[overrides]

    out = []
    for overrides in map(tuple, jobs):
        raise_if_asked_to_stop()
        seeds = [override for override in overrides if re.fullmatch(r"seed=[0-9]+", override)]
        planned = cell(tuple(override for override in overrides if override not in seeds))
        if isinstance(planned, InputError):
            out.append(PlannedJob(overrides, problem=str(planned)))
            continue
        planned = replace(planned, composed=replace(planned.composed, overrides=overrides))
        for seed in seeds:
            planned = with_seed(planned, int(seed.split("=")[1]))
        out.append(_readable(PlannedJob(overrides, planned)))
    return SweepPlan(tuple(out))


def _readable(job: PlannedJob) -> PlannedJob:
    """The job after its record has been read; a damaged record is a problem of the job."""
    try:
        _ = job.record
    except InputError as error:
        return PlannedJob(job.overrides, problem=str(error))
    return job
