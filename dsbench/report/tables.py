"""The tables of a page about cells, claims and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dsbench.claims.decide import Outcome
from dsbench.numerals import mean_percent, milliseconds, percent, points, quantity, seconds
from dsbench.report.table import Entry, Table, answer, number
from dsbench.sweep.cells import besides
from dsbench.verdict.cells import Cell

_CELLS = (
    "Test accuracy: mean of the n runs that are done, ± half of its 95 % interval (Student's t); sd in percentage "
    "points. Parameters, MACs, activations and bytes are for one image. Train time is the mean of these runs as they "
    "ran; latency and training step are medians of measurements apart from training."
)
_TIMES = {"train_seconds": "Train times", "latency": "Latencies"}


def cells(found: Sequence[Cell], rows: Sequence[Mapping[str, Any]], unranked: Mapping[str, str]) -> Table:
    """A row a cell; `rows` are those of the table of cells, in the same order.

    `unranked` says what of it does not compare (see dsbench.verdict.times.ranked).
    """
    headings = ("cell", "n", "test accuracy", "sd", "parameters", "MACs", "activations", "bytes", "train time")
    times_ = ("latency at batch 1", "training step", "not in the mean")
    body = []
    for cell, row in zip(found, rows, strict=True):
        mean = cell.accuracy.mean
        body.append(
            (
                Entry(cell.label),
                number(cell.accuracy.n, str),
                Entry(mean_percent(mean, cell.accuracy.high), mean, "number"),
                number(cell.accuracy.sd, points),
                *(number(cell.costs[name], quantity) for name in ("params", "macs", "acts", "bytes")),
                number(row["train_seconds_mean"], seconds),
                number(row.get("latency_ms/batch_1/torch"), milliseconds),
                number(row.get("train_step_ms/total"), milliseconds),
                Entry(besides(row)),
            )
        )
    said = [f"{what} do not compare: {unranked[by]}." for by, what in _TIMES.items() if by in unranked]
    return Table(
        "Cells",
        (*headings, *times_),
        tuple(body),
        " ".join([_CELLS, *said]),
    )


def claims(outcomes: Sequence[Outcome], changed: Sequence[str]) -> Table:
    """A row a claim of the study; `changed` names the runs whose recipe is not its own."""
    rows = tuple(
        (Entry(one.claim.text), Entry(one.claim.study), Entry(one.measured), answer(one.verdict)) for one in outcomes
    )
    note = (
        "With two seeds or more the 95 % interval of the mean over seeds decides; of one its value. What compares two "
        "networks has to pass the sign-flip test as well; times are measured apart, by turns; both as in the verdict."
    )
    recipes = f" Of a changed recipe: {'; '.join(changed)}." if changed else ""
    return Table("What the study claims", ("claim", "the study itself", "here", "verdict"), rows, note + recipes)


def runs(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Table:
    """A row a run; `labels` names the cells by id."""
    headings = ("cell", "seed", "status", "test", "validation, best", "train", "epochs", "train time", "run", "error")
    body = tuple(
        (
            Entry(labels.get(row["cell_id"], "")),
            number(row["seed"], str),
            Entry(row["status"]),
            *(number(row[name], percent) for name in ("test_acc", "best_val_acc", "train_acc")),
            number(row["epochs"], str),
            number(row["train_seconds"], seconds),
            Entry(row["run_id"]),
            Entry(row["error"] or ""),
        )
        for row in rows
    )
    return Table("Runs", headings, body)
