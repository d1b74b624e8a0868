"""The tables of a page about cells, claims and runs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.claims.decide import Outcome, decide
from dsbench.claims.published import changed, published, studies, study_runs
from dsbench.figures.style import rendered
from dsbench.numerals import listed, mean_percent, milliseconds, percent, points, quantity, seconds
from dsbench.report.album import MOST_ROWS, album, crowded, reasons, rooflines
from dsbench.report.answers import verdict_tables
from dsbench.report.table import Entry, Table, answer, number
from dsbench.results.cells import not_in_means
from dsbench.results.folder import SweepFolder
from dsbench.results.records import labels, plain, settings
from dsbench.verdict.cells import Cell
from dsbench.verdict.sentences import group_paragraphs, headline, missing
from dsbench.verdict.verdict import measured_records, verdict
from dsbench.verdict.verdict import plain as plain_verdict

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.claims.decide import Outcome

_CELLS = (
    "Test accuracy: mean of the n runs that are done, ± half of its 95 % interval (Student's t); sd in percentage "
    "points. Parameters, MACs, activations and bytes are for one image. Train time is the mean of these runs as they "
    "ran; latency and training step are medians of measurements apart from training."
)
_TIMES = {"train_seconds": "Train times", "latency": "Latencies"}


def cells(found: Sequence[Cell], rows: Sequence[Mapping[str, Any]], unranked: Mapping[str, str]) -> Table:
    """A row a cell; `rows` are those of the table of cells, in the same order.

    `unranked` says what of it does not compare (see dsbench.verdict.faster).
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
                Entry(not_in_means(row)),
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


_SPLITS = {
    "standard": "validation images are held out of the training set; whatever is chosen is chosen on them, and the "
    "test images are used once",
    "study": "as the published study has it: all training images train, and the test images are the validation images",
}
_WEIGHTS = {"best": "those of the best validation accuracy", "last": "those of the last epoch"}


def how(name: str, asked: Mapping[str, Any], runs: pd.DataFrame) -> list[tuple[str, str]]:
    """What was done and with what, a pair of heading and text each; what differs between runs is listed.

    `asked` is what sweep.yaml holds, `runs` the table of runs.
    """
    begun = runs[runs["started"].notna()]
    said = {
        "study": _values(runs, "study"),
        "data": _values(runs, "data"),
        "split": "; ".join(_SPLITS.get(str(split), str(split)) for split in runs["split"].dropna().unique()),
        "tested weights": "; ".join(_WEIGHTS.get(str(one), str(one)) for one in runs["test_weights"].dropna().unique()),
        "seeds": _seeds(runs),
        "budget": _budgets(runs),
        "recipe": _recipe(runs),
        "precision": _values(runs, "precision"),
        "device": _values(begun, "device"),
        "threads a run": _values(begun, "threads"),
        "runs at once": _values(begun, "n_jobs") if "n_jobs" in begun else "",
        "time": f"{asked['started']} to {asked['finished'] or 'now: not every run has ended'}",
        "code": _values(begun, "git_sha"),
        "versions": ", ".join(f"{package} {version}" for package, version in asked["versions"].items()),
    }
    commands = {"to repeat it": _command(asked["arguments"]), "to make this page anew": f"dsbench report {name}"}
    return [(heading, text) for heading, text in (said | commands).items() if text]


def _command(arguments: Sequence[str]) -> str:
    return f"python sweep.py {shlex.join(arguments)}"


def _values(table: pd.DataFrame, column: str) -> str:
    found = [str(value) for value in table[column].dropna().unique()]
    return listed(found) if found else ""


def _seeds(runs: pd.DataFrame) -> str:
    seeds = sorted({int(seed) for seed in runs["seed"].dropna()})
    whole = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if whole else listed(seeds) if seeds else ""


def _budgets(runs: pd.DataFrame) -> str:
    """Each target that was asked for, with how far its networks are off at the most."""
    out = []
    columns = ["requested_kind", "requested_scope", "requested_target"]
    for key, some in runs.dropna(subset=["requested_target"]).groupby(columns, sort=False, dropna=False):
        kind, scope, target = key
        off = some["requested_residual"].abs().max()
        part = " of the slots' convolutions" if scope == "conv" else ""
        out.append(f"{target:,.6g} {kind}{part} (off by {100 * off:.2g} % at the most)")
    return "; ".join(out) or "none asked for"


def _recipe(runs: pd.DataFrame) -> str:
    """The settings that all runs share."""
    rows = plain(runs[settings(runs)])
    shared = (
        {name: rows[0][name] for name in rows[0] if all(row[name] == rows[0][name] for row in rows)} if rows else {}
    )
    return ", ".join(f"{name}={value}" for name, value in shared.items() if value is not None)


@dataclass(frozen=True)
class Picture:
    """A picture as SVG, by its name; the title stands above it."""

    name: str
    title: str
    svg: bytes


@dataclass(frozen=True)
class Report:
    """What a page holds; `data` is all of it as plain data but for the pictures.

    `headline` answers in three sentences over all groups, `said` pair by pair, with what is missing; `why` has a
    paragraph a pair on where the time of a training step goes.
    """

    name: str
    headline: list[str]
    said: list[str]
    cells: Table
    answers: list[Table]
    claims: Table | None
    pictures: list[Picture]
    why: list[str]
    how: list[tuple[str, str]]
    runs: Table
    data: dict[str, Any]


def report(folder: SweepFolder) -> Report:
    """The content of the page of a sweep, whatever of it has ended. Raises InputError where there is no sweep."""
    asked, (of_runs, of_cells) = folder.asked(), folder.read()
    found = verdict(folder.outputs, of_runs)
    said, three = [*group_paragraphs(found, MOST_ROWS), *missing(found, folder.outputs)], headline(found)
    measured_how = how(folder.name, asked, of_runs)
    outcomes = _claims(of_runs, folder.outputs)
    lines = rooflines(found.cells, measured_records(folder.outputs, of_runs))
    drawn = album(of_runs, of_cells, found, lines.values(), folder.outputs, whole=False)
    said += [
        f"Pictures that show each of the {many} apart are drawn by: dsbench figures {folder.name}"
        for many in crowded(of_cells, found)
    ]
    pictures = [Picture(name, str(figure.get_label()), rendered(figure, "svg")) for name, figure in drawn]
    why = reasons(found, lines)
    called = {cell.cell_id: cell.label for cell in found.cells}
    return Report(
        name=folder.name,
        headline=three,
        said=said,
        cells=cells(found.cells, plain(of_cells), found.unranked),
        answers=verdict_tables(found),
        claims=claims(outcomes, changed(labels(of_runs))) if outcomes else None,
        pictures=pictures,
        why=why,
        how=measured_how,
        runs=runs(plain(of_runs), called),
        data={
            "sweep": folder.name,
            "headline": three,
            "said": said,
            "verdict": plain_verdict(found),
            "claims": [one.plain() for one in outcomes],
            "why": why,
            "how": dict(measured_how),
            "asked": asked,
            "cells": plain(of_cells),
            "runs": plain(of_runs),
            "pictures": [picture.name for picture in pictures],
        },
    )


def _claims(runs: pd.DataFrame, outputs: Path) -> list[Outcome]:
    """The claims of the study that all runs are of, where they are of one."""
    of = {label.study for label in labels(runs)}
    study = of.pop() if len(of) == 1 else None
    return decide(published(study), study_runs(study, runs, outputs)) if study in studies() else []
