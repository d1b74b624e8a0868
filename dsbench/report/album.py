"""The pictures of a sweep, and the rooflines of its cells, compared pair by pair."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dsbench.figures import chips, confusion, curves, forest, images, overview, roofline, seeds, slots, tradeoff
from dsbench.figures.axes import Cell, available_costs, caption, rows
from dsbench.figures.confusion import class_names, confusions
from dsbench.figures.curves import histories
from dsbench.figures.forest import differences, pairs
from dsbench.measure.roofline_record import TOGETHER, Roofline, read
from dsbench.measure.roofline_words import comparison
from dsbench.numerals import counted
from dsbench.results.folder import RunsFile, SweepFolder
from dsbench.sweep.design import Explored, explores, kept_design
from dsbench.sweep.sensitivity import SlotPatterns
from dsbench.verdict.cells import Cell as VerdictCell
from dsbench.verdict.timings import Records
from dsbench.verdict.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def rooflines(cells: Sequence[VerdictCell], records: Records) -> dict[str, Roofline]:
    """The rooflines by cell_id, named by the cells' labels: those measured by turns in one session, with most cells.

    Of several such sessions it is the last. Empty where they are more than TOGETHER; entries that cannot be read are
    left out.
    """
    by_session: dict[str, dict[str, Roofline]] = {}
    for cell in cells:
        for run in cell.done:
            measured = records[run.run_id].measured if run.run_id in records else {}
            with suppress(KeyError, TypeError):  # there is none, or one of another version
                roofline = read(measured["roofline"], cell.label, measured["measured_on"])
                by_session.setdefault(measured["roofline"]["session"], {}).setdefault(cell.cell_id, roofline)
    most = max(by_session, key=lambda session: (len(by_session[session]), session), default=None)
    return by_session[most] if most is not None and len(by_session[most]) <= TOGETHER else {}


def reasons(verdict: Verdict, rooflines: Mapping[str, Roofline]) -> list[str]:
    """A paragraph on why the steps of a pair differ in time, for each pair of which both cells have a roofline.

    The first says that their times are not those of the verdict, which are of whole steps.
    """
    pairs = dict.fromkeys(
        tuple(cell.cell_id for cell in pair.cells) for judged in verdict.groups for pair in judged.comparisons
    )
    out = [comparison(rooflines[a], rooflines[b]) for a, b in pairs if {a, b} <= rooflines.keys()]
    return [f"Layer by layer, in a measurement of its own: {out[0]}", *out[1:]] if out else []


MOST_ROWS = 40  # cells, or pairs of cells, that a page has room for
MOST_PANELS = 6  # comparisons that the first picture of a page has room for
NARROW = "_narrow"  # ends the name of a picture that takes the place of another on a phone


def album(
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    verdict: Verdict,
    rooflines: Collection[Roofline],
    outputs: Path,
    whole: bool = True,
) -> Iterator[tuple[str, Figure]]:
    """Each picture that the runs so far allow, with its name; see SweepFolder.read for the tables.

    With `whole` each cost has a picture of its own beside that of all costs, validation has its own, and pictures with
    a row or a panel for each cell or pair are drawn however many there are; else where there are at most MOST_ROWS, and
    nothing is drawn twice but for a phone.
    """
    for name, figure in _all(runs, cells, verdict, rooflines, outputs, whole):
        if figure is not None:
            yield name, figure


def crowded(cells: pd.DataFrame, verdict: Verdict) -> list[str]:
    """What is left out unless pictures are `whole`, with its number: 41 cells, or 100 pairs of families."""
    if len(cells) > MOST_ROWS:
        return [counted(len(cells), "cell")]
    matched = len(pairs(verdict, cells))
    return [f"{matched} pairs of families"] if matched > MOST_ROWS else []


def _all(
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    verdict: Verdict,
    rooflines: Collection[Roofline],
    outputs: Path,
    whole: bool,
) -> Iterator[tuple[str, Figure | None]]:
    cell_rows, most = rows(cells), MOST_ROWS if whole else MOST_PANELS
    first = verdict.comparisons if len(verdict.comparisons) <= most else verdict.headline[:most]
    yield "overview", overview.draw(first, cells)
    if not whole:
        yield f"overview{NARROW}", overview.draw(first, cells, narrow=True)
    yield "chips", chips.draw(verdict.comparisons)
    yield "tradeoff", tradeoff.draw(cells, unranked=verdict.unranked, curves=verdict.curves)
    for cost in available_costs(cell_rows) if whole else ():
        yield f"tradeoff_{cost}", tradeoff.draw(cells, [cost], verdict.unranked, verdict.curves)
    if len(cell_rows) > MOST_ROWS and not whole:
        return
    yield "seeds", seeds.draw(runs, cells)
    courses = histories(runs, outputs)
    for measure, word in (("acc", "accuracy"), ("loss", "loss")):
        yield f"curves_{word}", curves.draw(courses, cells, measure)
        if whole and curves.together(cell_rows):
            yield f"validation_{word}", curves.draw(courses, cells, measure, ["val"])
    matched = pairs(verdict, cells)
    apart = whole or len(matched) <= MOST_ROWS
    if apart and (whole or len(verdict.comparisons) > len(first)):
        yield "differences", _forest(verdict, matched, cells)
    matrices, named = confusions(runs, outputs), class_names(runs, outputs)
    yield "classes", images.draw(verdict, matrices, most, named)
    yield "confusion", confusion.draw(matrices, cells, named)
    yield "confusion_differences", confusion.draw_differences(matrices, matched, cells, named) if apart else None
    yield "roofline", roofline.draw(list(rooflines)) if rooflines else None


def explored_album(folder: SweepFolder) -> Iterator[tuple[str, Figure]]:
    """Each picture of what was explored, with its name: by the sweep in `folder`, or by that which chose its cells."""
    kept = folder.design or {}
    explored = _beside(folder, kept["explored"]) if "explored" in kept else folder
    if not kept or not explored.sweep_file.exists() or not explores(explored):
        return
    design = kept_design(explored.design or {})
    if isinstance(design, SlotPatterns) and (figure := slots.draw(design.found(Explored.of(explored)))) is not None:
        yield "slots", figure


def _beside(folder: SweepFolder, name: str) -> SweepFolder:
    """The sweep of that name in the folder in which `folder` lies, of which a table is left where that is so of it."""
    path = folder.path.parent / name
    table = path / folder.runs_file.name
    return RunsFile.at(table) if isinstance(folder, RunsFile) and table.is_file() else SweepFolder(path)


def _forest(verdict: Verdict, matched: list[tuple[Cell, Cell]], cells: pd.DataFrame) -> Figure | None:
    shown = differences(verdict)
    if not shown:
        return None
    below = caption(
        cells,
        "Cells of two families in one group",
        "Diamond: mean of the runs that are done less that of the reference's, line: its interval, band: the margin",
    )
    families = {(f"{reference.model} is better", f"{candidate.model} is better") for reference, candidate in matched}
    return forest.draw(
        shown,
        "Differences in test accuracy",
        "difference in test accuracy (percentage points)",
        below,
        families.pop() if len(families) == 1 else None,
    )
