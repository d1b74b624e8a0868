"""A sweep's plan as people see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dsbench.config.overrides import key
from dsbench.numerals import counted, duration
from dsbench.run.record import width
from dsbench.sweep.plan import PlannedJob, SweepPlan

NAMES = ("model", "arch", "data", "kernel", "split", "precision")


def _rows(plan: SweepPlan) -> list[dict[str, Any]]:
    """One row a cell: what it is and costs, how far it is off its budget, and how many of its runs are done."""
    out = []
    for jobs in plan.cells.values():
        first = jobs[0].plan
        assert first is not None
        facts = first.facts()
        out.append(
            {
                **{name: getattr(facts, name) for name in (*NAMES, "width", "fine_width")},
                **{name: facts.costs[name] for name in ("params", "macs", "acts")},
                "residual": facts.requested.residual if facts.requested else None,
                "runs": len(jobs),
                "done": sum(job.done for job in jobs),
            }
        )
    return out


def planned(plan: SweepPlan, seconds: float | None = None) -> Group:
    """The plan for a terminal; `seconds` is the estimate of the time that it takes."""
    cells = _rows(plan)
    names = [name for name in NAMES if len({str(cell[name]) for cell in cells}) > 1]
    given = [name for name in _varied(plan.jobs) if name not in {*NAMES, "seed", "width", "experiment"}]
    given = [name for name in given if name not in ("model.pattern",) or "model" not in names]
    shared = ", ".join(f"{name} {cells[0][name]}" for name in NAMES if name not in names) if cells else ""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in (*names, *given):
        table.add_column(name)
    for name in ("width", "params", "MACs", "activations"):
        table.add_column(name, justify="right")
    budget = any(cell["residual"] is not None for cell in cells)
    if budget:
        table.add_column("off budget", justify="right")
    table.add_column("done", justify="right")
    for cell, jobs in zip(cells, plan.cells.values(), strict=True):
        values = dict(override.split("=", 1) for override in jobs[0].overrides if "=" in override)
        table.add_row(
            *(str(cell[name]) for name in names),
            *(values.get(name, "") for name in given),
            width(cell["width"], cell["fine_width"]),
            *(f"{cell[name]:,}" for name in ("params", "macs", "acts")),
            *(["" if cell["residual"] is None else f"{100 * cell['residual']:+.2f} %"] if budget else []),
            f"{cell['done']}/{cell['runs']}",
        )
    parts: list[RenderableType] = [Text(shared), table] if cells else []
    return Group(*parts, *map(Text, _problems(plan)), Text(_summary(plan, seconds)))


def _varied(jobs: Sequence[PlannedJob]) -> list[str]:
    """The keys in whose values the overrides of `jobs` differ."""
    values: dict[str, set[str]] = {}
    for job in jobs:
        for override in job.overrides:
            values.setdefault(key(override), set()).add(override)
    return [name for name, listed in values.items() if len(listed) > 1]


def _summary(plan: SweepPlan, seconds: float | None) -> str:
    runs, missing = len(plan.runs), len(plan.missing)
    parts = [f"{counted(runs, 'run')} in {counted(len(plan.cells), 'cell')}", f"{runs - missing} done"]
    if plan.folded:
        parts.append(f"{plan.folded} folded into a run that another comes to")
    if plan.problems:
        parts.append(f"{len(plan.problems)} impossible")
    if plan.stale:
        again = not plan.stale[0].done
        parts.append(f"{len(plan.stale)} made by other code{'' if again else ' (rerun=stale trains these anew)'}")
    parts.append(f"{missing} to train")
    if seconds is not None and missing:
        parts.append(f"about {duration(seconds)}")
    return ", ".join(parts)


def _problems(plan: SweepPlan) -> Iterator[str]:
    """One line a reason, with the first job that has it and how many more do."""
    reasons: dict[str, list[PlannedJob]] = {}
    for job in plan.problems:
        assert job.problem is not None
        reasons.setdefault(job.problem, []).append(job)
    for reason, jobs in reasons.items():
        more = f" (and {len(jobs) - 1} more)" if len(jobs) > 1 else ""
        yield f"impossible: {' '.join(jobs[0].overrides)}{more}: {reason}"
