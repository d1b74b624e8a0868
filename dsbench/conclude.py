"""The end of a sweep: its cells are measured, its verdict is printed, its page is written and W&B shows its cells."""

from __future__ import annotations

import logging
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench import torchvision_ops
from dsbench.chips.names import chips as chips_of
from dsbench.config.messages import one_line
from dsbench.console import terminal
from dsbench.measure.progress import ROOFLINE_STEPS, STEPS, Measuring
from dsbench.measure.repeats import LEAST_SECONDS
from dsbench.measure.roofline_record import TOGETHER
from dsbench.measure.timing import FEWEST_REPEATS, LIMIT_SECONDS, MEASUREMENTS, REPEATS, THREADS
from dsbench.numerals import counted
from dsbench.publish.sweep import Pictured, mirror_sweep, shown_offline
from dsbench.report.answers import answer_lines, answer_table, where_it_wins
from dsbench.results import tables
from dsbench.results.cells import COUNTS, cells_table
from dsbench.results.folder import SweepFolder
from dsbench.results.naming import short_names
from dsbench.results.records import timings
from dsbench.run.interrupts import Interrupted
from dsbench.run.progress import relative
from dsbench.run.record import FINAL
from dsbench.sweep.design import EXPLORES_WORDS, choice_of, explores, kept_design
from dsbench.sweep.looks import rule_of
from dsbench.sweep.sweep import Sweep, own_folder
from dsbench.verdict.advice import advice
from dsbench.verdict.chips import WHERE
from dsbench.verdict.recipe import recipe_sentences
from dsbench.verdict.sentences import headline, title, unfinished, winners
from dsbench.verdict.verdict import Verdict, verdict
from dsbench.verdict.words import FEW, place

if TYPE_CHECKING:
    import pandas as pd

START_SECONDS = 3.0  # that a process takes to import what measures, on a slow machine
ENOUGH_SECONDS = 0.5  # of one measurement in one repeat, which leaves time for a roofline
RATES_SECONDS = 10.0  # that a roofline takes to measure what the device attains
log = logging.getLogger("dsbench")
MOST_ROWS = 12  # comparisons that the terminal shows at the end


def conclude(sweep: Sweep) -> None:
    """Say what follows from the runs: cells are measured, for `bench_minutes` at the most, and chips asked first.

    The verdict is printed and, with `report`, written as a page; in W&B, where that is the runs' logger, it goes beside
    the table of cells. Nothing is measured where the runs were trained on other machines.
    """
    if sweep.explores:
        _conclude_exploring(sweep)
        return
    with sweep.told_anyway(sweep.show):
        runs, cells = sweep.collected or sweep.collect()
        before = _measure_cells(sweep, runs)
        asked = _ask_chips(sweep, runs)
        if asked or before is None:
            runs, cells = sweep.collect()
        decided = (not asked and before) or verdict(sweep.folder.outputs, runs, rule=rule_of(sweep.folder))
        _show(sweep, runs, cells, decided)
        ended = bool(runs["status"].isin(FINAL).all())
        wanted = sweep.config.report and sweep.writable
        pages, as_they_were = _written(sweep.folder, ended) if wanted else ([], False)
        if not (as_they_were and shown_offline(sweep.example.logger, sweep.folder.outputs, sweep.folder.name)):
            mirror(sweep, decided, pages[:1])
    for page in pages[:1]:
        terminal().print(f"page     {relative(page)}", soft_wrap=True)
    terminal().print(f"details  dsbench verdict {shlex.quote(sweep.folder.argument)} --details", soft_wrap=True)


def _conclude_exploring(sweep: Sweep) -> None:
    """Show what the first of two stages has chosen, and write its page; nothing is judged.

    Cells are measured by turns where the design chooses by times as well.
    """
    with sweep.told_anyway(sweep.show):
        runs, _ = sweep.collected or sweep.collect()
        if kept_design(sweep.design or {}).measures:
            _measure_explored(sweep, runs)
            runs, _ = sweep.collect()
        console, choice = terminal(), choice_of(sweep.folder)
        done = f"{int(runs['status'].isin(FINAL).sum())}/{len(runs)} done"
        console.print(f"\n{sweep.folder.name} {EXPLORES_WORDS}   {done}\n", soft_wrap=True)
        for table in choice.tables:
            console.print(table)
            console.print()
        sweep.show_failures(runs)
        console.print(*choice.sentences, "", sep="\n", soft_wrap=True)
        wanted = sweep.config.report and sweep.writable
        pages, _ = _written(sweep.folder, bool(runs["status"].isin(FINAL).all())) if wanted else ([], False)
    for page in pages[:1]:
        console.print(f"page     {relative(page)}", soft_wrap=True)


def _measure_explored(sweep: Sweep, runs: pd.DataFrame) -> None:
    """Measure a finished run of each cell that was explored, unless all of them have been."""
    finished = runs[runs["status"] == "done"].drop_duplicates("cell_id")
    names = timings(runs)
    if names and finished[names].notna().all(axis=None):
        return
    minutes = sweep.config.bench_minutes if sweep.trained_here and sweep.writable else 0.0
    share, many = Share.of(len(finished), minutes), counted(len(finished), "cell")
    if share is None:
        if minutes:
            terminal().print(
                f"times are not measured: {many} need bench_minutes={Share.least_minutes(len(finished)):g}"
            )
        return
    terminal().print(f"measuring {many} by turns, {minutes:g} min at the most; bench_minutes=0 leaves it out")
    repeats = measure(sweep.folder.outputs, list(finished["run_id"]), share, sweep.config.bench_threads)
    if repeats is not None and repeats < REPEATS:
        terminal().print(f"{repeats} of {REPEATS} repeats; bench_minutes={2 * minutes:g} gives them longer")


def _measure_cells(sweep: Sweep, runs: pd.DataFrame) -> Verdict | None:
    """Measure what decides which of `runs` is faster, for as long as `bench_minutes` allows; say what that comes to.

    Returns the verdict where nothing was to be measured, None where it may be another now.
    """
    folder = sweep.folder
    before = verdict(folder.outputs, runs, rule=rule_of(folder))
    cells = (*before.to_measure, *before.unsettled)
    minutes = sweep.config.bench_minutes if sweep.trained_here and sweep.writable else 0.0
    share, many = Share.of(len(cells), minutes), counted(len(cells), "cell")
    if share is None:
        if cells and minutes:
            needed = f"{many} need{'s' * (len(cells) == 1)} bench_minutes={Share.least_minutes(len(cells)):g}"
            terminal().print(f"which is faster is not measured: {needed}")
        return before
    terminal().print(f"measuring {many} by turns, {minutes:g} min at the most; bench_minutes=0 leaves it out")
    try:
        repeats = measure(folder.outputs, cells, share, sweep.config.bench_threads)
    except Interrupted as error:
        error.so_far = ", measuring stopped"
        raise
    if repeats is not None and repeats < REPEATS:
        terminal().print(f"{repeats} of {REPEATS} repeats; bench_minutes={2 * minutes:g} gives them longer")
    return None


def _ask_chips(sweep: Sweep, runs: pd.DataFrame) -> bool:
    """Ask the sweep's chips about its cells, and what int8 costs its `runs`; whether there was anything to ask.

    Whatever goes wrong is named: the runs are done. Times are taken where `bench_minutes` asks for times, on the
    machine that trained.
    """
    names, done = sweep.config.chips, runs[runs["status"] == "done"]
    if not names or not sweep.writable or done.empty:
        return False
    from dsbench.run.chips import ask

    labels = dict(zip(runs["cell_id"].unique(), short_names(cells_table(runs)), strict=True))
    cells = {labels[cell_id]: list(own) for cell_id, own in done.groupby("cell_id", sort=False)["run_id"]}
    timed = sweep.trained_here and sweep.config.bench_minutes > 0
    say = partial(terminal().print, soft_wrap=True)
    try:
        left_out = ask(sweep.folder.outputs, cells, chips_of(names, own_folder(sweep.config)), timed, say)
    except Interrupted as error:
        error.so_far = ", asking chips stopped"
        raise
    except Exception as error:
        log.warning("chips could not be asked: %s", one_line(error))
        log.debug("asking chips ended with an error", exc_info=True)
        return True
    for line in left_out or ():
        say(f"left out: {line}")
    return left_out is not None


def _show(sweep: Sweep, runs: pd.DataFrame, cells: pd.DataFrame, decided: Verdict) -> None:
    """The last screen: what was compared and how much of it is done, the cells, and the answers.

    Of many pairs there is a line each; sentences are for few.
    """
    console = terminal()
    console.print()
    seeds = [counted(number, "seed") for number in set(cells["n_runs"])]
    groups = {place(pair).rstrip(" ,") for pair in decided.comparisons}
    head = ", ".join([title(decided), *(groups if len(groups) == 1 else []), *(seeds if len(seeds) == 1 else [])])
    console.print(f"{head}   {int(runs['status'].isin(FINAL).sum())}/{len(runs)} done")
    console.print()
    console.print(tables.overview(cells, shlex.quote(sweep.folder.argument)))
    sweep.show_failures(runs)
    console.print()
    few = len(decided.comparisons) <= FEW
    if decided.groups:
        console.print(answer_table(decided) if few else answer_lines(decided, MOST_ROWS))
        console.print()
    told = headline(decided) if few else [*recipe_sentences(decided.recipes), *unfinished(decided)]
    for sentence in filter(None, (advice(decided), *told)):
        console.print(sentence)
    console.print()
    chips = where_it_wins(decided)
    if chips:
        console.print(chips.without_note())
        console.print()
        sentences = winners(decided)
        for sentence in sentences:
            console.print(sentence)
        if sentences:
            console.print()


def mirror(sweep: Sweep, decided: Verdict | None = None, files: Sequence[Path] = ()) -> None:
    """Show the sweep in the tracker of its runs: its cells, how many runs came to what, and what was `decided`."""
    folder = sweep.folder
    if not sweep.writable:
        return
    _, cells = sweep.collected or sweep.collect()
    summary: dict[str, Any] = {name: int(cells[name].sum()) for name in COUNTS} | {"n_cells": len(cells)}
    further: list[Pictured] = []
    if decided:
        summary["verdict"] = "\n".join(filter(None, (advice(decided), *headline(decided))))
        chips = where_it_wins(decided)
        if chips:
            summary["chips"] = "\n".join(winners(decided))
            table = replace(chips, title=WHERE)  # which is W&B's key, the same for every sweep
            further.append((table, partial(_drawn, decided)))
    mirror_sweep(sweep.example, folder.outputs, folder.name, summary, cells, [folder.sweep_file, *files], further)


def _drawn(decided: Verdict) -> bytes:
    """The picture of chips as PNG."""
    from dsbench.figures.chips import draw
    from dsbench.figures.style import rendered

    figure = draw(decided.comparisons)
    assert figure is not None, "there is a table of chips"
    return rendered(figure, "png")


@dataclass(frozen=True)
class Share:
    """What there is time for in `within` seconds in all, the start of processes included.

    `seconds` are those of each measurement of each network in each repeat, at the most; `roofline` says whether there
    is one.
    """

    within: float
    seconds: float
    roofline: bool

    @classmethod
    def of(cls, cells: int, minutes: float) -> Share | None:
        """The share of each of `cells` of `minutes` in all; None where fewer repeats would fit than decide anything.

        A roofline is of few networks, and where it leaves time enough for what decides.
        """
        if not cells:
            return None
        within, most = 60 * minutes, LIMIT_SECONDS / REPEATS
        measuring = within - REPEATS * START_SECONDS
        with_roofline = (measuring - RATES_SECONDS) / ((REPEATS * MEASUREMENTS + 1) * cells)
        if cells <= TOGETHER and with_roofline >= ENOUGH_SECONDS:
            return cls(within, min(most, with_roofline), roofline=True)
        if within < cls._least_seconds(cells):
            return None
        each = max(LEAST_SECONDS, measuring / (REPEATS * MEASUREMENTS * cells))
        return cls(within, min(most, each), roofline=False)

    @classmethod
    def least_minutes(cls, cells: int) -> float:
        """The fewest minutes of which there is a share for `cells`, in tenths."""
        return math.ceil(cls._least_seconds(cells) / 6) / 10

    @staticmethod
    def _least_seconds(cells: int) -> float:
        return FEWEST_REPEATS * (START_SECONDS + MEASUREMENTS * cells * LEAST_SECONDS)


def measure(outputs: Path, run_ids: Sequence[str], share: Share, threads: int = THREADS) -> int | None:
    """Measure finished runs by turns in fresh processes and keep it in their records, as `dsbench bench` does.

    Latency at batch 1 and at a large batch, the training step and its memory, as long as `share` says, in the precision
    of its training and on `threads`; and the layers of the step against what the device attains. Returns the repeats
    that came to an end; None where it failed, which is logged: the runs are done, whatever goes wrong here.
    """
    torchvision_ops.ensure()  # before Lightning imports torchvision
    from dsbench.measure.repeats import repeated
    from dsbench.run.bench import keep
    from dsbench.run.trained import load, subjects

    named = run_ids if share.roofline else None
    try:
        runs = [load(outputs / "runs" / run_id) for run_id in run_ids]
        with Measuring(REPEATS * STEPS + share.roofline * ROOFLINE_STEPS, share.within) as say:
            costs, repeats = repeated(
                partial(subjects, [run.folder.path for run in runs], threads),
                share.seconds,
                within=share.within,
                rooflines_of=named,
                refused=_no_roofline,
                say=say,
            )
        for run, cost in zip(runs, costs, strict=False):  # there are none where no repeat came to an end
            keep(run, cost.record, lambda *_: None)
    except Exception as error:
        log.warning("the cells could not be measured, so which is faster is not said: %s", error)
        log.debug("measuring ended with an error", exc_info=True)
        return None
    return repeats


def _no_roofline(error: Exception) -> None:
    log.info("no roofline is drawn: %s", error)
    log.debug("measuring rooflines ended with an error", exc_info=error)


def _written(folder: SweepFolder, ended: bool) -> tuple[list[Path], bool]:
    """The files of the report, HTML first, and whether they are those of an earlier end, made of all the same.

    Only where all runs have `ended` do their files say all about them. There are none, and that is logged, where they
    cannot be written.
    """
    from dsbench.report.sources import made_of, written_of

    there = made_of(folder)
    earlier = written_of(folder.path, there) if ended else []
    if earlier:
        return earlier, True
    from dsbench.report.content import report
    from dsbench.report.explored import explored, write_explored
    from dsbench.report.page import write

    try:
        if explores(folder):
            return write_explored(explored(folder), folder.path, there), False
        return write(report(folder), folder.path, there), False
    except OSError as error:
        log.warning("the report could not be written: %s", one_line(error))
        return [], False
