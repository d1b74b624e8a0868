"""Sweeps whose results are chosen, for verdicts that are known beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from synthetic import read, run

from dsbench.results.cells import cells_table
from dsbench.results.records import runs_table
from dsbench.verdict.lighter import Measure
from dsbench.verdict.rule import DEFAULT, Rule
from dsbench.verdict.verdict import Comparison, Judged, Verdict, judge

FAMILY = {"cnn": {"block": None}, "dwsep": {"block": "keras"}, "hybrid": {"block": "keras"}}


def cell(accuracies: Sequence[float | str | None], model: str = "cnn", **facts: Any) -> list[dict[str, Any]]:
    """The records of a cell, one a seed from 0: done with this accuracy, of this status, or not there."""
    out = []
    for seed, accuracy in enumerate(accuracies):
        facts_of_run = {"model": model, **FAMILY[model], "seed": seed, **facts}
        if isinstance(accuracy, str):
            out.append(run(accuracy, **facts_of_run, **({"test_acc": 0.1135} if accuracy == "collapsed" else {})))
        elif accuracy is not None:
            out.append(run(**facts_of_run, test_acc=accuracy))
    return out


def repeats(ms: Sequence[float], session: str = "a", at: str = "2026-11-28") -> list[dict[str, Any]]:
    """A repeat for each of `ms`, whose sessions are named after `session`."""
    return [
        {"session": f"{at} {session}{number}", "at": f"{at}T12:00:00+00:00", "ms": value}
        for number, value in enumerate(ms)
    ]


def timed(
    records: list[dict[str, Any]], ms: float, spread: float = 0.0, session: str = "a", n: int = 5, **where: Any
) -> list[dict[str, Any]]:
    """The same, measured: a step of `ms`, an image of a tenth and 128 of ten times that, in `n` repeats.

    From one repeat to the next times alternate, by `spread` up and down.
    """

    def time(median: float) -> dict[str, Any]:
        values = [median * (1 + spread * (-1) ** number) for number in range(n)]
        entry = {"median": median, "iqr": spread * median, "settled": True, "session": session}
        return entry | {"repeats": repeats(values, session, place["time"])}

    place = {"device": "a CPU", "threads": 1, "precision": "32", "memory_format": "channels_last"}
    place |= {"time": "2026-11-28", "identity": {"family": "25", "model": "1"}}
    place |= where
    versions = {"versions": {"torch": "2.13.0"}}
    measured = {
        "latency_ms": {"batch_1": {"torch": time(ms / 10), "onnx": time(ms)}, "batch_128": {"torch": time(10 * ms)}},
        "train_step_ms": {"batch_size": 64, "total": time(ms)},
        "measured_on": {**versions, "load_average": 0.1, **place},
    }
    return [record | measured for record in records]


def budget(target: float, kind: str = "params", **more: Any) -> dict[str, Any]:
    """What a run asked of its budget."""
    return {
        "requested": {
            "kind": kind,
            "scope": "total",
            "match": None,
            "target": target,
            "actual": target,
            "residual": 0.0,
            **more,
        }
    }


def verdict(
    *cells: list[dict[str, Any]],
    compare: str | None = None,
    rule: Rule = DEFAULT,
    correct: Mapping[str, np.ndarray] | None = None,
) -> Verdict:
    """The verdict on these cells; `correct` says by run_id which test images a run got right."""
    records = read([record for cell in cells for record in cell])
    runs = runs_table(records)
    return judge(runs, cells_table(runs), {record.run_id: record for record in records}, compare, rule, correct)


def group(*cells: list[dict[str, Any]], rule: Rule = DEFAULT) -> Judged:
    """The only group of these cells."""
    (judged,) = verdict(*cells, rule=rule).groups
    return judged


def pair(*cells: list[dict[str, Any]], rule: Rule = DEFAULT) -> Comparison:
    """The only pair of these cells."""
    (comparison,) = group(*cells, rule=rule).comparisons
    return comparison


def answers(measures: Iterable[Measure]) -> dict[str, str]:
    """The answer to each measure by its name."""
    return {measure.name: str(measure.answer) for measure in measures}


def labels(verdict: Verdict) -> list[tuple[str, list[str]]]:
    """What each group is called, and its cells."""
    return [(judged.name, [cell.label for cell in judged.group.cells]) for judged in verdict.groups]
