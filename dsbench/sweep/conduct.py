"""The course of one sweep: plan, launch what is not done yet, collect, say what failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, flag_override

from dsbench.config.compose import Composed, typed
from dsbench.config.messages import one_line
from dsbench.errors import InputError
from dsbench.run.progress import terminal
from dsbench.run.signals import interruptible
from dsbench.run.status import FINAL
from dsbench.sweep import axes, tables
from dsbench.sweep.composition import Composer
from dsbench.sweep.estimate import seconds_left
from dsbench.sweep.folder import SweepFolder
from dsbench.sweep.name import sweep_name
from dsbench.sweep.objective import objectives
from dsbench.sweep.plan import SweepPlan, plan_sweep
from dsbench.sweep.plan_table import planned
from dsbench.sweep.slots import slots


def conduct(
    config: DictConfig, arguments: Sequence[str], params: Sequence[str], loader: Any, launcher: Launcher
) -> list[Sequence[JobReturn]]:
    """Run the sweep that `arguments`, on top of a named sweep's `params`, ask for; returns what was launched.

    `config` is the sweep's own configuration, `loader` Hydra's config loader. Raises InputError before anything is
    launched where a run cannot be (but for on_error=skip), and SystemExit(1) where runs have failed. The tables of what
    is there are written and printed however the sweep ends.
    """
    objectives(config.objective)  # what the task function returns, to whatever searches by it
    asked = axes.jobs(arguments, params, loader)
    same, at_once = settled(config, len(asked))
    plan = plan_sweep([[*job, *same] for job in asked], composing(config, loader))
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
    launched: list[Sequence[JobReturn]] = []
    try:
        if plan.missing:
            with interruptible():
                launched.append(launcher.launch([[*job.overrides, *group] for job in plan.missing], 0))
    finally:
        failed = show(folder)
    if failed:
        raise SystemExit(1)
    return launched


def check_slots(config: DictConfig, plan: SweepPlan) -> None:
    """Raise InputError where a run has several processes and the launcher gives each run the device of one."""
    several = max((job.plan.compute.ranks for job in plan.runs.values() if job.plan), default=1)
    if several > 1 and config.hydra.launcher._target_.endswith(".DsbenchLauncher"):
        raise InputError(
            f"trainer=ddp has {several} processes, and a run of a sweep on this machine has a slot for one; train one "
            "after the other with hydra/launcher=basic, or on a cluster"
        )


def show(folder: SweepFolder) -> bool:
    """Write and print the tables; returns whether runs have failed or are missing."""
    runs, cells = folder.collect()
    console = terminal()
    console.print(tables.cells(cells))
    failed = runs[~runs["status"].isin(FINAL)]
    if len(failed):
        console.print(tables.failures(runs, folder.outputs))
    console.print(f"tables: {folder.path}", soft_wrap=True)
    return bool(len(failed))


def settled(config: DictConfig, jobs: int) -> tuple[list[str], int | None]:
    """What is decided once for all runs, however many are left of them: threads; and runs at once, if that is known."""
    launcher = config.hydra.launcher
    if "cpus_per_task" in launcher:  # on machines that are not this one
        threads, at_once = launcher.cpus_per_task, None
    elif launcher._target_.endswith(".DsbenchLauncher"):
        places = slots(jobs, config.n_jobs, config.threads, config.device)
        threads, at_once = places.threads, len(places)
    else:
        return [], 1
    return ([f"threads={threads}"] if config.threads is None else []), at_once


def composing(config: DictConfig, loader: Any) -> Callable[[Sequence[str]], Composed]:
    """What turns the overrides of a run into its configuration. Raises InputError."""
    composer = Composer(lambda overrides: loader.load_sweep_config(config, overrides), loader)

    def compose(overrides: Sequence[str]) -> Composed:
        try:
            composed = composer(overrides)
            with flag_override(composed, ["struct", "readonly"], False):
                choices = composed.pop("hydra").runtime.choices
            return typed(composed, choices, overrides)
        except InputError:
            raise
        except Exception as error:
            raise InputError(one_line(error)) from error

    return compose
