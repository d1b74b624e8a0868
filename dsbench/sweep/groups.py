"""Which seeds of a cell a sweep trains as one program, and why others are trained by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dsbench.config.schema import AUTO_FUSE
from dsbench.numerals import counted
from dsbench.run.lock import in_use
from dsbench.run.plan import Plan
from dsbench.sweep.launch.workers import Load, free_of_gpu, gpus, taken_of_gpu
from dsbench.sweep.plan import PlannedJob, SweepPlan
from dsbench.training.stop import TRAIN_PASSES

MOST_FUSED = 16  # seeds of a program under fuse=auto; an estimate until a card has been seen


@dataclass(frozen=True)
class Group:
    """Missing runs of one cell that are trained as one program, in one job; often a single one."""

    plans: tuple[Plan, ...]
    overrides: tuple[str, ...]

    @classmethod
    def of(cls, jobs: Sequence[PlannedJob]) -> Group:
        """The group of `jobs`, whose overrides differ in their seeds alone."""
        plans = tuple(job.plan for job in jobs if job.plan)
        seeds = ",".join(str(plan.config.seed) for plan in plans)
        return cls(plans, (*jobs[0].overrides, *([f"together=[{seeds}]"] if len(plans) > 1 else [])))

    @property
    def first(self) -> Plan:
        """The plan whose seed the job names as its own."""
        return self.plans[0]

    @property
    def on_gpu(self) -> bool:
        """Whether it is trained on a CUDA device."""
        return self.first.place.kind == "cuda"

    @property
    def load(self) -> Load:
        """What it takes of a machine."""
        runs, plan = len(self.plans), self.first
        images = plan.resources.dataset.image_bytes if self.on_gpu and plan.resources.images_fit else 0
        step_macs = TRAIN_PASSES * plan.cost.macs * plan.config.train.batch_size
        return Load(runs * plan.memory_bytes + images, runs * step_macs, self.on_gpu, runs)


def groups(plan: SweepPlan) -> list[Group]:
    """The missing runs of `plan` as they are trained: in order of their first seeds, and of about equal sizes a cell.

    Those that another process is training come last: a worker that waits for one keeps no other from being trained.
    Under fuse=auto no GPU is left without work for the sake of larger groups.
    """
    missing, alike = plan.missing, dict[tuple[str, ...], list[PlannedJob]]()
    place = {job.overrides: number for number, job in enumerate(missing)}
    for job in missing:
        assert job.plan is not None
        shared = (override for override in job.overrides if not override.startswith("seed="))
        alike.setdefault((job.plan.cell_id, *shared), []).append(job)
    out = [of for jobs in alike.values() for of in _cut(jobs, _most(jobs[0].plan, len(missing)))]
    taken = {job.overrides for job in missing if job.plan and in_use(job.plan.folder.path)}
    out.sort(key=lambda jobs: (any(job.overrides in taken for job in jobs), place[jobs[0].overrides]))
    return [Group.of(jobs) for jobs in out]


def fused(groups: Sequence[Group]) -> str | None:
    """How many seeds are trained as one program, in words, and why no more; None where each is by itself as ever."""
    sizes = sorted({len(group.plans) for group in groups})
    parts = []
    if sizes and sizes[-1] > 1:
        several = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else sizes[0]
        parts.append(f"{several} seeds a program, {counted(len(groups), 'program')}")
    reasons = dict.fromkeys(
        group.first.alone for group in groups if group.on_gpu and group.first.config.fuse == AUTO_FUSE
    )
    parts += [f"one seed a program: {reason}" for reason in reasons if reason]
    return "; ".join(parts) or None


def _most(plan: Plan | None, missing: int) -> int:
    """How many seeds of the cell of `plan` are one program at the most, where so many runs are `missing` in all."""
    assert plan is not None
    if plan.config.fuse != AUTO_FUSE:
        return int(plan.config.fuse)
    if plan.place.kind != "cuda" or plan.alone:
        return 1
    most = min(MOST_FUSED, -(-missing // max(1, gpus())))
    images, free = plan.resources.dataset.image_bytes, free_of_gpu() or plan.resources.limit_bytes
    fitting = (n for n in range(most, 1, -1) if taken_of_gpu(n * plan.memory_bytes + images) <= free)
    return next(fitting, 1)


def _cut(jobs: Sequence[PlannedJob], most: int) -> Iterator[Sequence[PlannedJob]]:
    """`jobs` in pieces of at most so many, whose sizes differ by one at the most."""
    pieces = -(-len(jobs) // most)
    small, larger = divmod(len(jobs), pieces)
    start = 0
    for number in range(pieces):
        end = start + small + (number < larger)
        yield jobs[start:end]
        start = end
