"""The course of one sweep: plan, launch what is not done yet, collect, say what follows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from dsbench.errors import InputError
from dsbench.run.progress import terminal
from dsbench.run.signals import insist
from dsbench.run.status import FINAL
from dsbench.sweep import axes
from dsbench.sweep.estimate import seconds_left
from dsbench.sweep.finish import conclude, reasons, show
from dsbench.sweep.folder import SweepFolder
from dsbench.sweep.name import sweep_name
from dsbench.sweep.plan import plan_sweep
from dsbench.sweep.plan_table import planned
from dsbench.sweep.settle import check, check_slots, composing, is_local, precision, settled, with_settled


def conduct(
    config: DictConfig, arguments: Sequence[str], params: Sequence[str], loader: Any, launcher: Launcher
) -> list[Sequence[JobReturn]]:
    """Run the sweep that `arguments`, on top of a named sweep's `params`, ask for; returns what was launched.

    `config` is the sweep's own configuration, `loader` Hydra's config loader. Raises InputError before anything is
    launched where a run cannot be (but for on_error=skip), and SystemExit(1) where runs have failed. The tables of what
    is there are written and printed however the sweep ends; what follows from them once it has come to its end.
    """
    check(config)
    asked = axes.jobs(arguments, params, loader)
    same, at_once = settled(config, len(asked))
    plan = plan_sweep([with_settled(job, same) for job in asked], composing(config, loader))
    insist()
    console = terminal()
    if plan.problems and (config.on_error != "skip" or not plan.runs):
        console.print(planned(plan))
        first = plan.problems[0]
        raise InputError(f"{' '.join(first.overrides)}: {first.problem}")
    check_slots(config, plan)
    console.print(planned(plan, seconds_left(plan, at_once) if plan.missing and at_once else None))
    if config.plan:
        return []
    name = sweep_name(config.hydra.runtime.choices.get("sweep"), arguments, plan.cells)
    folder = SweepFolder(Path(config.outputs).absolute() / "sweeps" / name)
    folder.write_plan([job.plan.facts() for job in plan.runs.values() if job.plan], arguments)
    group = [f"logger.group={name}"] if config.logger.get("group", "") is None else []
    launcher.folder = folder.path / "jobs"  # type: ignore[attr-defined]  # where one that has files keeps them
    jobs = plan.missing
    launched: list[Sequence[JobReturn]] = []
    try:
        if jobs:
            launched.append(launcher.launch([[*job.overrides, *precision(job), *group] for job in jobs], 0))
    finally:
        runs = show(folder, reasons(jobs, launched))
    example = next(job.plan for job in plan.runs.values() if job.plan)
    conclude(folder, example.config, config.bench_minutes if is_local(config) else 0.0, config.report)
    if not runs[runs["run_id"].isin(plan.runs)]["status"].isin(FINAL).all():  # others may be another command's
        raise SystemExit(1)
    return launched
