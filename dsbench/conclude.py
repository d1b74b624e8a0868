"""What the cells of a sweep cost when they run, measured once its runs have ended and nothing else is going on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn, JobStatus

from dsbench import torchvision_ops
from dsbench.config.messages import one_line
from dsbench.console import terminal
from dsbench.measure.roofline_rows import TOGETHER
from dsbench.measure.timing import LIMIT_SECONDS, MEASUREMENTS
from dsbench.publish.sweep import mirror_sweep
from dsbench.results import tables
from dsbench.results.cells import COUNTS
from dsbench.results.folder import SweepFolder
from dsbench.results.records import record
from dsbench.run.outcome import Fate, ProcessDiedError
from dsbench.run.record import FINAL
from dsbench.sweep.plan import Job
from dsbench.verdict.sentences import headline, paragraphs
from dsbench.verdict.verdict import verdict

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.config.schema import Config

LEAST_SECONDS = 0.5  # of one measurement, below which it says too little
ENOUGH_SECONDS = 4.0  # of one measurement, which gives slow steps too as many rounds as are needed
RATES_SECONDS = 10.0  # that a roofline takes to measure what the device attains
log = logging.getLogger("dsbench")


@dataclass(frozen=True)
class Share:
    """What there is time for: `seconds` of each measurement of each network at the most, and whether a roofline."""

    seconds: float
    roofline: bool

    @classmethod
    def of(cls, cells: int, minutes: float) -> Share | None:
        """The share of each of `cells` of `minutes` in all; None where it is too short to say anything.

        A roofline is of few networks, and where it leaves time enough for what decides.
        """
        if not cells:
            return None
        with_roofline = (60 * minutes - RATES_SECONDS) / ((MEASUREMENTS + 1) * cells)
        if cells <= TOGETHER and with_roofline >= ENOUGH_SECONDS:
            return cls(min(LIMIT_SECONDS, with_roofline), roofline=True)
        each = min(LIMIT_SECONDS, 60 * minutes / (MEASUREMENTS * cells))
        return cls(each, roofline=False) if each >= LEAST_SECONDS else None


def measure(outputs: Path, run_ids: Sequence[str], share: Share) -> None:
    """Measure finished runs by turns and keep it in their records, as `dsbench bench` does.

    Latency at batch 1 and at a large batch, the training step and its memory, as long as `share` says, in the precision
    and on the threads of its training; and the layers of the step against what the device attains. A failure is
    logged: the runs are done, whatever goes wrong here.
    """
    torchvision_ops.ensure()  # before Lightning imports torchvision
    from dsbench.measure.by_turns import running_costs
    from dsbench.run.bench import keep
    from dsbench.run.trained import load

    named = run_ids if share.roofline else None
    try:
        runs = [load(outputs / "runs" / run_id) for run_id in run_ids]
        found = running_costs(
            lambda: [run.subject() for run in runs], share.seconds, rooflines_of=named, refused=_no_roofline
        )
        for run, one in zip(runs, found, strict=True):
            keep(run, one.record, lambda *_: None)
    except Exception as error:
        log.warning("the cells could not be measured, so which is faster is not said: %s", error)
        log.debug("measuring ended with an error", exc_info=True)


def _no_roofline(error: Exception) -> None:
    log.info("no roofline is drawn: %s", error)
    log.debug("measuring rooflines ended with an error", exc_info=error)


PAIRS = 6  # of cells, that are put into words


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
