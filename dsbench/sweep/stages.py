"""What a sweep plans and trains as one: all of a usual sweep, or the first or the second stage of a design."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dsbench.config.overrides import key, lists_values, value
from dsbench.config.schema import DESIGNS, SWEEPS_OWN
from dsbench.errors import InputError
from dsbench.results.folder import SweepFolder
from dsbench.run.record import Record
from dsbench.sweep import axes
from dsbench.sweep.design import (
    FIRST_SEED,
    Asked,
    Compose,
    Design,
    choice_of,
    chosen_facts,
    design_of,
    explored_facts,
    roles_of,
)
from dsbench.sweep.looks import Schedule
from dsbench.sweep.name import LONGEST_EXPLORED, SweepName, chosen_name, deciding, words
from dsbench.sweep.plan import SweepPlan


@dataclass(frozen=True)
class Stage:
    """What is planned, launched and collected as one sweep: its jobs, and `name`, which is asked once there is a plan.

    Of one of two stages `design` says what sweep.yaml keeps of it. Of the first `then` is the second, of what is in its
    folder once it is complete, and `after` says below its plan what that is at the most. `measures`: whether its cells
    are measured by turns at its end.
    """

    jobs: list[list[str]]
    name: Callable[[SweepPlan], SweepName]
    schedule: Schedule | None = None
    design: Callable[[SweepPlan], dict[str, Any]] | None = None
    then: Callable[[SweepFolder], Stage] | None = None
    after: str = ""
    measures: bool = True


@dataclass(frozen=True)
class Designed:
    """A design with the axes that it is asked for: its two stages.

    `axes` are the overrides that decide what is trained, seeds aside, `beside` the others, such as outputs=. `seeds`
    are those on which the second stage trains, by the `schedule` where it has one.
    """

    name: str
    design: Design
    options: dict[str, Any]
    axes: list[str]
    beside: list[str]
    seeds: list[str]
    schedule: Schedule | None
    compose: Compose

    @classmethod
    def of(cls, config: DictConfig, overrides: Sequence[str], schedule: Schedule | None, compose: Compose) -> Designed:
        """What `overrides` ask for. Raises InputError for options that make no sense, and for seeds of the others."""
        options: Any = OmegaConf.to_container(config[DESIGNS[config.design].options])
        given = [override for override in overrides if key(override).split(".")[0] not in SWEEPS_OWN]
        seeds = axes.combined([override for override in given if key(override) == "seed"])
        if any(
            not re.fullmatch("seed=[0-9]+", seed) or int(value(seed)) >= FIRST_SEED for own in seeds for seed in own
        ):
            raise InputError(f"design={config.design}: seeds lie below {FIRST_SEED:,}; from there on it explores")
        others = [override for override in given if key(override) != "seed"]
        decide = [override for override in others if deciding([override]) or lists_values(override)]
        beside = [override for override in others if override not in decide]
        return cls(
            name=config.design,
            design=design_of(config.design, options),
            options=options,
            axes=decide,
            beside=beside,
            seeds=[seed for own in seeds for seed in own] or ["seed=0"],
            schedule=schedule,
            compose=lambda own: compose([*beside, *own]),
        )

    def words(self, cells: Sequence[Record]) -> str:
        """The name of the first stage, short enough that the second's has the same letters and more; whole words."""
        text, most = f"{self.name}-{words(cells)}", LONGEST_EXPLORED
        return (text if len(text) <= most else text[: most + 1].rpartition("-")[0] or text[:most]).rstrip("-.")

    def exploring(self, name: Callable[[SweepPlan], SweepName]) -> Stage:
        """The first stage. Raises InputError for axes that cannot be explored."""
        asked = self.axes, len(self.seeds), self.compose
        cells = self.design.explore(*asked)
        of_jobs = [(cell.overrides, f"seed={FIRST_SEED + i}") for cell in cells for i in range(cell.seeds)]
        return Stage(
            self._jobs(of_jobs),
            name,
            design=partial(explored_facts, self.name, self.options, of_jobs),
            then=self.chosen,
            after=self.design.at_most(*asked),
            measures=self.design.measures,
        )

    def chosen(self, folder: SweepFolder) -> Stage:
        """The second stage, where all of the first in `folder` has ended."""
        choice = choice_of(folder)
        cells = dict.fromkeys(cell.overrides for cell in choice.cells)
        of_jobs = [(cell, seed) for cell in cells for seed in self.seeds]
        facts = partial(chosen_facts, self.name, choice, folder.name, of_jobs)

        def name(plan: SweepPlan) -> SweepName:
            return chosen_name(folder, roles_of(choice, of_jobs, plan))

        after = "" if cells else " ".join(choice.sentences)
        return Stage(self._jobs(of_jobs), name, self.schedule, facts, after=after)

    def _jobs(self, asked: Asked) -> list[list[str]]:
        return [[*self.beside, *overrides, seed] for overrides, seed in asked]
