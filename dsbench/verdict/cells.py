"""The cells of a sweep as a verdict sees them: what each is called, is, costs, and came to in each seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dsbench.quantities import JUDGED
from dsbench.results.naming import short_names
from dsbench.results.records import NAMES, OWN, ROLES, labels, plain, settings
from dsbench.run.record import BROKEN, FINAL, RECIPE

if TYPE_CHECKING:
    import pandas as pd

COSTS = tuple(cost.name for cost in JUDGED)
UNTRAINED = ("collapsed", "diverged")  # trainings that ended without a network that has learnt
TOLERANCE = 0.01  # share of a budget within which costs count as matched, as budget.tolerance has it
DATA = ("data", "split")  # of a recipe: what accuracies must share to be compared at all
DEPTHWISE = "optimizer.decay_depthwise"  # goes with the block: a network without one has none of it
_ALSO = ("data", "split", "precision", "test_weights")  # columns that belong to the recipe too


@dataclass(frozen=True)
class Run:
    """One run of a cell; `test_acc` is a share of 1 and, where the run is not done, not the accuracy of a result.

    `int8` has the test accuracy of its int8 files by chip and precision, `litert/int8`.
    """

    run_id: str
    seed: int | None
    status: str
    test_acc: float | None
    train_seconds: float | None
    epochs: int | None
    device: str | None
    threads: int | None
    precision: str | None
    n_jobs: int | None
    fused: int | None = None
    graph: bool = False  # as in older records, which have none
    remark: str | None = None
    int8: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """What was asked of a network's cost; `kind` is params, macs, acts, latency_ms or train_seconds_per_epoch.

    Of what a `chip` counts it is arena_bytes, cycles and so on, which was to match or to be at most the target.
    """

    kind: str
    scope: str
    match: str | None
    target: float
    chip: str | None = None


@dataclass(frozen=True)
class Accuracy:
    """Test accuracy over the `n` runs that are done: mean, standard deviation and 95 % interval, shares of 1."""

    n: int
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None


CONDITIONS = ("device", "precision", "threads", "n_jobs", "graph")  # of trainings side by side


@dataclass(frozen=True)
class Cell:
    """All runs that differ in their seed alone.

    `label` tells it apart within the sweep. `costs` are for one image, `recipe` all settings of its training, `network`
    those of its network that names do not tell, `counts` how many runs came to what, by status, `train_macs` what one
    that is done spent in training, in the mean.
    """

    cell_id: str
    label: str
    names: dict[str, Any]
    budget: Budget | None
    costs: dict[str, int | None]
    recipe: dict[str, Any]
    network: dict[str, Any]
    runs: tuple[Run, ...]
    counts: dict[str, int]
    accuracy: Accuracy
    train_macs: float | None
    chips: dict[str, dict[str, float]]
    experiment: str | None = field(metadata={"plain": False})  # as names["study"] has it, changed or not
    roles: tuple[str, ...] = field(default=(), metadata={"plain": False})  # in which a design has chosen it
    own: tuple[str, ...] = field(default=(), metadata={"plain": False})  # settings that each network has its own of

    @property
    def scores(self) -> dict[int, float]:
        """Test accuracy by seed, of the runs that are done."""
        return {
            run.seed: run.test_acc
            for run in self.runs
            if run.status == "done" and run.seed is not None and run.test_acc is not None
        }

    @property
    def untrained(self) -> tuple[Run, ...]:
        """The runs that collapsed or diverged."""
        return tuple(run for run in self.runs if run.status in UNTRAINED)

    @property
    def without_result(self) -> tuple[Run, ...]:
        """The runs that failed, were killed or took too long."""
        return tuple(run for run in self.runs if run.status in BROKEN)

    @property
    def ended(self) -> int:
        """How many runs have a result: done, collapsed or diverged."""
        return sum(run.status in FINAL for run in self.runs)

    @cached_property
    def done(self) -> tuple[Run, ...]:
        """The runs that are done."""
        return tuple(run for run in self.runs if run.status == "done")

    @cached_property
    def trained_under(self) -> dict[str, tuple[Any, ...]]:
        """The values of each of CONDITIONS that its runs that are done have."""
        return {name: tuple(dict.fromkeys(getattr(run, name) for run in self.done)) for name in CONDITIONS}

    @property
    def fused(self) -> set[int]:
        """How many its runs that are done were trained with as one program; 1 is alone, as in older records."""
        return {run.fused or 1 for run in self.done}


def cells(runs: pd.DataFrame, table: pd.DataFrame) -> list[Cell]:
    """The cells of `table` (see cells_table) with their `runs` (see runs_table), in order."""
    of: dict[str, list[Run]] = {}
    for row in plain(runs):
        facts: dict[str, Any] = {name: row.get(name) for name in Run.__annotations__}
        accuracies = {place: said["test_acc"] for place, said in _on_chips(row).items() if "test_acc" in said}
        facts["int8"] = {place: value for place, value in accuracies.items() if "/int8" in place}
        facts["graph"] = bool(facts["graph"])
        of.setdefault(row["cell_id"], []).append(Run(**facts))
    rows, named = plain(table), short_names(table) if len(table) else []
    experiments = [label.experiment for label in labels(table)]
    found = [
        _cell(row, label, experiment, settings(table), tuple(of[row["cell_id"]]))
        for row, label, experiment in zip(rows, named, experiments, strict=True)
    ]
    roles, own = (table.attrs.get(name, {}) for name in (ROLES, OWN))
    return [replace(cell, roles=tuple(roles.get(cell.cell_id, ())), own=tuple(own)) for cell in found]


def _on_chips(row: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """What the row of a table says of chips, by chip and precision and the name of the figure."""
    out: dict[str, dict[str, float]] = {}
    for path, value in row.items():
        if path.startswith("chips/") and path.count("/") == 3 and value is not None:
            _, chip, precision, name = path.split("/")
            out.setdefault(f"{chip}/{precision}", {})[name] = value
    return out


def _cell(
    row: Mapping[str, Any], label: str, experiment: str | None, known: Sequence[str], runs: tuple[Run, ...]
) -> Cell:
    given = {name: row[name] for name in known if row[name] is not None}
    trains = {name: value for name, value in given.items() if name.split(".")[0] in RECIPE and name != DEPTHWISE}
    recipe = {name: row[name] for name in _ALSO if row[name] is not None} | trains
    if recipe.get("stop.by") == "seconds":  # how much is trained in them is up to the machine
        recipe |= {name: row[name] for name in ("device", "threads") if row[name] is not None}
    asked: dict[str, Any] = {
        name: row.get(f"requested_{name}") for name in ("kind", "scope", "match", "target", "chip")
    }
    return Cell(
        cell_id=row["cell_id"],
        label=label,
        names={name: row[name] for name in NAMES},
        budget=Budget(**asked) if asked["kind"] and asked["target"] else None,
        costs={name: row[name] for name in COSTS},
        recipe=recipe,
        network={name: value for name, value in given.items() if name not in trains},
        runs=runs,
        counts=dict(Counter(run.status for run in runs)),
        accuracy=Accuracy(row["n_done"], *(row[f"test_acc_{name}"] for name in ("mean", "sd", "low", "high"))),
        train_macs=row["train_macs_mean"],
        chips=_on_chips(row),
        experiment=experiment,
    )


def differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """The names of what differs among `settings`."""
    names = dict.fromkeys(name for values in settings for name in values)
    return [name for name in names if len({json.dumps(values.get(name)) for values in settings}) > 1]
