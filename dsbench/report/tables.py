"""The tables of a page: texts to read, values to sort by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsbench.claims.decide import Outcome
from dsbench.sweep.figures import count, milliseconds, percent, points, seconds
from dsbench.verdict.cells import Cell
from dsbench.verdict.figures import interval, p_value, signed, times
from dsbench.verdict.figures import percent as with_interval
from dsbench.verdict.judge import Judged, Pair


@dataclass(frozen=True)
class Entry:
    """One cell of a table; `value` is what it is sorted by, `kind` a number, a text or an answer."""

    text: str
    value: Any = None
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """Headings and rows of equal length."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    note: str = ""


def cells(found: Sequence[Cell], rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row a cell; `rows` are those of the table of cells, in the same order."""
    headings = ("cell", "n", "test accuracy", "sd", "parameters", "MACs", "activations", "bytes", "train time")
    times_ = ("latency at batch 1", "training step", "not in the mean")
    body = []
    for cell, row in zip(found, rows, strict=True):
        mean = cell.accuracy.mean
        accuracy = "" if mean is None else with_interval(mean, cell.accuracy.high, cell.accuracy.n)
        lost = {status: number for status, number in cell.counts.items() if status != "done"}
        body.append(
            (
                Entry(cell.label),
                _number(cell.accuracy.n, str),
                Entry(accuracy, mean, "number"),
                _number(cell.accuracy.sd, points),
                *(_number(cell.costs[name], count) for name in ("params", "macs", "acts", "bytes")),
                _number(row["train_seconds_mean"], seconds),
                _number(row.get("latency_ms/batch_1/torch"), milliseconds),
                _number(row.get("train_step_ms/total"), milliseconds),
                Entry(", ".join(f"{number} {status}" for status, number in lost.items())),
            )
        )
    return Table(
        "Cells",
        (*headings, *times_),
        tuple(body),
        "Test accuracy: mean of the n runs that are done, ± half of its 95 % interval (Student's t); sd in percentage "
        "points. Parameters, MACs, activations and bytes are for one image. Train time is the mean of runs that stood "
        "beside others; latency and training step are measured alone.",
    )


def answers(judged: Judged) -> Table:
    """A row a pair of one group: the three answers and what they rest on."""
    headings = ("second", "against", "lighter", "MACs", "activations", "faster", "training step", "latency at batch 1")
    accuracy = ("better", "difference", "95 % interval", "adjusted p", "n", "P(better)", "failed to train")
    rows = tuple(_answers(pair) for pair in judged.pairs)
    return Table(judged.name, (*headings, *accuracy), rows)


def _answers(pair: Pair) -> tuple[Entry, ...]:
    ratios = {one.name: one.ratio for one in (*pair.lighter, *pair.faster)}
    found, test = pair.better, pair.better.tested.paired
    failed = [len(found.failed_candidate), len(found.failed_reference)]
    said = {name: Entry(str(answer), str(answer), "answer") for name, answer in pair.answers.items()}
    return (
        Entry(pair.candidate),
        Entry(pair.reference),
        said["lighter"],
        _ratio(ratios.get("macs")),
        _ratio(ratios.get("acts")),
        said["faster"],
        _ratio(ratios.get("training step")),
        _ratio(ratios.get("latency at batch 1")),
        said["better"],
        Entry(f"{signed(test.mean)} pp" if test else "", test.mean if test else None, "number"),
        Entry(interval(test.t) if test and test.t else ""),
        _number(found.tested.adjusted_p, p_value),
        _number(test.n if test else 0, str),
        _number(found.probability_of_improvement, lambda share: f"{share:.2f}"),
        Entry(f"{failed[0]} against {failed[1]}" if any(failed) else ""),
    )


def claims(outcomes: Sequence[Outcome]) -> Table:
    """A row a claim of the study."""
    rows = tuple(
        (Entry(one.claim.text), Entry(one.claim.study), Entry(one.measured), Entry(one.verdict, one.verdict, "answer"))
        for one in outcomes
    )
    note = "With two seeds or more the 95 % interval of the mean over seeds decides."
    return Table("What the study claims", ("claim", "the study itself", "here", "verdict"), rows, note)


def runs(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Table:
    """A row a run; `labels` names the cells by id."""
    headings = ("cell", "seed", "status", "test", "validation, best", "train", "epochs", "train time", "run", "error")
    body = tuple(
        (
            Entry(labels.get(row["cell_id"] or row["run_id"], "")),
            _number(row["seed"], str),
            Entry(row["status"]),
            *(_number(row[name], percent) for name in ("test_acc", "best_val_acc", "train_acc")),
            _number(row["epochs"], str),
            _number(row["train_seconds"], seconds),
            Entry(row["run_id"]),
            Entry(row["error"] or ""),
        )
        for row in rows
    )
    return Table("Runs", headings, body)


def _number(value: Any, write: Callable[[Any], str]) -> Entry:
    return Entry("" if value is None else write(value), value, "number")


def _ratio(value: float | None) -> Entry:
    return Entry("" if value is None else f"x {times(value)}", value, "number")
