"""Which slots to make separable: what each changes in accuracy, costs and times, and what hybrid follows."""

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
from dsbench.results.records import plain, tested_val_acc
from dsbench.statistics.effects import Effects, Term, fitted_effects
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
class SlotEffect:
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
    """A hybrid, with what it is predicted to change against the network of plain slots.

    `accuracy` is a share of 1 with its interval at 1 - ALPHA, of this pattern alone, `saved` by name the share of each
    known cost that it saves. `failed` says how many trainings failed of how many: of the pattern itself, or where it
    was not trained of those with `worst` separable, of its slots the one of which most failed.
    """

    pattern: Pattern
    accuracy: Change
    saved: dict[str, float]
    failed: tuple[int, int] = (0, 0)
    worst: int | None = None


@dataclass(frozen=True)
class Sensitivity:
    """What a designed experiment says of the slots of an architecture.

    `trained` and `failed` count trainings; `left` those without a result yet. `total` is the number of all slots.
    `seeds_to_decide`, of each pattern, would probably decide every slot that is not; None where none are, or no number
    is known. `budget` is the cost that all patterns have in common, where they were
    solved to one. `cost` is what the proposal goes by. Where there is none, `nearest` is the hybrid that saves of it
    and comes nearest to the margin; None where none saves. `predicted` is what the network of plain slots costs, by
    name.
    """

    design: Fraction
    total: int
    slots: tuple[SlotEffect, ...]
    interactions: tuple[Interaction, ...]
    proposal: Proposal | None
    nearest: Proposal | None
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
    def untimed(self) -> bool:
        """Whether the proposal was to go by a time that was not measured."""
        return self.cost in TIMES and self.cost not in self.predicted


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
        """The terms by which costs are predicted: interactions where these are clear of each other."""
        own, interactions = self.terms
        return [*own, *interactions] if self.design.resolution >= 5 else own

    @cached_property
    def accuracies(self) -> list[list[float]]:
        """The validation accuracies, of the weights that were tested, of the runs of each pattern that are done."""
        out: dict[str, list[float]] = {cell_id: [] for cell_id in self.patterns}
        for row in plain(self.runs[self.runs["status"] == "done"]):
            if (accuracy := tested_val_acc(row)) is not None:
                out[row["cell_id"]].append(accuracy)
        return list(out.values())

    @cached_property
    def failures(self) -> np.ndarray:
        """(patterns, 2): how many trainings of each failed, of how many."""
        broken = self.runs["status"].isin(UNTRAINED)
        of = [self.runs["cell_id"] == cell_id for cell_id in self.patterns]
        return np.array([(int((own & broken).sum()), int(own.sum())) for own in of])

    def failures_of(self, slot: int, separable: bool) -> tuple[int, int]:
        """How many trainings failed of how many with a slot, from 0, plain or separable."""
        failed, runs = self.failures[self.levels[:, slot] == separable].sum(axis=0)
        return int(failed), int(runs)

    def counted(self, name: str) -> Effects | None:
        """The effects on a cost that is counted: the same for all runs of a pattern."""
        first = self.runs.drop_duplicates("cell_id").set_index("cell_id")[name]
        values = [first.get(cell_id) for cell_id in self.patterns]
        return fitted_effects(self.levels, [[] if value is None else [float(value)] for value in values], self.told)

    def timed(self, key: Key) -> list[Effects]:
        """The effects on a time, one for each session in which all patterns that have a run that is done took turns."""
        by_cell: dict[str, dict[str, float]] = {cell_id: {} for cell_id in self.patterns}
        for run_id, cell_id in self.runs[["run_id", "cell_id"]].itertuples(index=False):
            record = self.records.get(run_id)
            if record is not None and record.measured.get("measured_on"):
                for repeat in times_of(record).get(key, ()):
                    if repeat.session:
                        by_cell[cell_id].setdefault(repeat.session, repeat.ms)
        done = set(self.runs.loc[self.runs["status"] == "done", "cell_id"])
        of_done = [set(own) for cell_id, own in by_cell.items() if cell_id in done]
        together = set.intersection(*of_done) if of_done else set()
        fitted = []
        for session in sorted(together):
            values = [[own[session]] if session in own else [] for own in by_cell.values()]
            whole = fitted_effects(self.levels, values, self.told)
            fitted.append(whole or fitted_effects(self.levels, values, self.terms[0]))
        return [one for one in fitted if one is not None]


def sensitivity(experiment: Experiment, margin: float, cost: str) -> Sensitivity:
    """What an experiment says so far; `margin` is a share of 1, `cost` the name of one of COSTS."""
    own, interactions = experiment.terms
    values = experiment.accuracies
    whole = fitted_effects(experiment.levels, values, [*own, *interactions])
    fit = whole or fitted_effects(experiment.levels, values, own)
    interacting = _interactions(experiment, whole) if whole else []
    counted = {cost.name: experiment.counted(cost.name) for cost in LIGHTER}
    timed = {name: experiment.timed(key) for name, key in TIMES.items()}
    budgets = experiment.runs["requested_kind"].dropna().unique()
    failed = experiment.runs["status"].isin(UNTRAINED)
    costs = {name: [one] for name, one in counted.items() if one} | {name: each for name, each in timed.items() if each}
    proposal, nearest = _proposal(experiment, interacting, costs, margin, cost)
    plain_slots = np.zeros((1, len(own)), dtype=bool)
    slots = tuple(_slot(experiment, number, fit, values, counted, timed, margin) for number in range(len(own)))
    return Sensitivity(
        design=experiment.design,
        total=experiment.total,
        slots=slots,
        interactions=tuple(interacting),
        proposal=proposal,
        nearest=nearest,
        margin=margin,
        cost=cost,
        budget=str(budgets[0]) if len(budgets) else None,
        trained=sum(map(len, values)) + int(failed.sum()),
        failed=int(failed.sum()),
        left=len(experiment.runs) - sum(map(len, values)) - int(failed.sum()),
        seeds_to_decide=_seeds_to_decide(slots, fit, experiment.design.runs, margin) if fit else None,
        predicted={name: float(_mean(fitted, plain_slots)[0]) for name, fitted in costs.items()},
    )


def _seeds_to_decide(slots: Sequence[SlotEffect], fit: Effects, patterns: int, margin: float) -> int | None:
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
) -> SlotEffect:
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
    failed = experiment.failures_of(slot, separable=False), experiment.failures_of(slot, separable=True)
    return SlotEffect(experiment.free[slot], accuracy, decision.answer, costs, failed)


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
    interactions: Sequence[Interaction],
    costs: Mapping[str, Sequence[Effects]],
    margin: float,
    cost: str,
) -> tuple[Proposal | None, Proposal | None]:
    """The cheapest hybrid whose predicted loss is within the margin with all its interval; else, second, the nearest.

    Accuracy is predicted by the slots' effects and those interactions that are seen: the many that are not would add
    more error than they explain, and the cheapest of many patterns tends to be one that the error flatters. For the
    same reason the end of the interval decides, not the estimate.
    """
    own, _ = experiment.terms
    told = zip(experiment.design.chains, interactions, strict=False) if experiment.design.resolution >= 5 else ()
    terms = [*own, *(chain[0] for chain, one in told if one.seen)]
    accuracy, slots = fitted_effects(experiment.levels, experiment.accuracies, terms), len(experiment.free)
    if accuracy is None or cost not in costs:
        return None, None
    candidates = np.array(list(product((False, True), repeat=slots))) if slots <= MOST_SLOTS else experiment.levels
    plain_slots = np.zeros((1, slots), dtype=bool)
    changes, halves = accuracy.changes(candidates, plain_slots, ALPHA)
    least, base = _mean(costs[cost], candidates), _mean(costs[cost], plain_slots)[0]
    saving = candidates.any(axis=1) & (least < base * (1 - 1e-9)) & _trains(experiment, candidates)
    if halves is None or not saving.any():
        return None, None
    lowest = changes - halves
    within = np.flatnonzero(saving & (lowest >= -margin))
    if len(within):
        best = min(within, key=lambda row: (least[row], -changes[row]))
    else:
        best = max(np.flatnonzero(saving), key=lambda row: lowest[row])
    chosen = candidates[best : best + 1]
    interval = Interval(float(lowest[best]), float(changes[best] + halves[best]))
    hybrid = Proposal(
        tuple(map(bool, chosen[0])),
        Change(float(changes[best]), interval),
        {name: float(1 - _mean(own, chosen)[0] / _mean(own, plain_slots)[0]) for name, own in costs.items()},
        *_failures(experiment, chosen[0]),
    )
    return (hybrid, None) if len(within) else (None, hybrid)


def _trains(experiment: Experiment, candidates: np.ndarray) -> np.ndarray:
    """Which of `candidates` (patterns, slots) are no pattern most of whose trainings failed.

    Of one that was not trained these are those of any of its slots where that is separable.
    """

    def mostly(failures: tuple[int, int]) -> bool:
        return 2 * failures[0] > failures[1]

    slots = range(len(experiment.free))
    failing = [slot for slot in slots if mostly(experiment.failures_of(slot, separable=True))]
    out: np.ndarray = np.logical_not(candidates[:, failing].any(axis=1))
    bits = 1 << np.arange(len(experiment.free))
    own = {code: mostly(failures) for code, failures in zip(experiment.levels @ bits, experiment.failures, strict=True)}
    for row in np.flatnonzero(np.isin(candidates @ bits, list(own))):
        out[row] = not own[candidates[row] @ bits]
    return out


def _failures(experiment: Experiment, pattern: np.ndarray) -> tuple[tuple[int, int], int | None]:
    """How many trainings failed of how many, and of which slot they are; see Proposal."""
    (own,) = np.nonzero((experiment.levels == pattern).all(axis=1))
    if len(own):
        failed, runs = experiment.failures[own[0]]
        return (int(failed), int(runs)), None
    each = {slot: experiment.failures_of(slot, separable=True) for slot in map(int, np.flatnonzero(pattern))}
    worst = max(each, key=lambda slot: each[slot][0] / max(1, each[slot][1]))
    return each[worst], experiment.free[worst]


def _mean(fitted: Sequence[Effects], patterns: np.ndarray) -> np.ndarray:
    return np.mean([own.predicted(patterns) for own in fitted], axis=0)
