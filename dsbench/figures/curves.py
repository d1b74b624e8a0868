"""Learning curves: the median and a band over seeds, in training and in validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dsbench.figures.curve_looks import PARTS, band, entries, line, markers
from dsbench.figures.histories import QUARTILES_FROM, SCALES, course
from dsbench.figures.not_done import Limits, draw_edges, draw_lines, edges, within
from dsbench.figures.rows import Cell, caption, rows
from dsbench.figures.style import canvas, layout, legend, settle, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WORDS = {"acc": "accuracy (%)", "loss": "loss (cross-entropy)"}
ACROSS = 3
ALONE, SMALLER = (7.0, 4.4), (4.0, 3.1)  # inches: a panel alone, and one of several
LEFT = 0.22  # of a panel's height: the strip of the runs that are left
LATE, SOME = 0.1, 5  # share of the epochs that come before those by which an axis is chosen, from so many on


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

    known = [cell for cell in rows(cells) if (histories["cell_id"] == cell.cell_id).any()]
    if not known:
        return None
    groups = [known] if together(known) else [[cell] for cell in known]
    done = histories[histories["status"] == "done"]
    quartiles = done.groupby("cell_id")["run_id"].nunique().min() >= QUARTILES_FROM if len(done) else False
    unequal = bool((done.groupby("run_id")["epoch"].max().nunique() > 1) if len(done) else False)
    down, across = layout(len(groups), ACROSS)
    width, height = ALONE if len(groups) == 1 else SMALLER
    kinds = " and ".join(PARTS[part] for part in parts)
    limits = _limits(done if len(done) else histories, measure, parts)
    lost, cut = within(histories, measure, parts, limits), edges(histories, measure, parts, limits)
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
        draw_edges(panel, group, cut, limits)
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
    legend(figure, entries(known if len(groups) == 1 else [], parts, lost, bool(cut)))
    settle(figure)
    return figure


def together(cells: Sequence[Cell]) -> bool:
    """Whether cells can share a panel: each is of a family, thus of a colour, of its own."""
    return len({cell.model for cell in cells}) == len(cells)


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
    draw_lines(panel, cell, own[own["status"] != "done"], measure, parts)
    if done.empty:
        return
    for part in parts:
        found = course(done, f"{part}_{measure}", quartiles)
        low, high = scale * found["low"], scale * found["high"]
        panel.fill_between(found["epoch"], low, high, **band(cell.style.color, part), label="band")
        look = line(part) | {"color": cell.style.color, "zorder": 3}
        mark = markers(cell, len(found)) | ({} if part == "val" else {"markerfacecolor": "#ffffff", "markersize": 3.5})
        panel.plot(found["epoch"], scale * found["median"], label=cell.name, **look, **mark)
    if strip is not None:
        strip.step(found["epoch"], found["runs"], where="mid", color=cell.style.color, linestyle=cell.style.line)


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
