"""The plan of a sweep, job by job, and the plan as a table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

from dsbench.config.compose import Composed
from dsbench.config.overrides import key
from dsbench.config.schema import AUTO_FUSE, Config
from dsbench.errors import InputError
from dsbench.numerals import counted, duration, percent
from dsbench.quantities import COUNTED_BUDGETS
from dsbench.run.check import check_members
from dsbench.run.interrupts import raise_if_asked_to_stop
from dsbench.run.plan import Plan, Resources, plan, with_seed
from dsbench.run.record import FINAL, Record, width
from dsbench.tables import Table, figures, filled, names, numbers, written

if TYPE_CHECKING:
    from rich.console import Group


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
    def replaced(self) -> bool:
        """Whether its result is there and is trained anew."""
        return not self.done and self.record is not None and self.record.status in FINAL

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
        """The runs by run_id, each with the first of the jobs that describe it."""
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
    def facts(self) -> list[Record]:
        """The facts of a run of each cell."""
        return [jobs[0].plan.facts() for jobs in self.cells.values() if jobs[0].plan]

    def only(self, cells: Collection[str], seeds: Container[int]) -> SweepPlan:
        """The jobs of these cells and seeds."""
        chosen = (job for job in self.jobs if job.plan and job.plan.cell_id in cells and job.plan.config.seed in seeds)
        return SweepPlan(tuple(chosen))

    @property
    def folded(self) -> int:
        """How many jobs describe the same run as an earlier job."""
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


def plan_sweep(
    jobs: Sequence[Sequence[str]], compose: Callable[[Sequence[str]], Composed], here: bool = True
) -> SweepPlan:
    """Plan every job; `compose` turns overrides into a configuration. What is wrong with a job stands in its problem.

    Cells are planned once: their seeds share network, costs, budget and label. `here`: whether this machine trains
    what is not done yet, and has to have the memory.
    """
    cells: dict[tuple[str, ...], Plan | InputError] = {}
    found: dict[str, Resources] = {}

    def resources_of(config: Config) -> Resources:
        key = repr((config.device, config.precision, config.threads, config.data))
        if key not in found:
            found[key] = Resources.of(config)
        return found[key]

    def cell(overrides: tuple[str, ...]) -> Plan | InputError:
        if overrides not in cells:
            try:
                cells[overrides] = plan(compose(overrides), resources_of)
            except InputError as error:
                cells[overrides] = error
        return cells[overrides]

    @cache
    def obstacle(overrides: tuple[str, ...]) -> str | None:
        """Why no run of a cell can be trained, or no group as one program: there is no memory, or there are no data."""
        planned = cell(overrides)
        assert isinstance(planned, Plan)
        fuse = 1 if planned.config.fuse == AUTO_FUSE else planned.config.fuse
        try:
            planned.prepare(here)
            if fuse > 1 and planned.alone:
                raise InputError(f"fuse={fuse}: {planned.alone}")
            if here:
                members = min(fuse, seeds_of[overrides])
                check_members(planned.place, members, planned.memory_bytes, planned.resources.limit_bytes)
        except InputError as error:
            return str(error)
        return None

    out = []
    split = [_split(tuple(job)) for job in jobs]
    seeds_of = Counter(shared for _, shared, _ in split)
    for overrides, shared, seeds in split:
        raise_if_asked_to_stop()
        planned = cell(shared)
        if isinstance(planned, InputError):
            out.append(PlannedJob(overrides, problem=str(planned)))
            continue
        planned = replace(planned, composed=replace(planned.composed, overrides=overrides))
        for seed in seeds:
            planned = with_seed(planned, int(seed.split("=")[1]))
        job = _readable(PlannedJob(overrides, planned))
        if job.plan and not job.done and (problem := obstacle(shared)):
            job = PlannedJob(overrides, problem=problem)
        out.append(job)
    return SweepPlan(tuple(out))


def _split(overrides: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """The overrides of a job, those that the seeds of its cell share, and those of its seed."""
    seeds = [override for override in overrides if re.fullmatch(r"seed=[0-9]{1,9}", override)]  # longer: checked
    return overrides, tuple(override for override in overrides if override not in seeds), seeds


def _readable(job: PlannedJob) -> PlannedJob:
    """The job after its record has been read; a damaged record is a problem of the job."""
    try:
        _ = job.record
    except InputError as error:
        return PlannedJob(job.overrides, problem=str(error))
    return job


_NAMES = ("model", "arch", "data", "kernel", "split", "precision")  # shown where cells differ in them, else above


@dataclass(frozen=True)
class Amount:
    """What a plan comes to: its runs, those of them to be trained, and an estimate of the seconds that this takes."""

    runs: int
    missing: int
    seconds: float | None = None

    @classmethod
    def of(cls, plan: SweepPlan, estimate: Callable[[SweepPlan], float] | None) -> Amount:
        """That of `plan`; `estimate` is not asked where nothing is missing."""
        missing = len(plan.missing)
        return cls(len(plan.runs), missing, estimate(plan) if estimate and missing else None)


def planned(
    plan: SweepPlan,
    estimate: Callable[[SweepPlan], float] | None = None,
    least: SweepPlan | None = None,
    how: Sequence[str] = (),
    at_most: bool = False,
) -> Iterator[Group]:
    """The plan for a terminal: its table, then its sum, for which `estimate` says how many seconds a plan takes.

    `least` is the part that is trained in any case, where the rest depends on what comes of it; `how` are lines on how
    runs are trained, side by side and as one program. `at_most`: whether it may well take less than estimated.
    """
    from rich.console import Group
    from rich.text import Text

    first = plan.facts
    shared = ", ".join(f"{name} {texts[0]}" for name, texts in _texts(first).items() if len(set(texts)) == 1)
    table: list[Text | Table] = [Text(shared), _table(plan, first), Text("")] if first else []
    yield Group(*table, *map(Text, _impossible(plan)))
    amounts = [Amount.of(part, estimate) for part in ((plan,) if least is None else (least, plan))]
    yield Group(*map(Text, [_summary(plan, amounts, at_most), *how]))


def _texts(cells: Sequence[Record]) -> dict[str, list[str]]:
    return {name: [str(getattr(cell, name)) for cell in cells] for name in _NAMES}


def _table(plan: SweepPlan, cells: Sequence[Record]) -> Table:
    """A row a cell: what it is and costs, how far it is off its budget, and how many of its runs are done.

    `cells` has the facts of the first run of each.
    """
    shown = {name: texts for name, texts in _texts(cells).items() if len(set(texts)) > 1}
    values = [
        dict(override.split("=", 1) for override in job.overrides if "=" in override) for job, *_ in plan.cells.values()
    ]
    patterns = {row.get("model.pattern", "") for row in values} - {""}
    one_hybrid = "model" in shown and len(patterns) < 2
    hidden = {*_NAMES, "seed", "width", "experiment", *(["model.pattern"] if one_hybrid else [])}
    given = {name: [row.get(name, "") for row in values] for name in _varied(plan.jobs) if name not in hidden}
    off = [cell.requested.residual if cell.requested else None for cell in cells]
    columns = (
        *names(shown | given),
        written("width", [width(cell.width, cell.fine_width) for cell in cells]),
        *(figures(cost, [cell.costs[cost.name] for cell in cells]) for cost in COUNTED_BUDGETS),
        *filled([numbers("off budget", off, lambda share: percent(share, "+"))]),
        written("done", [f"{sum(job.done for job in jobs)}/{len(jobs)}" for jobs in plan.cells.values()]),
    )
    return Table("", columns)


def _varied(jobs: Sequence[PlannedJob]) -> list[str]:
    """The keys in whose values the overrides of `jobs` differ."""
    values: dict[str, set[str]] = {}
    for job in jobs:
        for override in job.overrides:
            values.setdefault(key(override), set()).add(override)
    return [name for name, listed in values.items() if len(listed) > 1]


def _summary(plan: SweepPlan, amounts: Sequence[Amount], at_most: bool) -> str:
    """One line; `amounts` has the least and the most that is trained, or the one that is."""
    least, most = amounts[0], amounts[-1]

    def ranging(low: object, high: object) -> str:
        return str(high) if low == high else f"{low} to {high}"

    runs = f"{least.runs} to {most.runs} runs" if least.runs < most.runs else counted(most.runs, "run")
    parts = [f"{runs} in {counted(len(plan.cells), 'cell')}", f"{most.runs - most.missing} done"]
    if plan.folded:
        parts.append(f"{plan.folded} folded into a run that another comes to")
    if plan.problems:
        parts.append(f"{len(plan.problems)} impossible")
    if plan.stale:
        again = not plan.stale[0].done
        parts.append(f"{len(plan.stale)} made by other code{'' if again else ' (rerun=stale trains these anew)'}")
    parts.append(f"{ranging(least.missing, most.missing)} to train")
    if most.seconds is not None:
        about = "at most about" if at_most else "about"
        parts.append(f"{about} {ranging(duration(least.seconds or 0), duration(most.seconds))}")
    return ", ".join(parts)


def _impossible(plan: SweepPlan) -> Iterator[str]:
    """One line a reason, with the first job that has it and how many more do."""
    reasons: dict[str, list[PlannedJob]] = {}
    for job in plan.problems:
        assert job.problem is not None
        reasons.setdefault(job.problem, []).append(job)
    for reason, jobs in reasons.items():
        more = f" (and {len(jobs) - 1} more)" if len(jobs) > 1 else ""
        yield f"impossible: {' '.join(jobs[0].overrides)}{more}: {reason}"
