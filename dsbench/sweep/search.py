"""A search over Optuna: trials of several seeds each, in batches that are planned, launched and recorded as a sweep is.

Nothing of a search is kept but its runs: asked for again it makes the same proposals, finds their runs recorded and
goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from dsbench.config.messages import one_line
from dsbench.config.sweep import key
from dsbench.errors import InputError
from dsbench.run.folder import write_atomically
from dsbench.run.progress import terminal
from dsbench.sweep import axes, tables
from dsbench.sweep.finish import mirror
from dsbench.sweep.launches import Launches
from dsbench.sweep.name import deciding, sweep_name
from dsbench.sweep.objective import objectives
from dsbench.sweep.plan import Job, SweepPlan, plan_sweep
from dsbench.sweep.plan_table import planned
from dsbench.sweep.settle import check, check_slots, composing, settled, with_settled
from dsbench.sweep.space import space
from dsbench.sweep.trials import Search, Trials, overrides

if TYPE_CHECKING:
    import pandas as pd


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
    check(config)
    names = objectives(config.objective)
    given = axes.given(arguments, params, loader)
    seeds = axes.combined([one for one in given if key(one) == "seed"])  # one empty list where none is named
    drawn, fixed = space([one for one in given if key(one) != "seed"])
    if not drawn:
        raise InputError(
            "nothing to search: list what to choose from, as model=cnn,dwsep or width=int(interval(4,64)) does"
        )
    same, _ = settled(config, how.batch * len(seeds))
    compose, console = composing(config, loader), terminal()
    deciders = [*deciding(given), *names, f"{how.sampler} {how.seed} {how.batch}"]
    changes = [*deciding(arguments), *(one for one in arguments if key(one) == "objective")]
    name = sweep_name(config.hydra.runtime.choices.get("sweep"), changes, deciders)
    sweep = Launches(config, name, arguments, launcher)
    trials, plan = Trials(how, drawn, names), SweepPlan(())
    with sweep.shown_anyway(lambda: _show(sweep, trials)):
        while batch := trials.ask():
            asked = [with_settled([*fixed, *overrides(trial), *seed], same) for trial in batch for seed in seeds]
            plan = plan_sweep(asked, compose)
            if plan.problems and config.on_error != "skip":
                raise _impossible(plan.problems)
            _check_split(plan, names)
            check_slots(config, plan)
            if config.plan:
                console.print(planned(plan), f"the first {len(batch)} of {how.n_trials} trials", sep="\n")
                return []
            sweep.ask(plan)
            sweep.launch(plan)
            for i, trial in enumerate(batch):
                said = trials.tell(trial, plan.jobs[i * len(seeds) : (i + 1) * len(seeds)])
                line = f"trial {trial.number + 1}/{how.n_trials} {' '.join(overrides(trial))}: {said}"
                console.print(line, soft_wrap=True)
    if not sweep.jobs:
        raise _impossible(plan.problems)
    runs = _show(sweep, trials)
    mirror(sweep.folder, sweep.example)
    if not sweep.have_results(runs):
        raise SystemExit(1)
    return sweep.returned


def _impossible(problems: Sequence[Job]) -> InputError:
    return InputError(f"{' '.join(problems[0].overrides)}: {problems[0].problem}")


def _check_split(plan: SweepPlan, names: Sequence[str]) -> None:
    if "val_acc" in names and any(job.plan and job.plan.config.data.split == "study" for job in plan.jobs):
        raise InputError("objective=val_acc would choose on the test images under data.split=study; take standard")


def _show(sweep: Launches, trials: Trials) -> pd.DataFrame:
    """Write and print what was found; returns the table of runs."""
    runs = sweep.show()
    try:
        write_atomically(sweep.folder.path / "trials.csv", trials.table().to_csv(index=False, lineterminator="\n"))
    except OSError as error:
        terminal().print(f"trials.csv could not be written: {one_line(error)}", soft_wrap=True)
    terminal().print(tables.best(trials.names, trials.best()))
    return runs
