"""Which slots are worth making separable: what each changes in accuracy, costs and times, and what hybrid follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from dsbench.measure.timing import FEWEST_REPEATS
from dsbench.quantities import LIGHTER, Quantity
from dsbench.quantities import QUANTITIES as ALL
from dsbench.statistics.effects import Effects, Term, effects
from dsbench.statistics.fractions import Fraction
from dsbench.statistics.means import ALPHA, FEWEST, Interval, t_interval
from dsbench.verdict.better import Decision, answered
from dsbench.verdict.cells import UNTRAINED
from dsbench.verdict.rule import DECIDED, Answer
from dsbench.verdict.timings import STEP, Key, Records, times_of

if TYPE_CHECKING:
    import pandas as pd

Pattern = tuple[bool, ...]  # of the slots that a family can fill, in order: whether each is separable
TIMES: dict[str, Key] = {"train_step_ms": STEP, "latency_ms": ("latency_ms", "batch_1", "torch")}
COSTS: tuple[Quantity, ...] = (*LIGHTER, *(ALL[name] for name in TIMES))  # what a hybrid can be chosen by
MOST_SLOTS = 16  # of which all patterns are predicted; of more those that were trained


@dataclass(frozen=True)
class Change:
    """By how much something changes, in its own unit, and its interval, where one is known."""

    mean: float
    interval: Interval | None = None


@dataclass(frozen=True)
class Slot:
    """What a separable `number`, from 1 among all slots, changes against a plain one, in the mean over the others.

    `accuracy` is on validation, a share of 1, with the `answer` that its interval gives; None where it is not known.
    `costs` has the change of each of COSTS that is known, by name. `failed` has how many trainings failed of how many
    with the slot plain, and with it separable.
    """

    number: int
    accuracy: Change | None
    answer: Answer
    costs: dict[str, Change]
    failed: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Interaction:
    """By how much the effect of one slot changes when the other is separable too; `pairs` of slots, from 1.

    Several pairs are a chain: the change is the sum of theirs. `seen` says whether its interval is clear of 0.
    """

    pairs: tuple[tuple[int, int], ...]
    change: Change

    @property
    def seen(self) -> bool:
        """Whether its interval is clear of 0."""
        interval = self.change.interval
        return interval is not None and not interval.low <= 0 <= interval.high


@dataclass(frozen=True)
class Proposal:
    """The hybrid that is predicted to lose no more than the margin at the least cost.

    `accuracy` is what it changes against the network of plain slots, `saved` by name the share of each known cost that
    it saves.
    """

    pattern: Pattern
    accuracy: float
    saved: dict[str, float]


@dataclass(frozen=True)
class Sensitivity:
    """What a designed experiment says of the slots of an architecture.

    `trained` and `failed` count trainings; `left` those without a result yet. `total` is the number of all slots.
    `seeds_to_decide`, of each pattern, would probably decide every slot that is not; None where none are, or no number
    is known. `budget` is the cost that all patterns have in common, where they were
    solved to one. `cost` is what the proposal goes by.
    """

    design: Fraction
    total: int
    slots: tuple[Slot, ...]
    interactions: tuple[Interaction, ...]
    proposal: Proposal | None
    margin: float
    cost: str
    budget: str | None
    trained: int
    failed: int
    left: int
    seeds_to_decide: int | None
    predicted: dict[str, float] = field(default_factory=dict)

    @property
    def free(self) -> list[int]:
        """The numbers of the slots."""
        return [slot.number for slot in self.slots]

    @property
    def level(self) -> float:
        """At which each slot's interval is taken: together they have ALPHA."""
        return ALPHA / len(self.slots)

    @property
    def decided(self) -> bool:
        """Whether every slot's effect is decided."""
        return all(slot.answer in DECIDED for slot in self.slots)


def entries(pattern: Sequence[bool], free: Sequence[int], total: int) -> list[str]:
    """What model.pattern lists for a pattern of the slots that are `free`, numbers from 1, of `total`; others plain."""
    separable = {number for number, own in zip(free, pattern, strict=True) if own}
    return ["separable" if number in separable else "plain" for number in range(1, total + 1)]


@dataclass(frozen=True)
class Experiment:
    """The runs of a design: `patterns` by cell_id in its order, and the numbers of the slots that vary, of `total`."""

    design: Fraction
    free: tuple[int, ...]
    total: int
    patterns: Mapping[str, Pattern]
    runs: pd.DataFrame
    records: Records

    @cached_property
    def levels(self) -> np.ndarray:
        """(patterns, slots), whether each is separable."""
        return np.array(list(self.patterns.values()), dtype=bool)

    @cached_property
    def terms(self) -> tuple[list[Term], list[Term]]:
        """The slots' effects, and the interactions, of each chain the first."""
        return [(slot,) for slot in range(len(self.free))], [chain[0] for chain in self.design.chains]

    @cached_property
    def told(self) -> list[Term]:
        """The terms by which patterns are predicted: interactions where these are clear of each other."""
        own, interactions = self.terms
        return [*own, *interactions] if self.design.resolution >= 5 else own

    def accuracies(self) -> list[list[float]]:
        """The best validation accuracies of the runs of each pattern that are done."""
        done = self.runs[(self.runs["status"] == "done") & self.runs["best_val_acc"].notna()]
        return [done.loc[done["cell_id"] == cell_id, "best_val_acc"].tolist() for cell_id in self.patterns]

    def counted(self, name: str) -> Effects | None:
        """The effects on a cost that is counted: the same for all runs of a pattern."""
        first = self.runs.drop_duplicates("cell_id").set_index("cell_id")[name]
        values = [first.get(cell_id) for cell_id in self.patterns]
        return effects(self.levels, [[] if value is None else [float(value)] for value in values], self.told)

    def timed(self, key: Key) -> list[Effects]:
        """The effects on a time, one for each session in which all patterns took turns."""
        by_cell: dict[str, dict[str, float]] = {cell_id: {} for cell_id in self.patterns}
        for run_id, cell_id in self.runs[["run_id", "cell_id"]].itertuples(index=False):
            record = self.records.get(run_id)
            if record is not None and record.measured.get("measured_on"):
                for repeat in times_of(record).get(key, ()):
                    if repeat.session:
                        by_cell[cell_id].setdefault(repeat.session, repeat.ms)
        together = set.intersection(*(set(own) for own in by_cell.values()))
        fitted = [
            effects(self.levels, [[own[session]] for own in by_cell.values()], self.told)
            for session in sorted(together)
        ]
        return [one for one in fitted if one is not None]


def sensitivity(experiment: Experiment, margin: float, cost: str) -> Sensitivity:
    """What an experiment says so far; `margin` is a share of 1, `cost` the name of one of COSTS."""
    own, interactions = experiment.terms
    values = experiment.accuracies()
    fit = effects(experiment.levels, values, [*own, *interactions]) or effects(experiment.levels, values, own)
    counted = {cost.name: experiment.counted(cost.name) for cost in LIGHTER}
    timed = {name: experiment.timed(key) for name, key in TIMES.items()}
    budgets = experiment.runs["requested_kind"].dropna().unique()
    failed = experiment.runs["status"].isin(UNTRAINED)
    proposed, predicted = _proposal(experiment, values, counted, timed, margin, cost)
    slots = tuple(_slot(experiment, number, fit, values, counted, timed, margin) for number in range(len(own)))
    return Sensitivity(
        design=experiment.design,
        total=experiment.total,
        slots=slots,
        interactions=tuple(_interactions(experiment, fit)) if fit and set(interactions) <= {*fit.terms} else (),
        proposal=proposed,
        margin=margin,
        cost=cost,
        budget=str(budgets[0]) if len(budgets) else None,
        trained=sum(map(len, values)) + int(failed.sum()),
        failed=int(failed.sum()),
        left=len(experiment.runs) - sum(map(len, values)) - int(failed.sum()),
        seeds_to_decide=_seeds_to_decide(slots, fit, experiment.design.runs, margin) if fit else None,
        predicted=predicted,
    )


def _seeds_to_decide(slots: Sequence[Slot], fit: Effects, patterns: int, margin: float) -> int | None:
    """The seeds of each pattern that would decide all slots that are not; None where all are, or no number is known."""
    level = ALPHA / len(slots)
    needed = [
        fit.values_to_decide((number,), level, margin)
        for number, slot in enumerate(slots)
        if slot.answer not in DECIDED
    ]
    return -(-max(filter(None, needed)) // patterns) if needed and all(needed) else None


def _slot(
    experiment: Experiment,
    slot: int,
    fit: Effects | None,
    values: Sequence[Sequence[float]],
    counted: Mapping[str, Effects | None],
    timed: Mapping[str, Sequence[Effects]],
    margin: float,
) -> Slot:
    level, separable = ALPHA / len(experiment.free), experiment.levels[:, slot]
    accuracy = Change(fit.of((slot,)), fit.interval((slot,), level)) if fit else None
    costs = {name: Change(own.of((slot,))) for name, own in counted.items() if own}
    for name, sessions in timed.items():
        each = [session.of((slot,)) for session in sessions]
        if each:
            costs[name] = Change(fmean(each), t_interval(each, level) if len(each) >= FEWEST_REPEATS else None)
    sides = [[own for own, at in zip(values, separable, strict=True) if at == side] for side in (False, True)]
    few = min(sum(map(len, side)) for side in sides) < FEWEST
    interval = accuracy.interval if accuracy else None
    decision = Decision(Answer.TOO_FEW, interval) if few or interval is None else answered(interval, margin)
    of = np.array([experiment.patterns[cell_id][slot] for cell_id in experiment.runs["cell_id"]], dtype=bool)
    broken = experiment.runs["status"].isin(UNTRAINED).to_numpy()
    failed = tuple((int((broken & (of == side)).sum()), int((of == side).sum())) for side in (False, True))
    return Slot(experiment.free[slot], accuracy, decision.answer, costs, (failed[0], failed[1]))


def _interactions(experiment: Experiment, fit: Effects) -> list[Interaction]:
    """All of them, at the level that leaves each its share."""
    chains, free = experiment.design.chains, experiment.free
    return [
        Interaction(
            tuple((free[first], free[second]) for first, second in chain),
            Change(fit.of(chain[0]), fit.interval(chain[0], ALPHA / len(chains))),
        )
        for chain in chains
    ]


def _proposal(
    experiment: Experiment,
    values: Sequence[Sequence[float]],
    counted: Mapping[str, Effects | None],
    timed: Mapping[str, Sequence[Effects]],
    margin: float,
    cost: str,
) -> tuple[Proposal | None, dict[str, float]]:
    """The proposal, None where nothing is; and what the network of plain slots is predicted to cost, by name."""
    accuracy, slots = effects(experiment.levels, values, experiment.told), len(experiment.free)
    candidates = np.array(list(product((False, True), repeat=slots))) if slots <= MOST_SLOTS else experiment.levels
    plain = np.zeros((1, slots), dtype=bool)
    fitted = {name: [own] for name, own in counted.items() if own} | {name: own for name, own in timed.items() if own}
    base = {name: _mean(own, plain)[0] for name, own in fitted.items()}
    if accuracy is None or cost not in fitted:
        return None, base
    changes = accuracy.predicted(candidates) - accuracy.predicted(plain)
    costs = _mean(fitted[cost], candidates)
    within = candidates.any(axis=1) & (changes >= -margin) & (costs < base[cost] * (1 - 1e-9))
    if not within.any():
        return None, base
    best = min(np.flatnonzero(within), key=lambda row: (costs[row], -changes[row]))
    chosen = candidates[best : best + 1]
    saved = {name: float(1 - _mean(own, chosen)[0] / base[name]) for name, own in fitted.items()}
    return Proposal(tuple(map(bool, chosen[0])), float(changes[best]), saved), base


def _mean(fitted: Sequence[Effects], patterns: np.ndarray) -> np.ndarray:
    return np.mean([own.predicted(patterns) for own in fitted], axis=0)
