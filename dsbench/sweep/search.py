"""A search: a space in Hydra's syntax for sweeps, drawn from by Optuna, trial by trial, and judged by objectives."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from dsbench.config.messages import one_line
from dsbench.config.overrides import key
from dsbench.console import terminal
from dsbench.errors import InputError, choose
from dsbench.files import write_atomically
from dsbench.numerals import counted
from dsbench.results import tables
from dsbench.run.record import Status
from dsbench.sweep import axes
from dsbench.sweep.conduct import check, composing, impossible, scheduled, shared_overrides, with_shared
from dsbench.sweep.launch.backend import backend_for
from dsbench.sweep.name import SweepName, deciding, joined, sweep_name
from dsbench.sweep.objective import DIRECTIONS, figures, objectives
from dsbench.sweep.plan import PlannedJob, SweepPlan, plan_sweep, planned
from dsbench.sweep.sweep import Sweep

if TYPE_CHECKING:
    import pandas as pd
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

Space = dict[str, "BaseDistribution"]
SAMPLERS = {"tpe": "TPESampler", "nsga2": "NSGAIISampler", "random": "RandomSampler"}


@dataclass(frozen=True)
class Search:
    """How to search: which of SAMPLERS, its seed, how many trials in all and at a time."""

    sampler: str
    seed: int
    n_trials: int
    batch: int

    def __post_init__(self) -> None:
        choose("hydra.sweeper.sampler", self.sampler, SAMPLERS)
        for name in ("n_trials", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"hydra.sweeper.{name} {getattr(self, name)} is not a positive integer")

    def start(self) -> BaseSampler:
        """The sampler, at its beginning."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return getattr(optuna.samplers, SAMPLERS[self.sampler])(seed=self.seed)


def search(
    config: DictConfig,
    arguments: Sequence[str],
    params: Sequence[str],
    loader: Any,
    launcher: Launcher,
    how: Search,
) -> Sweep | None:
    """Search the space that `arguments`, on top of a named sweep's `params`, list; None where it was only planned.

    What a trial is worth is the mean over its seeds. One with a run that failed, diverged or cannot be counts for
    nothing, and the search goes on. Raises InputError for a run that cannot be, unless on_error=skip. The tables are
    written however the search ends, and printed unless Ctrl-C ends it.
    """
    check(config)
    if config.design is not None:
        raise InputError(f"design={config.design} is for sweeps of all combinations; a search has none")
    names = objectives(config.objective)
    given = axes.given(arguments, params, loader)
    scheduled(config, until_decided=False)
    fuse = next((override for override in given if key(override) == "fuse"), "fuse=auto")
    if fuse not in ("fuse=auto", "fuse=1"):
        raise InputError(f"{fuse}: a search trains each run by itself; fuse is for sweeps of all combinations")
    given = [override for override in given if key(override) != "fuse"]
    seeds = axes.combined([override for override in given if key(override) == "seed"])  # [[]] where none is named
    drawn, fixed = space([override for override in given if key(override) != "seed"])
    if not drawn:
        raise InputError(
            "nothing to search: list what to choose from, as model=cnn,dwsep or width=int(interval(4,64)) does"
        )
    backend = backend_for(launcher, how.batch * len(seeds))
    here, shared = backend is None or backend.watched, [*shared_overrides(config, backend), "fuse=1"]
    compose, console = composing(config, loader), terminal()
    sweep = Sweep(config, _name(config, arguments, given, names, how, drawn), arguments, launcher)
    trials, plan = Trials(how, drawn, names), SweepPlan(())
    with sweep.told_anyway(lambda: _show(sweep, trials), lambda: _write(sweep, trials)):
        while batch := trials.ask():
            jobs = [with_shared([*fixed, *overrides(trial), *seed], shared) for trial in batch for seed in seeds]
            plan = plan_sweep(jobs, compose, here)
            if plan.problems and config.on_error != "skip":
                raise impossible(plan)
            _check_split(plan, names)
            if config.plan:
                console.print(*planned(plan), f"the first {len(batch)} of {counted(how.n_trials, 'trial')}", sep="\n")
                return None
            sweep.write(plan)
            sweep.launch(plan)
            for i, trial in enumerate(batch):
                result = trials.tell(trial, plan.jobs[i * len(seeds) : (i + 1) * len(seeds)])
                line = f"trial {trial.number + 1}/{how.n_trials} {' '.join(overrides(trial))}: {result}"
                console.print(line, soft_wrap=True)
    if not sweep.jobs:
        raise impossible(plan)
    _show(sweep, trials)
    return sweep


def _name(
    config: DictConfig,
    arguments: Sequence[str],
    given: Sequence[str],
    names: Sequence[str],
    how: Search,
    drawn: Collection[str],
) -> SweepName:
    """The name of a search: its space, its objectives and how it draws take the place of a sweep's cells."""
    decides = [*deciding(given), *names, f"{how.sampler} {how.seed} {how.batch}"]
    changes = [*deciding(arguments), *(argument for argument in arguments if key(argument) == "objective")]
    keys = [(tail, tail) for tail in sorted(name.rpartition(".")[2] for name in drawn)]
    words = partial(joined, [("search", "search"), *keys])
    named = config.hydra.runtime.choices.get("sweep")
    return sweep_name(Path(config.outputs).absolute(), named, changes, decides, words)


def _check_split(plan: SweepPlan, names: Sequence[str]) -> None:
    if "val_acc" in names and any(job.plan and job.plan.config.data.split == "study" for job in plan.jobs):
        raise InputError("objective=val_acc would choose on the test images under data.split=study; take standard")


def _show(sweep: Sweep, trials: Trials) -> None:
    """Write and print the tables of runs, and that of trials."""
    sweep.show()
    _write(sweep, trials)
    terminal().print(tables.best(trials.names, trials.best()))


def _write(sweep: Sweep, trials: Trials) -> None:
    """Write the table of trials."""
    try:
        write_atomically(sweep.folder.path / "trials.csv", trials.table().to_csv(index=False, lineterminator="\n"))
    except OSError as error:
        terminal().print(f"trials.csv could not be written: {one_line(error)}", soft_wrap=True)


class Trials:
    """The trials that `how` draws from `space`, judged by the objectives `names`."""

    def __init__(self, how: Search, space: Space, names: Sequence[str]) -> None:
        import optuna

        self.how, self.names, self._space = how, names, space
        directions: list[Any] = [DIRECTIONS[name] for name in names]
        self._study = optuna.create_study(directions=directions, sampler=how.start())

    def ask(self) -> list[Trial]:
        """The next batch; an empty one once there were as many as there are to be."""
        left = self.how.n_trials - len(self._study.trials)
        return [self._study.ask(self._space) for _ in range(min(self.how.batch, left))]

    def tell(self, trial: Trial, jobs: Sequence[PlannedJob]) -> str:
        """Take up what the runs of `trial` came to; returns it in words."""
        import optuna

        by_seed = []
        for job in jobs:
            record = job.plan.folder.result() if job.plan else None
            values = figures(record, self.names) if record else None
            if values is None:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                seed = next((override for override in job.overrides if key(override) == "seed"), "the run")
                status = record.status if record else Status.MISSING
                return f"counts for nothing: {job.problem or f'{seed} is {status}'}"
            by_seed.append(values)
        means = [sum(values) / len(values) for values in zip(*by_seed, strict=True)]
        self._study.tell(trial, means)
        return ", ".join(f"{name} {mean:.6g}" for name, mean in zip(self.names, means, strict=True))

    def table(self) -> pd.DataFrame:
        """A row a trial: its state, its figures, what it was drawn as, and whether it is among the best."""
        frame = self._study.trials_dataframe(attrs=("number", "state", "values", "params"))
        called = {f"values_{i}": name for i, name in enumerate(self.names)} | {"value": self.names[0]}
        frame = frame.rename(columns=called)
        frame["best"] = frame["number"].isin({trial.number for trial in self._study.best_trials})
        return frame

    def best(self) -> list[tuple[tuple[str, ...], list[float]]]:
        """The overrides and figures of the best, in order of the first figure; what was drawn twice stands once."""
        chosen = {tuple(overrides(trial)): trial.values for trial in self._study.best_trials}
        return sorted(chosen.items(), key=lambda item: item[1][0])


def overrides(trial: Trial | FrozenTrial) -> list[str]:
    """What a trial was drawn as."""
    return [f"{name}={value}" for name, value in trial.params.items()]


def space(overrides: Sequence[str]) -> tuple[Space, list[str]]:
    """What each key of `overrides` is drawn from, and the overrides that all have in common; the last of a key counts.

    `a,b` is a choice, `range(4,64)` has the values that Hydra gives it, `interval(0.1,1)` is of real numbers,
    `int(interval(4,64))` of whole ones, `tag(log,interval(0.1,1))` even on a logarithmic scale. Raises InputError for
    what is none of these.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        last = {override.get_key_element(): override for override in parsed}
        drawn = {name: _distribution(override) for name, override in last.items() if override.is_sweep_override()}
    except (HydraException, ValueError) as error:
        raise InputError(one_line(error)) from error
    return drawn, [str(override.input_line) for override in last.values() if not override.is_sweep_override()]


def _distribution(override: object) -> BaseDistribution:
    from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    assert isinstance(override, Override)
    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        log = "log" in value.tags
        if isinstance(value.start, int) and isinstance(value.end, int):
            return IntDistribution(value.start, value.end, log=log)
        return FloatDistribution(value.start, value.end, log=log)
    texts = list(override.sweep_string_iterator())
    if isinstance(value, RangeSweep) and not value.shuffle and all(text.lstrip("-").isdigit() for text in texts):
        numbers = sorted(map(int, texts))
        return IntDistribution(numbers[0], numbers[-1], step=numbers[1] - numbers[0] if len(numbers) > 1 else 1)
    return CategoricalDistribution(texts)
