"""The trials of a search: drawn by one of Optuna's samplers, worth the mean over their runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench.config.sweep import key
from dsbench.errors import InputError
from dsbench.sweep.objective import DIRECTIONS, figures
from dsbench.sweep.plan import Job
from dsbench.sweep.space import Space

if TYPE_CHECKING:
    import pandas as pd
    from optuna.samplers import BaseSampler
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

    def tell(self, trial: Trial, jobs: Sequence[Job]) -> str:
        """Take up what the runs of `trial` came to; returns it in words."""
        import optuna

        found = []
        for job in jobs:
            record = (job.plan.folder.result() if job.plan else None) or {}
            values = figures(record, self.names)
            if values is None:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                seed = next((one for one in job.overrides if key(one) == "seed"), "the run")
                return f"counts for nothing: {job.problem or f'{seed} is ' + record.get('status', 'missing')}"
            found.append(values)
        means = [sum(values) / len(values) for values in zip(*found, strict=True)]
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
        return sorted(chosen.items(), key=lambda one: one[1][0])


def overrides(trial: Trial | FrozenTrial) -> list[str]:
    """What a trial was drawn as."""
    return [f"{name}={value}" for name, value in trial.params.items()]
