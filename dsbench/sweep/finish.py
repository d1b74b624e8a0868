"""The end of a sweep: its tables, and then times, verdict, page and mirror."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn, JobStatus

from dsbench.config.messages import one_line
from dsbench.report.headline import headline
from dsbench.run.progress import terminal
from dsbench.run.status import FINAL
from dsbench.sweep import tables
from dsbench.sweep.cells import COUNTS
from dsbench.sweep.fate import Fate, ProcessDiedError
from dsbench.sweep.folder import SweepFolder
from dsbench.sweep.measure import Share, measure
from dsbench.sweep.plan import Job
from dsbench.sweep.records import record
from dsbench.tracking.sweep import mirror_sweep
from dsbench.verdict.read import verdict
from dsbench.verdict.words.paragraphs import paragraphs

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.config.schema import Config

PAIRS = 6  # of cells, that are put into words

log = logging.getLogger("dsbench")


def reasons(jobs: Sequence[Job], returned: Sequence[JobReturn], since: str) -> dict[str, Fate]:
    """What runs have failed of, by run_id, where their records do not say so; `returned` is what came of the jobs.

    Those had an end not before `since`.
    """
    out = {}
    for job, found in zip(jobs, returned, strict=False):
        if found.status == JobStatus.FAILED and job.plan:
            said = record(job.plan.folder.outputs, job.plan.run_id)
            if (said.get("finished") or "") < since:
                out[job.plan.run_id] = _fate(found._return_value)
    return out


def _fate(error: Exception) -> Fate:
    return error.fate if isinstance(error, ProcessDiedError) else Fate("failed", one_line(error))


def show(folder: SweepFolder, reasons: Mapping[str, Fate]) -> pd.DataFrame:
    """Write and print the tables of what there is; returns that of runs.

    `reasons` are those for which runs have failed, by run_id, where their records could not be written.
    """
    console = terminal()
    (runs, cells), where = _collected(folder, reasons)
    console.print(tables.cells(cells))
    if not runs["status"].isin(FINAL).all():
        console.print(tables.failures(runs, folder.outputs))
    mixed = tables.versions(runs)
    if mixed:
        console.print(mixed, soft_wrap=True)
    console.print(where, soft_wrap=True)
    return runs


def _collected(folder: SweepFolder, reasons: Mapping[str, Fate]) -> tuple[tuple[pd.DataFrame, pd.DataFrame], str]:
    """The tables of runs and of cells, written if that can be; and where they are, in words."""
    try:
        return folder.collect(reasons), f"tables: {folder.path}"
    except OSError as error:
        return folder.read(reasons), f"tables could not be written: {one_line(error)}"


def conclude(
    folder: SweepFolder, reasons: Mapping[str, Fate], config: Config, bench_minutes: float, report: bool
) -> None:
    """Say what follows from the runs: which is faster is measured first, for `bench_minutes` in all at the most.

    The verdict is printed and, with `report`, written as a page; in W&B, where that is the logger of `config`, it goes
    beside the table of cells.
    """
    console = terminal()

    def say(text: str) -> None:
        console.print(text, soft_wrap=not console.is_terminal)

    runs, _ = folder.read(reasons)
    before = verdict(folder.outputs, runs)
    wanted = (*before.to_measure, *before.unsettled)
    share = Share.of(len(wanted), bench_minutes)
    if share is not None:
        say(f"measuring {len(wanted)} cells by turns, {bench_minutes:g} min at the most; bench_minutes=0 leaves it out")
        measure(folder.outputs, wanted, share)
        (runs, _), _ = _collected(folder, reasons)
    found = verdict(folder.outputs, runs)
    for paragraph in paragraphs(found, folder.outputs, PAIRS):
        say(f"\n{paragraph}")
    pages = _written(folder)[:1] if report else []
    mirror(folder, config, {"verdict": "\n".join(headline(found))}, pages)
    say(f"\nreport: {pages[0]}" if pages else f"\nmore: dsbench verdict {folder.name}")


def mirror(
    folder: SweepFolder, config: Config, said: Mapping[str, str] | None = None, files: Sequence[Path] = ()
) -> None:
    """Show the sweep in the tracker that `config` names: its cells, how many runs came to what, and what is `said`."""
    _, cells = folder.read()
    counts = {name: int(cells[name].sum()) for name in COUNTS} | {"n_cells": len(cells)}
    mirror_sweep(config, folder.outputs, folder.name, folder.asked(), {**counts, **(said or {})}, cells, files)


def _written(folder: SweepFolder) -> list[Path]:
    """The files of the report, HTML first; none, and that is logged, where they cannot be written."""
    from dsbench.report.content import report
    from dsbench.report.page import write

    try:
        return write(report(folder), folder.path)
    except OSError as error:
        log.warning("the report could not be written: %s", one_line(error))
        return []
