"""The content of the page of a sweep: verdict, tables, pictures, and how it was measured."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.claims.decide import Outcome, decide, summed_up
from dsbench.claims.published import changed, published, studies, study_runs
from dsbench.figures.images import most_different
from dsbench.figures.style import Words, rendered, words
from dsbench.numerals import listed, mean_percent, points
from dsbench.quantities import LIGHTER, QUANTITIES, amount
from dsbench.report.album import NARROW, album, crowded, explored_album, reasons, rooflines
from dsbench.report.answers import answer_table, overtaking, verdict_tables, where_it_wins
from dsbench.results.cells import not_in_means
from dsbench.results.folder import SweepFolder
from dsbench.results.records import COLUMNS, correct_images, labels, plain, settings
from dsbench.sweep.design import CHOSEN
from dsbench.sweep.looks import rule_of
from dsbench.tables import Column, Entry, Kind, Table, answers, figures, filled, names, numbers, texts
from dsbench.verdict.advice import advice
from dsbench.verdict.cells import DEPTHWISE, Cell
from dsbench.verdict.details import details, effects, missing
from dsbench.verdict.sentences import headline, others, title, winners
from dsbench.verdict.verdict import as_data, measured_records, verdict

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Picture:
    """A picture as SVG, by its name, with what stands above it and what is to be seen in it."""

    name: str
    svg: bytes
    words: Words

    @property
    def of_its_own(self) -> bool:
        """Whether it is none that takes the place of another on a phone."""
        return not self.name.endswith(NARROW)


@dataclass(frozen=True)
class Report:
    """The content of a page; `data` is all of it as plain data but for the pictures.

    `title` says what was compared, `advice` what to do; `summary` answers in a row a comparison, the first `leading` of
    them at once, the others folded; `headline` answers in a sentence, `others` what the other pairs come to.
    `paragraphs` have what stands beside, with what is missing; `overtaking` says which family is ahead along which
    cost; `tried` has what a design chose its cells from; `chips` and `winners` say which network is ahead on which
    chip; `images` has those on which networks differ most; `why` has a paragraph a pair on where the time of a training
    step goes, `how` headings and texts on how it was measured. `links` has the folders of runs by run_id, from the
    page's.
    """

    name: str
    title: str
    advice: str
    headline: list[str]
    summary: Table
    leading: int
    others: str
    paragraphs: list[str]
    cells: Table
    overtaking: Table | None
    tried: list[Table]
    chips: Table | None
    winners: list[str]
    answers: list[Table]
    images: Table
    claims: Table | None
    pictures: list[Picture]
    why: list[str]
    how: list[tuple[str, str]]
    runs: Table
    links: dict[str, str]
    data: dict[str, Any]

    @property
    def sentences(self) -> list[str]:
        """What to do, where there is something to compare, then the answer."""
        return [*filter(None, [self.advice]), *self.headline]


def report(folder: SweepFolder, margin: float | None = None) -> Report:
    """The content of the page of a sweep, whatever of it has ended, judged by another `margin` where one is given.

    Raises InputError where there is no sweep, for the first of two stages, and for a margin below 0.
    """
    metadata, (run_rows, cell_rows) = folder.metadata(), folder.read()
    judged = verdict(folder.outputs, run_rows, rule=rule_of(folder, margin))
    outcomes = _outcomes(run_rows, folder.outputs)
    top = [*headline(judged, with_others=False), *filter(None, [summed_up(outcomes)])]
    leading = min(len(judged.headline), CARDS)
    paragraphs = [
        *details(judged),
        *filter(None, map(effects, judged.groups)),
        *missing(judged, folder.outputs, folder.name),
    ]
    paragraphs += [
        f"Pictures that show each of the {many} apart are drawn by: dsbench figures {shlex.quote(folder.argument)}"
        for many in crowded(cell_rows, judged)
    ]
    design = folder.design or {}
    tried = [
        Table(
            table["title"],
            tuple(names({name: [row[name] for row in table["rows"]] for name in table["rows"][0]})),
            table["note"],
        )
        for table in design.get("tables", ())
        if table["rows"]
    ]
    paragraphs = [*design.get("sentences", ()), *paragraphs]
    on_chips = where_it_wins(judged)
    measured_how = how(folder.argument, metadata, run_rows)
    measured = rooflines(judged.cells, measured_records(folder.outputs, run_rows))
    drawn = album(run_rows, cell_rows, judged, measured.values(), folder.outputs, whole=False)
    all_drawn = chain(drawn, explored_album(folder))
    pictures = [Picture(name, rendered(figure, "svg"), words(figure)) for name, figure in all_drawn]
    why = reasons(judged, measured)
    images = most_different(judged, correct_images(folder.outputs, run_rows)[0])
    return Report(
        name=folder.name,
        title=title(judged),
        advice=advice(judged),
        headline=top,
        summary=answer_table(judged),
        leading=leading,
        others=others(judged, leading),
        paragraphs=paragraphs,
        cells=cells(judged.cells, plain(cell_rows), judged.unranked),
        overtaking=overtaking(judged),
        tried=tried,
        chips=on_chips,
        winners=winners(judged),
        answers=verdict_tables(judged),
        images=images,
        claims=claims(outcomes, changed(labels(run_rows))) if outcomes else None,
        pictures=pictures,
        why=why,
        how=measured_how,
        runs=runs(plain(run_rows), {cell.cell_id: cell.label for cell in judged.cells}),
        links=links(folder, run_rows["run_id"]),
        data={
            "sweep": folder.name,
            "title": title(judged),
            "advice": advice(judged),
            "headline": top,
            "details": paragraphs,
            "verdict": as_data(judged),
            **({"tried": [table.plain() for table in tried]} if tried else {}),
            "chips": on_chips.plain() if on_chips else [],
            "winners": winners(judged),
            "images": images.plain(),
            "claims": [outcome.plain() for outcome in outcomes],
            "why": why,
            "how": dict(measured_how),
            "asked": metadata,
            "cells": plain(cell_rows),
            "runs": plain(run_rows),
            "pictures": [picture.name for picture in pictures if picture.of_its_own],
        },
    )


CARDS = 3  # comparisons that are answered before everything else


def links(folder: SweepFolder, run_ids: Iterable[str]) -> dict[str, str]:
    """The folders of those runs that have one, from that of the sweep."""
    runs = folder.outputs / "runs"
    return {
        run_id: f"{Path(os.path.relpath(runs / run_id, folder.path)).as_posix()}/"
        for run_id in run_ids
        if (runs / run_id).is_dir()
    }


def _outcomes(runs: pd.DataFrame, outputs: Path) -> list[Outcome]:
    """The outcomes of the claims of the study to which all runs belong, if they belong to one."""
    names = {label.study for label in labels(runs)}
    study = names.pop() if len(names) == 1 else None
    return decide(published(study), study_runs(study, runs, outputs)) if study in studies() else []


_CELLS = (
    "Test accuracy: mean of the n runs that are done, ± half of its 95 % interval (Student's t); sd in percentage "
    "points. Parameters, MACs, activations and bytes are for one image. Train time is the mean of these runs as they "
    "ran; latency and training step are medians of measurements apart from training."
)
_TIMES = {"train_seconds": "Train times", "latency": "Latencies"}
_TIME, _MEASURED = QUANTITIES["train_seconds"], (QUANTITIES["latency_ms"], QUANTITIES["train_step_ms"])


def cells(cells: Sequence[Cell], rows: Sequence[Mapping[str, Any]], unranked: Mapping[str, str]) -> Table:
    """A row a cell; `rows` are those of the table of cells, in the same order.

    `unranked` says which times do not compare (see dsbench.verdict.faster).
    """
    accuracies = [cell.accuracy for cell in cells]
    scores = [Entry(mean_percent(score.mean, score.high), score.mean) for score in accuracies]
    columns = (
        *names({"cell": [cell.label for cell in cells]}),
        numbers("n", [score.n for score in accuracies], str),
        Column("test accuracy", tuple(scores), Kind.NUMBER),
        numbers("sd", [score.sd for score in accuracies], points),
        *(figures(cost, [cell.costs[cost.name] for cell in cells], cost.wording) for cost in LIGHTER),
        figures(_TIME, [row[_TIME.cells_column] for row in rows]),
        *(figures(time, [row.get(time.path) for row in rows], time.wording) for time in _MEASURED),
        texts("not in the mean", [not_in_means(row) for row in rows]),
    )
    columns = tuple(filled(columns))
    apart = [f"{what} do not compare: {unranked[by]}." for by, what in _TIMES.items() if by in unranked]
    return Table("Cells", columns, " ".join([_CELLS, *apart]))


def claims(outcomes: Sequence[Outcome], changed: Sequence[str]) -> Table:
    """A row a claim of the study; `changed` names the runs whose recipe is not its own."""
    columns = (
        texts("claim", [outcome.claim.text for outcome in outcomes]),
        texts("the study itself", [outcome.claim.study for outcome in outcomes]),
        texts("here", [outcome.measured for outcome in outcomes]),
        answers("verdict", [outcome.verdict for outcome in outcomes]),
    )
    note = (
        "The 95 % interval of the mean over seeds decides, or of the difference of two means, of three runs a network "
        "or more; one is enough for what is counted and for a digit of the study's own log. Times are the verdict's."
    )
    recipes = f" Of a changed recipe: {'; '.join(changed)}." if changed else ""
    return Table("What the study claims", columns, note + recipes)


def runs(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Table:
    """A row a run; `labels` names the cells by id."""
    told = rows[0] if rows else COLUMNS  # what explores tells nothing of test images
    scores = [(QUANTITIES["test_acc"], "test"), (QUANTITIES["best_val_acc"], ""), (QUANTITIES["train_acc"], "train")]
    columns = (
        *names({"cell": [labels.get(row["cell_id"], "") for row in rows]}),
        numbers("seed", [row["seed"] for row in rows], str),
        texts("status", [", ".join(filter(None, (row["status"], row.get("remark")))) for row in rows]),
        *(
            figures(score, [row[score.name] for row in rows], heading)
            for score, heading in scores
            if score.name in told
        ),
        numbers("epochs", [row["epochs"] for row in rows], str),
        figures(_TIME, [row[_TIME.name] for row in rows]),
        texts("run", [row["run_id"] for row in rows]),
        texts("error", [row["error"] or "" for row in rows]),
    )
    return Table("Runs", columns)


_SPLITS = {
    "standard": "validation images are held out of the training set; whatever is chosen is chosen on them, and the "
    "test images are used once",
    "study": "as the published study has it: all training images train, and the test images are the validation images",
}
_WEIGHTS = {"best": "those of the best validation accuracy", "last": "those of the last epoch"}


def how(name: str, metadata: Mapping[str, Any], runs: pd.DataFrame) -> list[tuple[str, str]]:
    """How the sweep was run and measured, pairs of heading and text; values in which runs differ are listed.

    `name` is what commands call the sweep, `metadata` what sweep.yaml holds, `runs` the table of runs.
    """
    started = runs[runs["started"].notna()]
    facts = {
        "study": _values(runs, "study"),
        "data": _values(runs, "data"),
        "split": "; ".join(_SPLITS.get(str(split), str(split)) for split in runs["split"].dropna().unique()),
        "tested weights": "; ".join(
            _WEIGHTS.get(str(kind), str(kind)) for kind in runs["test_weights"].dropna().unique()
        ),
        "seeds": _seeds(runs),
        "budget": _budgets(runs),
        "recipe": _recipe(runs),
        "precision": _values(runs, "precision"),
        "device": _values(started, "device"),
        "threads a run": _values(started, "threads"),
        "runs at once": _values(started, "n_jobs") if "n_jobs" in started else "",
        "trained in groups of": _groups(started),
        "time": _time([metadata["started"], *started["started"]], metadata["finished"]),
        "code": _values(started, "git_sha"),
        "versions": ", ".join(f"{package} {version}" for package, version in metadata["versions"].items()),
    }
    design = metadata.get("design") or {}
    if design.get("stage") == CHOSEN:
        facts["explored in"] = design["explored"]
    own = ["--config-dir", metadata["config_dir"]] if "config_dir" in metadata else []
    again = f"dsbench sweep {shlex.join([*own, *metadata['arguments']])}" if metadata["arguments"] else ""
    commands = {"to repeat it": again, "to make this page anew": f"dsbench report {shlex.quote(name)}"}
    return [(heading, text) for heading, text in (facts | commands).items() if text]


def _time(started: Sequence[str], finished: str | None) -> str:
    """From the first start, of the sweep or of a run that was there before, to the last end."""
    return f"{min(started)} to {finished or 'now: not every run has ended'}"


def _values(table: pd.DataFrame, column: str) -> str:
    values = [str(value) for value in table[column].dropna().unique()]
    return listed(values) if values else ""


def _groups(runs: pd.DataFrame) -> str:
    """How many runs were one program, where any were."""
    fused = sorted(runs["fused"].dropna().unique()) if "fused" in runs else []
    return listed([str(count) for count in fused]) if fused and fused[-1] > 1 else ""


def _seeds(runs: pd.DataFrame) -> str:
    seeds = sorted({int(seed) for seed in runs["seed"].dropna()})
    whole = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if whole else listed(seeds) if seeds else ""


def _budgets(runs: pd.DataFrame) -> str:
    """Each requested target, with the largest distance of its networks from it."""
    out = []
    columns = ["requested_kind", "requested_scope", "requested_target", "requested_chip", "requested_match"]
    given = runs.dropna(subset=["requested_target"]).reindex(columns=[*columns, "requested_residual"])
    for key, group in given.groupby(columns[:4], sort=False, dropna=False):
        kind, scope, target = key[:3]
        chip = key[3] if isinstance(key[3], str) else None
        most = "at most " if chip and group["requested_match"].isna().all() else ""
        off = group["requested_residual"].abs().max()
        scope_words = " in the slots' convolutions" if scope == "conv" else ""
        out.append(f"{most}{target:,.6g} {amount(kind, chip)}{scope_words} (off by {100 * off:.2g} % at the most)")
    return "; ".join(out) or "none asked for"


def _recipe(runs: pd.DataFrame) -> str:
    """The settings that all runs share."""
    rows = plain(runs[settings(runs)])
    depthwise = {row[DEPTHWISE] for row in rows if row.get(DEPTHWISE) is not None}
    if len(depthwise) == 1:  # the others have none of these kernels
        rows = [row | {DEPTHWISE: next(iter(depthwise))} for row in rows]
    shared = (
        {name: rows[0][name] for name in rows[0] if all(row[name] == rows[0][name] for row in rows)} if rows else {}
    )
    return ", ".join(f"{name}={value}" for name, value in shared.items() if value is not None)
