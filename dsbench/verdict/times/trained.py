"""Which trained faster? The seconds of training, taken beside other runs, which are shown and decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dsbench.statistics.multiple import holm
from dsbench.statistics.paired import Paired, paired
from dsbench.statistics.power import ALPHA
from dsbench.verdict.answers import Answer, Measure
from dsbench.verdict.cells import Cell, Run

EPOCH, TRAINING = "epoch, as trained", "training, as trained"
_CONDITIONS = ("device", "precision", "threads", "n_jobs")  # of trainings side by side


def trained(pairs: Sequence[tuple[Cell, Cell]]) -> list[tuple[Measure, ...]]:
    """For each pair of a group the seconds of an epoch and of the whole training, which decide nothing.

    They are paired by seed and tested as accuracies are, each question adjusted by Holm over the pairs, where all runs
    of both had the same device, precision, threads and number of runs beside them.
    """
    questions: dict[str, Callable[[Run], float | None]] = {
        EPOCH: lambda run: run.train_seconds / run.epochs if run.train_seconds and run.epochs else None,
        TRAINING: lambda run: run.train_seconds,
    }
    columns = [_compared(pairs, name, seconds) for name, seconds in questions.items()]
    return [tuple(rows) for rows in zip(*columns, strict=True)]


def refused(cells: Sequence[Cell], cut: bool = False) -> str:
    """Why seconds of training of these cells cannot be compared; empty where they can; `cut` asks for epochs."""
    stops = [by for cell in cells if (by := cell.recipe.get("stop.by", "epochs")) != "epochs"]
    if cut and stops:
        return f"the last epoch may be cut short under stop.by={stops[0]}"
    for name in _CONDITIONS:
        values = dict.fromkeys(getattr(run, name) for cell in cells for run in cell.done)
        if None in values:
            return f"{name} is not recorded of all runs"
        if len(values) > 1:
            return f"trained with different {name}: {' and '.join(map(str, values))}"
    return ""


def _compared(pairs: Sequence[tuple[Cell, Cell]], name: str, seconds: Callable[[Run], float | None]) -> list[Measure]:
    reasons = [refused(pair, cut=name == EPOCH) for pair in pairs]
    tests, means = [], []
    for pair in pairs:
        one, other = ({run.seed: value for run in cell.done if (value := seconds(run)) is not None} for cell in pair)
        seeds = sorted(one.keys() & other.keys(), key=str)
        tests.append(paired([other[seed] - one[seed] for seed in seeds]))
        means.append([sum(of[seed] for seed in seeds) / len(seeds) if seeds else None for of in (one, other)])
    adjusted = holm([one.p if one and not why else None for one, why in zip(tests, reasons, strict=True)])
    rows = zip(pairs, tests, means, adjusted, reasons, strict=True)
    return [_row(name, pair, test, mean, p, why) for pair, test, mean, p, why in rows]


def _row(
    name: str, pair: tuple[Cell, Cell], test: Paired | None, means: Sequence[float | None], p: float | None, why: str
) -> Measure:
    if test is None:
        answer, why = Answer.NOT_MEASURED, "no seed in which both are done"
    elif why:
        answer = Answer.REFUSED
    elif p is not None and p < ALPHA:
        answer = Answer.YES if test.mean < 0 else Answer.NO
    else:
        answer = Answer.CANNOT_TELL
    return Measure(
        name=name,
        unit="s",
        reference=means[0],
        candidate=means[1],
        answer=answer,
        p=p,
        n=test.n if test else 0,
        reason=why,
        note=_beside(pair),
        decides=False,
    )


def _beside(pair: tuple[Cell, Cell]) -> str:
    """Under what conditions the runs of both were trained."""
    runs = [run for cell in pair for run in cell.done]
    values = {name: list(dict.fromkeys(getattr(run, name) for run in runs)) for name in _CONDITIONS}
    return ", ".join(
        f"{name} {' and '.join('unknown' if value is None else str(value) for value in found)}"
        for name, found in values.items()
    )
