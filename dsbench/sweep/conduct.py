"""The course of one sweep: plan, launch what is not done yet, collect, say what follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from dsbench.errors import InputError
from dsbench.run.progress import terminal
from dsbench.run.signals import insist
from dsbench.sweep import axes
from dsbench.sweep.estimate import seconds_left
from dsbench.sweep.finish import conclude
from dsbench.sweep.launches import Launches
from dsbench.sweep.local import warm_up
from dsbench.sweep.name import deciding, sweep_name
from dsbench.sweep.plan import plan_sweep
from dsbench.sweep.plan_table import planned
from dsbench.sweep.settle import check, check_slots, composing, is_local, settled, with_settled


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
    if plan.missing and is_local(config) and not config.plan:
        warm_up()
    console.print(planned(plan, seconds_left(plan, at_once) if plan.missing and at_once else None))
    if config.plan:
        return []
    name = sweep_name(config.hydra.runtime.choices.get("sweep"), deciding(arguments), plan.cells)
    sweep = Launches(config, name, arguments, launcher)
    sweep.ask(plan)
    with sweep.shown_anyway(sweep.show):
        sweep.launch(plan)
    runs = sweep.show()
    bench_minutes = config.bench_minutes if is_local(config) else 0.0
    conclude(sweep.folder, sweep.reasons, sweep.example, bench_minutes, config.report)
    if not sweep.have_results(runs):
        raise SystemExit(1)
    return sweep.returned
