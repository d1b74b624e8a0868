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


def timed(
    records: list[dict[str, Any]], ms: float, iqr: float = 0.02, session: str | None = "a", n: int = 20, **where: Any
) -> list[dict[str, Any]]:
    """The same, measured: a step of `ms`, an image of a tenth and 128 of ten times that, quartiles `iqr` apart.

    `n` rounds alternate about the median, alike in all that are measured.
    """

    def time(median: float) -> dict[str, Any]:
        entry: dict[str, Any] = {"median": median, "iqr": iqr * median, "settled": iqr <= 0.05}
        entry["rounds_ms"] = [median * (1 + iqr / 2 * (-1) ** number) for number in range(n)]
        return entry | ({"session": f"{place['time']} {session}"} if session else {})

    place = {"device": "a CPU", "threads": 1, "precision": "32", "memory_format": "channels_last", "time": "2026"}
    place |= where
    versions = {"versions": {"torch": "2.13.0"}}
    measured = {
        "latency_ms": {"batch_1": {"torch": time(ms / 10), "onnx": time(ms)}, "batch_128": {"torch": time(10 * ms)}},
        "train_step_ms": {"batch_size": 64, "total": time(ms)},
        "measured_on": {**versions, "load_average": 0.1, **place},
    }
    return [record | measured for record in records]


def budget(target: float, kind: str = "params") -> dict[str, Any]:
    """What a run asked of its budget."""
    return {
        "requested": {
            "kind": kind,
            "scope": "total",
            "match": None,
            "target": target,
            "actual": target,
            "residual": 0.0,
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
