"""A sweep from its command line to its tables: every run is planned before any is launched."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from dsbench.chips.names import chips
from dsbench.config.checks import check_values
from dsbench.config.compose import Composed
from dsbench.config.messages import one_line
from dsbench.config.overrides import key
from dsbench.config.schema import DESIGNS, SWEEPS_OWN, SweepConfig, conf_dir
from dsbench.console import terminal
from dsbench.errors import InputError
from dsbench.numerals import counted
from dsbench.run.interrupts import raise_if_asked_to_stop
from dsbench.run.record import FINAL
from dsbench.sweep import axes
from dsbench.sweep.composition import Composer
from dsbench.sweep.design import Compose
from dsbench.sweep.estimate import seconds_left, share_of_cores
from dsbench.sweep.groups import fused, groups
from dsbench.sweep.launch.backend import Backend, KnownJobs, backend_for
from dsbench.sweep.looks import Schedule, compared
from dsbench.sweep.name import deciding, named_by_plan, words
from dsbench.sweep.objective import objectives
from dsbench.sweep.odd_width import odd_widths
from dsbench.sweep.plan import SweepPlan, plan_sweep, planned
from dsbench.sweep.stages import Designed, Stage
from dsbench.sweep.sweep import Sweep, own_folder, sweep_folder


def conduct(
    config: DictConfig, arguments: Sequence[str], params: Sequence[str], loader: Any, launcher: Launcher
) -> Sweep | None:
    """Run the sweep that `arguments`, on top of a named sweep's `params`, ask for; None where it was only planned.

    `config` is the sweep's own configuration, `loader` Hydra's config loader. Of a design with two stages it is the
    first, whose `then` is the second. Raises InputError before anything is launched where a run cannot be (but for
    on_error=skip). The tables of what is there are written however the sweep ends, and printed where an error ends it.
    """
    check(config)
    schedule = scheduled(config, axes.until_decided(arguments, params))
    overrides = axes.given(arguments, params, loader, schedule.most if schedule else None)
    named, outputs = config.hydra.runtime.choices.get("sweep"), Path(config.outputs).absolute()
    compose = composing(config, loader)
    if config.design is None:
        jobs = axes.combined(overrides)
        axes.check_several(arguments, params)
        stage = Stage(jobs, partial(named_by_plan, outputs, named, deciding(arguments), words), schedule)
    else:
        design = Designed.of(config, overrides, schedule, compose)
        named = None if named == config.design else named
        changes = deciding(arguments)
        stage = design.exploring(partial(named_by_plan, outputs, named, changes, design.words, design=config.design))
    return _carry_out(config, arguments, compose, launcher, stage)


def _carry_out(
    config: DictConfig, arguments: Sequence[str], compose: Compose, launcher: Launcher, stage: Stage
) -> Sweep | None:
    """Plan a stage, train what is missing of it and collect it; None where it is only planned. See conduct."""
    if not stage.jobs:  # nothing was chosen
        if config.plan:
            terminal().print(stage.after, soft_wrap=True)
        return None
    plan = _plan(config, compose, launcher, stage)
    kept = stage.design(plan) if stage.design else None
    seconds = _announce(config, launcher, stage, plan)
    go_on = partial(_carry_out, config, arguments, compose, launcher)
    name = stage.name(plan)
    if stage.then and not plan.missing and (there := sweep_folder(config, name.text)).sweep_file.exists():
        if config.plan:
            return go_on(stage.then(there))
    elif stage.after:
        terminal().print(stage.after, soft_wrap=True)
    if config.plan:
        return None
    sweep = Sweep(config, name, arguments, launcher, stage.schedule, seconds, kept)
    if (then := stage.then) is not None:
        sweep.then = lambda: go_on(then(sweep.folder))
    _train(sweep, plan, stage.schedule)
    return sweep


def _plan(config: DictConfig, compose: Compose, launcher: Launcher, stage: Stage) -> SweepPlan:
    """The runs of a stage. Raises InputError where one cannot be, but for on_error=skip."""
    jobs, schedule = stage.jobs, stage.schedule
    runs = len(jobs) * max(map(len, schedule.batches)) // schedule.most if schedule else len(jobs)
    fuse = config.fuse if type(config.get("fuse")) is int else 1
    backend = backend_for(launcher, -(-runs // max(1, fuse)))
    shared = shared_overrides(config, backend)
    here = backend is None or backend.watched
    plan = plan_sweep([with_shared(job, shared) for job in jobs], compose, here)
    raise_if_asked_to_stop()
    if plan.problems and (config.on_error != "skip" or not plan.runs):
        terminal().print(*planned(plan), sep="\n")
        raise impossible(plan)
    return plan


def _announce(config: DictConfig, launcher: Launcher, stage: Stage, plan: SweepPlan) -> dict[str, float]:
    """Show the plan with the time that it may take; returns the seconds of a run of each cell, where they are known.

    What is to be trained is prepared meanwhile.
    """
    schedule, console = stage.schedule, terminal()
    launches = [groups(plan.only(plan.cells, seeds)) for seeds in schedule.batches] if schedule else [groups(plan)]
    programs = [group for launched in launches for group in launched]
    known = KnownJobs(loads=tuple(group.load for group in programs))
    backend = backend_for(launcher, max(map(len, launches)), known)
    at_once = 1 if backend is None else backend.at_once if backend.watched else None
    share = share_of_cores(plan, at_once) if at_once else 1.0  # before imports take a core
    if plan.missing and backend and not config.plan:
        backend.prepare()
    after = config.bench_minutes if backend and backend.watched and stage.measures else 0.0
    seconds: dict[str, float] = {}
    options = {"bench_minutes": after, "report": config.report, "of_cells": seconds}
    estimate = partial(seconds_left, at_once=at_once or 1, share=share, **options)
    first = plan.only(plan.cells, schedule.batches[0]) if schedule else None
    how = [*filter(None, (backend.why_at_once if backend else "", fused(programs)))]
    at_most = any(len(group.plans) > 1 for group in programs)
    for part in planned(plan, estimate if at_once else None, first, how, at_most):
        console.print(part)  # the table while the estimate is made
    if at_once and (odd := odd_widths({job.plan.cell_id: job.plan for job in plan.missing if job.plan}.values())):
        console.print(odd, soft_wrap=True)
    return seconds


def _train(sweep: Sweep, plan: SweepPlan, schedule: Schedule | None) -> None:
    """Train what is missing of `plan`, collect it, and judge it where it is to be judged and has not been."""
    with sweep.told_anyway(sweep.show):
        if schedule is None:
            sweep.write(plan)
            sweep.launch(plan)
        else:
            train_until_decided(sweep, plan, schedule)
    runs, _ = sweep.collect()
    if not sweep.explores and sweep.looks.miss(runs.loc[runs["status"].isin(FINAL), "run_id"]):
        sweep.look(runs)


def train_until_decided(sweep: Sweep, plan: SweepPlan, schedule: Schedule) -> None:
    """Train the seeds of `plan` look by look, those of cells alone of which more may decide a comparison.

    A look judges the seeds up to its own, whatever else is there: a sweep that goes on where it was killed, or whose
    runs another has trained, comes to the same looks.
    """
    cells = set(plan.cells)
    for number, seeds in enumerate(schedule.batches, 1):
        batch = plan.only(cells, seeds)
        sweep.write(batch)
        sweep.launch(batch)
        judged = sweep.look(sweep.folder.read(sweep.reasons)[0], seeds.stop)
        looks, comparisons = sweep.looks.until(schedule.most, seeds.stop), list(compared(judged))
        cells = looks.still_open(judged)
        decided = f"{sum(map(looks.decided, comparisons))} of {counted(len(comparisons), 'comparison')} decided"
        goes_on = f", {counted(len(cells), 'cell')} to go on with" if number < len(schedule.looks) else ""
        terminal().print(f"look {number} of {len(schedule.looks)}, at {seeds.stop} seeds: {decided}{goes_on}")
        if not cells:
            break


def scheduled(config: DictConfig, until_decided: bool) -> Schedule | None:
    """When a sweep looks; None where its seeds are given. Raises InputError for looks that cannot be."""
    if until_decided:
        return Schedule.of(config.looks, config.max_seeds)
    for name in ("max_seeds", "looks"):
        if config[name] is not None:
            raise InputError(f"{name}={config[name]} is for {axes.AUTO} alone; give both, or neither")
    return None


def check(config: DictConfig) -> None:
    """Raise InputError for the first value of what only sweeps read that makes no sense."""
    for name in sorted(SWEEPS_OWN):
        if name not in config:  # ~name
            raise InputError(f"{name} has no value")
    values = {name: config[name] for name in SWEEPS_OWN}
    parts = {name: OmegaConf.to_object(part) for name, part in values.items() if OmegaConf.is_dict(part)}
    check_values(SweepConfig, values | parts)
    _check_designs(config)
    chips(config.chips or (), own_folder(config))
    objectives(config.objective)  # what the task function returns, to whatever searches by it


def _check_designs(config: DictConfig) -> None:
    """Raise InputError for options of a design that is not the sweep's."""
    defaults: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / "sweep.yaml"))
    for name, kind in DESIGNS.items():
        own: Any = OmegaConf.to_container(config[kind.options])
        changed = next((option for option in own if own[option] != defaults[kind.options].get(option)), None)
        if config.design != name and changed is not None:
            raise InputError(f"{kind.options}.{changed} is of design={name}, which sweep={name} sets")


def impossible(plan: SweepPlan) -> InputError:
    """The error of the first job that cannot be run."""
    first = plan.problems[0]
    return InputError(f"{' '.join(first.overrides)}: {first.problem}")


def shared_overrides(config: DictConfig, backend: Backend | None) -> list[str]:
    """Overrides for all runs, however many of them are left to train: the threads that `backend` gives each."""
    return [f"threads={backend.threads}"] if backend and config.threads is None else []


def with_shared(job: Sequence[str], shared: Sequence[str]) -> list[str]:
    """A job's overrides, and those of `shared` that it does not decide by itself."""
    own = {key(override) for override in job}
    return [*job, *(override for override in shared if key(override) not in own)]


def composing(config: DictConfig, loader: Any) -> Compose:
    """What turns the overrides of a run into its configuration. Raises InputError."""
    composer = Composer(lambda overrides: loader.load_sweep_config(config, overrides), loader)

    def compose(overrides: Sequence[str]) -> Composed:
        try:
            return composer.typed(overrides)
        except InputError:
            raise
        except Exception as error:
            raise InputError(one_line(error)) from error

    return compose
