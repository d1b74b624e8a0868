"""Sweeps in two stages: the first explores and chooses on validation, the second trains on fresh seeds what was chosen.

Each stage is a sweep with a folder of its own. What is chosen is made anew from the folder of the first whenever it is
asked for, so a design is a pure function of its options and of that table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dsbench.config.compose import Composed
from dsbench.config.overrides import key
from dsbench.config.schema import MOST_SEEDS
from dsbench.data.split import per_class
from dsbench.errors import InputError, choose
from dsbench.results.records import OUTCOMES, OWN, ROLES
from dsbench.tables import Table
from dsbench.verdict.rule import Rule
from dsbench.verdict.timings import Records
from dsbench.verdict.verdict import measured_records

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.results.folder import SweepFolder
    from dsbench.run.plan import Plan
    from dsbench.sweep.plan import SweepPlan

FIRST_SEED = MOST_SEEDS  # of what is explored; what is chosen is trained on seeds below
EXPLORES, CHOSEN = "explores", "chosen"  # the stages
CHOSEN_SUFFIX = "-chosen"  # behind the name of the first
EXPLORES_WORDS = "explores: it chooses on validation images, and the test images stay aside"
Compose = Callable[[Sequence[str]], Composed]


@dataclass(frozen=True)
class Cell:
    """A cell to explore: its overrides without a seed, and on how many seeds."""

    overrides: tuple[str, ...]
    seeds: int


@dataclass(frozen=True)
class Explored:
    """What the first stage came to.

    `runs` is its table of runs (see dsbench.results.records.runs_table) without anything that test images say. By
    cell_id `cells` has the overrides of each cell, the seed aside, in the order of the design, and `largest_class` the
    share of its largest class among the validation images: what a network gets that answers one class. `records` has
    those of runs that times were measured of, by run_id. `margin` is that within which two accuracies are as good.
    """

    runs: pd.DataFrame
    cells: Mapping[str, tuple[str, ...]]
    largest_class: Mapping[str, float]
    records: Records = field(default_factory=dict)
    margin: float = 0.0

    @classmethod
    def of(cls, folder: SweepFolder) -> Explored:
        """What the exploring sweep in `folder` came to so far. Raises InputError for a damaged file."""
        kept = folder.design or {}
        cells = {str(cell_id): tuple(overrides) for cell_id, overrides in kept["cells"].items()}
        runs = folder.read()[0]
        margin = Rule(**folder.margins()).margin_of(runs["data"].iloc[0])
        return cls(without_test(runs), cells, kept["largest_class"], measured_records(folder.outputs, runs), margin)


@dataclass(frozen=True)
class Chosen:
    """A cell of the second stage: its overrides, and the `role` in which it was chosen, such as `tuned`."""

    overrides: tuple[str, ...]
    role: str


@dataclass(frozen=True)
class Choice:
    """What follows from what was explored: in words, as tables, and as the cells that the second stage trains.

    Cells that come to the same one are trained once and have both roles. Where networks have settings of their `own`,
    cells are compared within their role alone, and there whatever these settings are. `data` has the figures behind,
    each list of rows by a name: a page has it as JSON and, beside it, as NAME.csv.
    """

    sentences: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    cells: tuple[Chosen, ...] = ()
    own: tuple[str, ...] = ()
    data: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)


class Design(Protocol):
    """How a sweep in two stages explores, and what it chooses. Made of its options, a part of the configuration."""

    measures: bool
    """Whether the cells that are explored are measured by turns, for bench_minutes, before the choice is made."""

    def explore(self, axes: Sequence[str], seeds: int, compose: Compose) -> list[Cell]:
        """The cells to explore, from the overrides of the user's `axes`, that of seeds aside.

        `seeds` is how many the second stage trains of each cell at the most; `compose` turns the overrides of a run
        into its configuration. Raises InputError.
        """
        ...

    def at_most(self, axes: Sequence[str], seeds: int, compose: Compose) -> str:
        """What the second stage trains at the most, as a line below the plan of the first."""
        ...

    def choose(self, explored: Explored) -> Choice:
        """What was chosen, once every run has a result; before that, what there is to choose from so far."""
        ...


def design_of(name: str, options: Mapping[str, Any]) -> Design:
    """The design called `name` with its `options`. Raises InputError for options that make no sense."""
    from dsbench.sweep.sensitivity import SlotPatterns
    from dsbench.sweep.tuned import Tuned

    known: dict[str, Callable[[Mapping[str, Any]], Design]] = {"tuned": Tuned, "sensitivity": SlotPatterns}
    choose("design", name, known)
    return known[name](options)


def explores(folder: SweepFolder) -> bool:
    """Whether the sweep in `folder` is the first of two stages. Raises InputError for a damaged file."""
    return (folder.design or {}).get("stage") == EXPLORES


def refuse_explored(folder: SweepFolder) -> None:
    """Raise InputError where `folder` has the first of two stages, on which there is no verdict."""
    if explores(folder):
        chosen = f"{folder.argument}{CHOSEN_SUFFIX}"
        raise InputError(f"{folder.name} {EXPLORES_WORDS}; the verdict is on what it has chosen, {chosen}")


def choice_of(folder: SweepFolder) -> Choice:
    """What the exploring sweep in `folder` has chosen so far. Raises InputError for a damaged file."""
    return kept_design(folder.design or {}).choose(Explored.of(folder))


def kept_design(kept: Mapping[str, Any]) -> Design:
    """The design of which an exploring sweep's sweep.yaml has `kept` the facts."""
    return design_of(kept["name"], kept["options"])


OPTIONS = {
    "tuned": "tune",
    "sensitivity": "sensitivity",
}  # the key of the configuration that holds the options of each design


def without_test(runs: pd.DataFrame) -> pd.DataFrame:
    """A table of runs without the columns that tell what test images said: nothing can be chosen by these."""
    said = [name for name in runs if (name in OUTCOMES and name.startswith("test_")) or "/test_acc" in name]
    out = runs.drop(columns=said)
    out.attrs = runs.attrs
    return out


def explored_facts(
    name: str, options: Mapping[str, Any], jobs: Sequence[Sequence[str]], plan: SweepPlan
) -> dict[str, Any]:
    """What the sweep.yaml of the first stage keeps of the design, and by which the choice can be made anew.

    `jobs` are those of the `plan` before anything was added to them. Raises InputError for cells that validate on test.
    """
    cells: dict[str, list[str]] = {}
    shares: dict[str, float] = {}
    for overrides, planned in _planned(jobs, plan):
        if planned.config.data.split == "study":
            raise InputError(
                "data.split=study validates on the test images, and nothing is chosen on these; take standard"
            )
        cells.setdefault(planned.cell_id, list(overrides))
        dataset = planned.resources.dataset
        counts = per_class(np.array(dataset.train_counts), dataset.validation_size)
        shares[planned.cell_id] = float(counts.max() / counts.sum())
    return {"name": name, "stage": EXPLORES, "options": dict(options), "cells": cells, "largest_class": shares}


def chosen_facts(
    name: str, choice: Choice, explored: str, jobs: Sequence[Sequence[str]], plan: SweepPlan
) -> dict[str, Any]:
    """What the sweep.yaml of the second stage keeps: in which roles its cells were chosen, from what, and why."""
    asked: dict[tuple[str, ...], list[str]] = {}
    for cell in choice.cells:
        asked.setdefault(cell.overrides, []).append(cell.role)
    roles: dict[str, list[str]] = {}
    for overrides, planned in _planned(jobs, plan):
        own = roles.setdefault(planned.cell_id, [])
        own += [role for role in asked[overrides] if role not in own]
    tables = [{"title": table.title, "rows": table.plain(), "note": table.note} for table in choice.tables]
    said = {"sentences": list(choice.sentences), "tables": tables}
    return {"name": name, "stage": CHOSEN, "explored": explored, ROLES: roles, OWN: list(choice.own), **said}


def _planned(jobs: Sequence[Sequence[str]], plan: SweepPlan) -> Iterator[tuple[tuple[str, ...], Plan]]:
    """The overrides of each of `jobs`, the seed aside, with its plan."""
    for overrides, job in zip(jobs, plan.jobs, strict=True):
        if job.plan is not None:
            yield tuple(override for override in overrides if key(override) != "seed"), job.plan
