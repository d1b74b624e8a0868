"""The course of runs, an epoch a row, as curves: what the runs of each cell come to at each epoch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.figures.axes import Cell, caption, rows
from dsbench.figures.style import INK, SMALL, canvas, layout, legend, settle, styled
from dsbench.run.folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURES = ("train_loss", "train_acc", "val_loss", "val_acc")
SCALES = {"acc": 100, "loss": 1}  # from a measure to what its axis shows: accuracies in percent
WORDS = {"acc": "accuracy (%)", "loss": "loss (cross-entropy)"}
PARTS = {"train": "training", "val": "validation"}
QUARTILES_FROM = 4  # runs, from which a band is the middle half of them; below it reaches from least to greatest
ACROSS = 3
ALONE, SMALLER = (7.0, 4.4), (4.0, 3.1)  # inches: a panel alone, and one of several
LEFT = 0.22  # of a panel's height: the strip of the runs that are left
LATE, SOME = 0.1, 5  # share of the epochs that come before those by which an axis is chosen, from so many on
THIN: dict[str, Any] = {"linewidth": 0.8, "marker": "x", "markersize": 6}  # a run that is not done
ARROW: dict[str, Any] = {"marker": "v", "markersize": 8, "markeredgecolor": INK, "linestyle": ""}

Limits = tuple[float, float]  # of the vertical axis
OffAxis = dict[tuple[str, float, bool], Counter[str]]  # what ends there: cell_id, epoch and whether above


def histories(runs: pd.DataFrame, outputs: Path) -> pd.DataFrame:
    """The rows of metrics.csv of all `runs` (see runs_table) that have one: run_id, cell_id, status, epoch, MEASURES.

    Accuracies are shares of 1. A number that a diverged run has not is missing. A file that is no such table, which no
    run leaves, counts as none.
    """
    import pandas as pd

    columns = ["epoch", *MEASURES]
    empty = pd.DataFrame({name: pd.Series(dtype="float64") for name in columns})
    tables = [empty.assign(run_id="", cell_id="", status="")]
    for run_id, cell_id, status in zip(runs["run_id"], runs["cell_id"], runs["status"], strict=True):
        try:
            table = pd.read_csv(RunFolder(outputs / "runs" / run_id).metrics_file)[columns].astype("float64")
        except (FileNotFoundError, NotADirectoryError, KeyError, ValueError):
            continue
        tables.append(table.assign(run_id=run_id, cell_id=cell_id, status=status))
    table = pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)
    return table.replace([math.inf, -math.inf], math.nan)


def course(histories: pd.DataFrame, measure: str, quartiles: bool) -> pd.DataFrame:
    """The runs of one cell at each epoch: `median`, `low` and `high` of the band, and how many `runs` reached it.

    The band is the middle half, or with `quartiles` false from the least to the greatest.
    """
    import pandas as pd

    at = histories.groupby("epoch")[measure]
    low, high = (at.quantile(0.25), at.quantile(0.75)) if quartiles else (at.min(), at.max())
    return pd.DataFrame({"median": at.median(), "low": low, "high": high, "runs": at.size()}).reset_index()


@styled
def draw(
    histories: pd.DataFrame, cells: pd.DataFrame, measure: str, parts: Sequence[str] = ("train", "val")
) -> Figure | None:
    """Curves of `measure` (acc, loss) in `parts` (train, val); see histories and cells_table for the tables.

    Cells that are each of a family of its own share a panel; else each cell has one. Curves and bands are of the runs
    that are done, other runs are thin lines with a cross at their end, or an arrowhead where that is off the axis. None
    where no run has ended an epoch.
    """
    from matplotlib.ticker import MaxNLocator

    drawn = [cell for cell in rows(cells) if (histories["cell_id"] == cell.cell_id).any()]
    if not drawn:
        return None
    groups = [drawn] if together(drawn) else [[cell] for cell in drawn]
    done = histories[histories["status"] == "done"]
    quartiles = done.groupby("cell_id")["run_id"].nunique().min() >= QUARTILES_FROM if len(done) else False
    unequal = bool((done.groupby("run_id")["epoch"].max().nunique() > 1) if len(done) else False)
    down, across = layout(len(groups), ACROSS)
    width, height = ALONE if len(groups) == 1 else SMALLER
    kinds = " and ".join(PARTS[part] for part in parts)
    limits = _limits(done if len(done) else histories, measure, parts)
    lost, cut = _any_on_axis(histories, measure, parts, limits), _off_axis(histories, measure, parts, limits)
    figure = canvas(
        max(ALONE[0], width * across),
        (height * (1 + LEFT * unequal)) * down + 0.5,
        f"{kinds.capitalize()} {WORDS[measure].split(' (')[0]} by epoch",
        _caption(cells, histories, measure, parts, quartiles, unequal, lost, bool(cut)),
    )
    grid = _grid(figure, len(groups), across, unequal)
    grid[0][0].set_xlim(0.5, histories["epoch"].max() + 0.5)
    grid[0][0].set_ylim(limits)
    for number, ((panel, strip), group) in enumerate(zip(grid, groups, strict=True)):
        for cell in group:
            _cell(panel, strip, cell, histories, measure, parts, quartiles)
        _arrowheads(panel, group, cut, limits)
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if len(groups) > 1:
            panel.set_title(group[0].name)
        (strip or panel).set_xlabel("epoch")
        if number % across == 0:
            panel.set_ylabel(WORDS[measure])
            if strip is not None:
                strip.set_ylabel("runs left")
                strip.set_ylim(bottom=0)
                strip.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    legend(figure, _entries(drawn if len(groups) == 1 else [], parts, lost, bool(cut)))
    settle(figure)
    return figure


def together(cells: Sequence[Cell]) -> bool:
    """Whether cells can share a panel: each is of a family, thus of a colour, of its own."""
    return len({cell.model for cell in cells}) == len(cells)


def _limits(of: pd.DataFrame, measure: str, parts: Sequence[str]) -> Limits:
    """An axis that the first epochs do not decide: a gap of a point should be seen beside a start at a tenth."""
    last = of["epoch"].max()
    late = of[of["epoch"] > (max(1, LATE * last) if last >= SOME else 0)]
    columns = [f"{part}_{measure}" for part in parts]
    values = (late if late[columns].notna().any(axis=None) else of)[columns].stack()
    if values.empty:  # losses that were never numbers
        return 0.0, 1.0
    low, high = values.min(), values.max()
    spare = 0.05 * (high - low) or 0.01
    return SCALES[measure] * (low - spare), SCALES[measure] * (high + spare)


def _grid(figure: Figure, count: int, across: int, strips: bool) -> list[tuple[Axes, Axes | None]]:
    """The panels, each with its strip below; all have the same axes."""
    down = layout(count, across)[0]
    ratios = [1, LEFT] if strips else [1]
    spec = figure.add_gridspec(down * len(ratios), across, height_ratios=ratios * down)
    out: list[tuple[Axes, Axes | None]] = []
    for number in range(count):
        row, column = divmod(number, across)
        first = out[0][0] if out else None
        panel = figure.add_subplot(spec[row * len(ratios), column], sharex=first, sharey=first)
        strip = None
        if strips:
            strip = figure.add_subplot(spec[row * 2 + 1, column], sharex=panel, sharey=out[0][1] if out else None)
            panel.tick_params(labelbottom=False)
        out.append((panel, strip))
    return out


def _cell(
    panel: Axes,
    strip: Axes | None,
    cell: Cell,
    histories: pd.DataFrame,
    measure: str,
    parts: Sequence[str],
    quartiles: bool,
) -> None:
    scale = SCALES[measure]
    own = histories[histories["cell_id"] == cell.cell_id]
    done = own[own["status"] == "done"]
    _not_done(panel, cell, own[own["status"] != "done"], measure, parts)
    if done.empty:
        return
    for part in parts:
        table = course(done, f"{part}_{measure}", quartiles)
        low, high = scale * table["low"], scale * table["high"]
        panel.fill_between(table["epoch"], low, high, **_band(cell.style.color, part), label="band")
        look = _line(part) | {"color": cell.style.color, "zorder": 3}
        mark = _markers(cell, len(table)) | ({} if part == "val" else {"markerfacecolor": "#ffffff", "markersize": 3.5})
        panel.plot(table["epoch"], scale * table["median"], label=cell.name, **look, **mark)
    if strip is not None:
        strip.step(table["epoch"], table["runs"], where="mid", color=cell.style.color, linestyle=cell.style.line)


def _not_done(panel: Axes, cell: Cell, lost: pd.DataFrame, measure: str, parts: Sequence[str]) -> None:
    """A thin line a part of each run of `lost`, which are a cell's."""
    for _, run in lost.groupby("run_id"):
        for part in parts:
            points = run[["epoch", f"{part}_{measure}"]].dropna()
            look = _line(part) | {"color": cell.style.color, "markevery": [len(points) - 1]} | THIN
            panel.plot(points["epoch"], SCALES[measure] * points[f"{part}_{measure}"], label="not done", **look)


def _arrowheads(panel: Axes, cells: Sequence[Cell], off_axis: OffAxis, limits: Limits) -> None:
    """An arrowhead at each edge at which runs of these cells end, with what they came to; within settled limits.

    Those of several cells at one place stand above one another.
    """
    from matplotlib.transforms import ScaledTranslation

    middle = sum(panel.get_xlim()) / 2
    looks = {cell.cell_id: cell.style for cell in cells}
    heaps: Counter[tuple[float, bool]] = Counter()
    for (cell_id, epoch, above), statuses in off_axis.items():
        if cell_id not in looks:
            continue
        into = (-1 if above else 1) * (5 + 12 * heaps[epoch, above])  # points, from the edge
        heaps[epoch, above] += 1
        look = ARROW | {"color": looks[cell_id].color, "marker": "^" if above else "v"}
        moved = panel.transData + ScaledTranslation(0, into / 72, panel.figure.dpi_scale_trans)
        panel.plot([epoch], [limits[above]], transform=moved, label="cut", **look)
        text = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
        offset, side = ((8, into), "left") if epoch < middle else ((-8, into), "right")
        where: dict[str, Any] = {"textcoords": "offset points", "ha": side, "va": "center"}
        panel.annotate(text, (epoch, limits[above]), offset, fontsize=SMALL, **where)


def _off_axis(histories: pd.DataFrame, measure: str, parts: Sequence[str], limits: Limits) -> OffAxis:
    """How many runs that are not done end off the axis and what they came to, by cell, last epoch and edge.

    See histories for the table; a run whose parts end at one edge is there once.
    """
    out: OffAxis = {}
    for _, run in histories[histories["status"] != "done"].groupby("run_id"):
        ends = set()
        for part in parts:
            points = run.dropna(subset=[f"{part}_{measure}"])
            if len(points):
                last = points.iloc[-1]
                value = SCALES[measure] * last[f"{part}_{measure}"]
                if not limits[0] <= value <= limits[1]:
                    ends.add((last["cell_id"], float(last["epoch"]), bool(value > limits[1])))
        for key in ends:
            out.setdefault(key, Counter())[run["status"].iloc[0]] += 1
    return out


def _any_on_axis(histories: pd.DataFrame, measure: str, parts: Sequence[str], limits: Limits) -> bool:
    """Whether anything of a run that is not done is on the axis."""
    lost = histories.loc[histories["status"] != "done", [f"{part}_{measure}" for part in parts]]
    return bool((SCALES[measure] * lost).stack().between(*limits).any())


def _line(part: str) -> dict[str, Any]:
    """Validation is a whole line, training a dashed one."""
    return {"linestyle": "-", "linewidth": 1.8} if part == "val" else {"linestyle": (0, (4, 1.5)), "linewidth": 1.3}


def _band(color: str, part: str) -> dict[str, Any]:
    """Validation is a shade, training is hatched."""
    if part == "val":
        return {"color": color, "alpha": 0.25, "linewidth": 0, "zorder": 2}
    return {"facecolor": "none", "edgecolor": color, "alpha": 0.5, "hatch": "////", "linewidth": 0, "zorder": 2}


def _markers(cell: Cell, epochs: int) -> dict[str, Any]:
    """About eight markers a curve."""
    return {
        "marker": cell.style.marker,
        "markersize": 4.5,
        "markeredgecolor": INK,
        "markeredgewidth": 0.6,
        "markevery": max(1, epochs // 8),
    }


def _entries(cells: Sequence[Cell], parts: Sequence[str], lost: bool, cut: bool) -> dict[str, Any]:
    """What a legend says: of cells that share a panel, of `parts` where there are two, of runs that are not done.

    `lost` says whether anything of these is on the axis, `cut` whether some end off it.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    out: dict[str, Any] = {}
    for cell in cells:
        look = cell.style
        out[cell.name] = Line2D([], [], color=look.color, marker=look.marker, markeredgecolor=INK, markersize=5)
    for part in reversed(parts) if len(parts) > 1 else ():
        out[PARTS[part]] = (Patch(**_band(INK, part)), Line2D([], [], color=INK, **_line(part)))
    if lost:
        out["a run that is not done"] = Line2D([], [], color=INK, markevery=[1], **THIN)
    if cut:
        out["such runs, off the axis" if lost else "runs that are not done, off the axis"] = Line2D(
            [], [], color=INK, **ARROW
        )
    return out


def _caption(
    cells: pd.DataFrame,
    histories: pd.DataFrame,
    measure: str,
    parts: Sequence[str],
    quartiles: bool,
    unequal: bool,
    lost: bool,
    cut: bool,
) -> str:
    drawn = histories.dropna(subset=[f"{part}_{measure}" for part in parts], how="all")["run_id"]
    ended = _ended(histories[histories["run_id"].isin(drawn)])
    others, blank = _others(ended), _others(_ended(histories[~histories["run_id"].isin(drawn)]))
    reach = "their middle half (quartiles)" if quartiles else "from the least to the greatest of them"
    splits = cells["split"].dropna().unique().tolist()
    return caption(
        cells,
        f"Line: median over the runs that are done ({ended['done']}), band: {reach}" if "done" in ended else "",
        "Where some have ended early, both are of the runs left, counted below" if unequal else "",
        f"Thin, with a cross: each run that is not done ({others})" if lost else "",
        "An arrowhead: so many such runs end off the axis" if lost and cut else "",
        f"An arrowhead: runs that are not done ({others}) lie off the axis" if cut and not lost else "",
        f"Not drawn, having no such number: {blank}" if blank else "",
        "The first epochs may lie outside" if histories["epoch"].max() >= SOME else "",
        "Validation images are the test images, as in the study" if splits == ["study"] else "",
        "Training: means over an epoch's steps, in training mode" if "train" in parts else "",
    )


def _ended(histories: pd.DataFrame) -> dict[str, int]:
    """How many runs came to what."""
    return histories.groupby("run_id")["status"].first().value_counts().to_dict()


def _others(ended: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(ended.items()) if name != "done")
