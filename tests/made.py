"""Sweeps whose results are chosen, for verdicts that are known beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from synthetic import read, run

from dsbench.results.cells import cells_table
from dsbench.results.records import runs_table
from dsbench.verdict.lighter import Measure
from dsbench.verdict.verdict import Comparison, Judged, Verdict, judge

FAMILY = {"cnn": {"block": None}, "dwsep": {"block": "keras"}, "hybrid": {"block": "keras"}}


def cell(accuracies: Sequence[float | str | None], model: str = "cnn", **facts: Any) -> list[dict[str, Any]]:
    """The records of a cell, one a seed from 0: done with this accuracy, of this status, or not there."""
    out = []
    for seed, one in enumerate(accuracies):
        known = {"model": model, **FAMILY[model], "seed": seed, **facts}
        if isinstance(one, str):
            out.append(run(one, **known, **({"test_acc": 0.1135} if one == "collapsed" else {})))
        elif one is not None:
            out.append(run(**known, test_acc=one))
    return out


def timed(
    records: list[dict[str, Any]], ms: float, iqr: float = 0.02, session: str | None = "a", n: int = 20, **where: Any
) -> list[dict[str, Any]]:
    """The same, measured: a step of `ms`, an image of a tenth and 128 of ten times that, quartiles `iqr` apart.

    `n` rounds alternate about the median, alike in all that are measured.
    """

    def time(median: float) -> dict[str, Any]:
        found: dict[str, Any] = {"median": median, "iqr": iqr * median, "settled": iqr <= 0.05}
        found["rounds_ms"] = [median * (1 + iqr / 2 * (-1) ** number) for number in range(n)]
        return found | ({"session": f"{place['time']} {session}"} if session else {})

    place = {"device": "a CPU", "threads": 1, "precision": "32", "memory_format": "channels_last", "time": "2026"}
    place |= where
    versions = {"versions": {"torch": "2.13.0"}}
    measured = {
        "latency_ms": {"batch_1": {"torch": time(ms / 10), "onnx": time(ms)}, "batch_128": {"torch": time(10 * ms)}},
        "train_step_ms": {"batch_size": 64, "total": time(ms)},
        "measured_on": {**versions, "load_average": 0.1, **place},
    }
    return [one | measured for one in records]


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


def verdict(*cells: list[dict[str, Any]], compare: str | None = None) -> Verdict:
    """The verdict on these cells."""
    records = [one for some in cells for one in some]
    known = read(records)
    runs = runs_table(known)
    measured = {one.run_id: one for one in known}
    return judge(runs, cells_table(runs), measured, compare)


def group(*cells: list[dict[str, Any]]) -> Judged:
    """The only group of these cells."""
    (judged,) = verdict(*cells).groups
    return judged


def pair(*cells: list[dict[str, Any]]) -> Comparison:
    """The only pair of these cells."""
    (one,) = group(*cells).comparisons
    return one


def answers(measures: Iterable[Measure]) -> dict[str, str]:
    """The answer to each measure by its name."""
    return {one.name: str(one.answer) for one in measures}


def labels(found: Verdict) -> list[tuple[str, list[str]]]:
    """What each group is called, and its cells."""
    return [(judged.name, [one.label for one in judged.group.cells]) for judged in found.groups]
