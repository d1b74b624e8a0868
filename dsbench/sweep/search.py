"""A search over Optuna: trials of several seeds each, in batches that are planned, launched and recorded as a sweep is.

Nothing of a search is kept but its runs: asked for again it makes the same proposals, finds their runs recorded and
goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from dsbench.config.messages import one_line
from dsbench.errors import InputError
from dsbench.run.folder import write_atomically
from dsbench.run.progress import terminal
from dsbench.run.status import FINAL
from dsbench.sweep import axes, tables
from dsbench.sweep.fate import Fate
from dsbench.sweep.finish import mirror, reasons, show
from dsbench.sweep.folder import SweepFolder
from dsbench.sweep.name import deciding, sweep_name
from dsbench.sweep.objective import DIRECTIONS, figures, objectives
from dsbench.sweep.plan import Job, SweepPlan, plan_sweep
from dsbench.sweep.plan_table import planned
from dsbench.sweep.settle import check, check_slots, composing, precision, settled
from dsbench.sweep.space import space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

SAMPLERS = {"tpe": "TPESampler", "nsga2": "NSGAIISampler", "random": "RandomSampler"}


@dataclass(frozen=True)
class Search:
    """How to search: which of SAMPLERS, its seed, how many trials in all and at a time."""

    sampler: str
    seed: int
    n_trials: int
    batch: int

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise InputError(f"unknown hydra.sweeper.sampler {self.sampler!r}; choose one of {', '.join(SAMPLERS)}")
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
) -> list[Sequence[JobReturn]]:
    """Search the space that `arguments`, on top of a named sweep's `params`, list; returns what was launched.

    What a trial is worth is the mean over its seeds. One with a run that failed, diverged or cannot be counts for
    nothing, and the search goes on. Raises InputError for a run that cannot be, unless on_error=skip. Raises
    SystemExit(1) where runs have failed. The tables are written and printed however the search ends.
    """
    import optuna

    check(config)
    names = objectives(config.objective)
    given = axes.given(arguments, params, loader)
    seeds = axes.combined([one for one in given if axes.key(one) == "seed"])  # one empty list where none is named
    drawn, fixed = space([one for one in given if axes.key(one) != "seed"])
    if not drawn:
        raise InputError(
            "nothing to search: list what to choose from, as model=cnn,dwsep or width=int(interval(4,64)) does"
        )
    same, _ = settled(config, how.batch * len(seeds))
    compose, console = composing(config, loader), terminal()
    directions: list[Any] = [DIRECTIONS[name] for name in names]
    study = optuna.create_study(directions=directions, sampler=how.start())
    name = sweep_name(
        config.hydra.runtime.choices.get("sweep"),
        arguments,
        [*deciding(given), *names, f"{how.sampler} {how.seed} {how.batch}"],
    )
    folder = SweepFolder(Path(config.outputs).absolute() / "sweeps" / name)
    launcher.folder = folder.path / "jobs"  # type: ignore[attr-defined]
    jobs: list[Job] = []
    group = [f"logger.group={name}"] if config.logger.get("group", "") is None else []
    launched: list[Sequence[JobReturn]] = []
    why: dict[str, Fate] = {}
    try:
        while len(study.trials) < how.n_trials:
            trials = [study.ask(drawn) for _ in range(min(how.batch, how.n_trials - len(study.trials)))]
            asked = [[*fixed, *_overrides(trial), *seed, *same] for trial in trials for seed in seeds]
            plan = plan_sweep(asked, compose)
            if plan.problems and config.on_error != "skip":
                raise _impossible(plan.problems)
            _check_split(plan, names)
            check_slots(config, plan)
            if config.plan:
                console.print(planned(plan), f"the first {len(trials)} of {how.n_trials} trials", sep="\n")
                return []
            jobs += plan.jobs
            if plan.runs:
                folder.write_plan([job.plan.facts() for job in jobs if job.plan], arguments)
            if plan.missing:
                missing = plan.missing
                launched.append(launcher.launch([[*job.overrides, *precision(job), *group] for job in missing], 0))
                why |= reasons(missing, launched[-1:])
            for i, trial in enumerate(trials):
                said = _tell(study, trial, plan.jobs[i * len(seeds) : (i + 1) * len(seeds)], names)
                line = f"trial {trial.number + 1}/{how.n_trials} {' '.join(_overrides(trial))}: {said}"
                console.print(line, soft_wrap=True, markup=False)
    finally:
        failed = folder.sweep_file.exists() and _end(folder, study, names, why)
    if not any(job.plan for job in jobs):
        raise _impossible(jobs)
    mirror(folder, next(job.plan for job in jobs if job.plan).config)
    if failed:
        raise SystemExit(1)
    return launched


def _overrides(trial: Trial | FrozenTrial) -> list[str]:
    return [f"{key}={value}" for key, value in trial.params.items()]


def _impossible(problems: Sequence[Job]) -> InputError:
    return InputError(f"{' '.join(problems[0].overrides)}: {problems[0].problem}")


def _check_split(plan: SweepPlan, names: Sequence[str]) -> None:
    if "val_acc" in names and any(job.plan and job.plan.config.data.split == "study" for job in plan.jobs):
        raise InputError("objective=val_acc would choose on the test images under data.split=study; take standard")


def _tell(study: Study, trial: Trial, jobs: Sequence[Job], names: Sequence[str]) -> str:
    """Tell `study` what a trial is worth; returns it in words."""
    import optuna

    found = []
    for job in jobs:
        record = (job.plan.folder.result() if job.plan else None) or {}
        values = figures(record, names)
        if values is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            seed = next((one for one in job.overrides if axes.key(one) == "seed"), "the run")
            return f"counts for nothing: {job.problem or f'{seed} is ' + record.get('status', 'missing')}"
        found.append(values)
    means = [sum(values) / len(values) for values in zip(*found, strict=True)]
    study.tell(trial, means)
    return ", ".join(f"{name} {mean:.6g}" for name, mean in zip(names, means, strict=True))


def _end(folder: SweepFolder, study: Study, names: Sequence[str], why: Mapping[str, Fate]) -> bool:
    """Write and print what was found; returns whether runs have failed. `why` some have is known by run_id."""
    frame = study.trials_dataframe(attrs=("number", "state", "values", "params"))
    called = {f"values_{i}": name for i, name in enumerate(names)} | {"value": names[0]}
    frame = frame.rename(columns=called)
    frame["best"] = frame["number"].isin({trial.number for trial in study.best_trials})
    runs = show(folder, why)
    try:
        write_atomically(folder.path / "trials.csv", frame.to_csv(index=False, lineterminator="\n"))
    except OSError as error:
        terminal().print(f"trials.csv could not be written: {one_line(error)}", soft_wrap=True)
    chosen = {tuple(_overrides(trial)): trial.values for trial in study.best_trials}  # some are drawn twice
    terminal().print(tables.best(names, sorted(chosen.items(), key=lambda one: one[1][0])))
    return not runs["status"].isin(FINAL).all()
