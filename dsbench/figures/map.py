"""Where is it faster? Channels over image side, a panel a kernel, batch and phase, coloured by the ratio of times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dsbench.figures.style import BLUE, FULL, INK, ORANGE, PAPER, SMALL, canvas, legend, settle, styled
from dsbench.measure.map import Map
from dsbench.measure.map_words import Words
from dsbench.measure.slot_pairs import PHASES
from dsbench.measure.slot_times import ROOFLINE
from dsbench.numerals import counted
from dsbench.statistics.crossing import Along, crossings

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 1.9, 1.9  # inches, the width at the most
LEAST, MOST = 0.15, 0.85  # how strong the colour is: where both are nearly equal, and from FARTHEST on
FARTHEST = 4.0  # times as long
FOOT = 0.9  # inches of the legend
_CAPTION = (
    "Across the side of the image, up the channels. The colour is that of the slot that is faster, the stronger the "
    "further; a full point is decided, an empty one is not, and around each the colour is that of the nearest. "
    "The line is where both are equally fast, its bars where one cannot tell; white was not measured."
)


@styled
def draw(said: Words) -> Figure:
    """The picture of a map, which `said` tells in words."""
    found = said.found
    kernels, batches = (sorted({column[place] for column in found.area.columns}) for place in (0, 1))
    across = [(phase, batch) for phase in PHASES for batch in batches]
    wide = min(PANEL[0], (FULL - 0.6) / len(across))
    figure = canvas(
        max(7.5, wide * len(across) + 0.6),
        PANEL[1] * len(kernels) + FOOT,
        f"Where it is faster: {said.what}",
        _CAPTION,
        said.sentence(PHASES[0]),
    )
    grid = figure.subplots(len(kernels), len(across), squeeze=False, sharex=True, sharey=True)
    for row, kernel in zip(grid, kernels, strict=True):
        for panel, (phase, batch) in zip(row, across, strict=True):
            fit = said.predictions[phase]
            _panel(panel, found, kernel, batch, phase, fit.model if fit else None)
        row[0].set_ylabel(f"{kernel}x{kernel}\nchannels")
    for panel, (phase, batch) in zip(grid[0], across, strict=True):
        panel.set_title(f"{phase}, {counted(batch, 'image')}")
    for panel in grid[-1]:
        panel.set_xlabel("image side")
    legend(figure, _legend(fitted=any(said.predictions.values())), across=int(figure.get_figwidth() // 2.9))
    settle(figure)
    return figure


def _panel(panel: Axes, found: Map, kernel: int, batch: int, phase: str, fitted: Any) -> None:
    sides, channels = sorted({side for _, _, side in found.area.columns}), found.area.channels
    lines: dict[str, list[tuple[int, float]]] = {"measured": [], "roofline": [], "fitted": []}
    for place, side in enumerate(sides):
        key = (kernel, batch, side)
        if key not in found.area.columns:
            continue
        column = found.column(key, phase)
        _strip(panel, place, column)
        for crossing in crossings(column):
            span = [[crossing.at - crossing.low], [crossing.high - crossing.at]]
            panel.errorbar(place, crossing.at, yerr=span, color=INK, elinewidth=1.4, capsize=3, zorder=4)
        lines["measured"] += [(place, crossing.at) for crossing in crossings(column)]
        if found.rates:
            lines["roofline"] += [(place, at) for at in found.predicted(key, phase, ROOFLINE)]
            lines["fitted"] += [(place, at) for at in found.predicted(key, phase, fitted)] if fitted else []
    for name, points in lines.items():
        _line(panel, points, _LINES[name])
    panel.set_yscale("log", base=2)
    panel.set_xlim(-0.5, len(sides) - 0.5)
    panel.set_ylim(channels[0] / 1.3, channels[-1] * 1.3)
    panel.set_xticks(range(len(sides)), [str(side) for side in sides], fontsize=SMALL)
    ticks = [2**power for power in range(21) if channels[0] <= 2**power <= channels[-1]]
    panel.set_yticks(ticks, [str(tick) for tick in ticks], fontsize=SMALL)
    panel.minorticks_off()
    panel.grid(visible=False)


_LINES: dict[str, dict[str, Any]] = {
    "measured": {"color": INK, "linewidth": 2.0, "zorder": 4},
    "roofline": {"color": INK, "linewidth": 1.2, "linestyle": (0, (4, 2)), "zorder": 3},
    "fitted": {"color": INK, "linewidth": 1.2, "linestyle": (0, (1, 1.5)), "zorder": 3},
}


def _line(panel: Axes, points: list[tuple[int, float]], look: dict[str, Any]) -> None:
    """A line through the crossings of neighbouring sides; a mark alone where a side has none or several."""
    alone = {place: at for place, at in points if sum(place == other for other, _ in points) == 1}
    for place, at in points:
        if place not in alone or not {place - 1, place + 1} & alone.keys():
            panel.plot([place - 0.35, place + 0.35], [at, at], **look)
        elif place + 1 in alone:
            panel.plot([place, place + 1], [at, alone[place + 1]], **look)


def _strip(panel: Axes, place: int, column: Along) -> None:
    """The points of one side, each with its colour up to halfway to its neighbours."""
    from matplotlib.patches import Rectangle

    points = list(column)
    for number, channels in enumerate(points):
        below = math.sqrt(points[number - 1] * channels) if number else channels / 1.2
        above = math.sqrt(channels * points[number + 1]) if number + 1 < len(points) else channels * 1.2
        ratio = column[channels]
        strength = LEAST + (MOST - LEAST) * min(1.0, abs(ratio.mean) / math.log(FARTHEST))
        color = BLUE if ratio.mean > 0 else ORANGE
        panel.add_patch(
            Rectangle((place - 0.48, below), 0.96, above - below, facecolor=color, alpha=strength, linewidth=0)
        )
        fill = INK if ratio.sign else PAPER
        panel.plot(place, channels, marker="o", markersize=2.6, color=fill, markeredgecolor=INK, markeredgewidth=0.6)


def _legend(fitted: bool) -> dict[str, Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    dot: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 4, "markeredgecolor": INK}
    return {
        f"plain faster, {FARTHEST:g} times or more": Patch(facecolor=BLUE, alpha=MOST),
        f"separable faster, {FARTHEST:g} times or more": Patch(facecolor=ORANGE, alpha=MOST),
        "decided": Line2D([], [], color=INK, **dot),
        "not decided": Line2D([], [], color=PAPER, **dot),
        "equally fast": Line2D([], [], **_LINES["measured"]),
        "equally fast by the roofline": Line2D([], [], **_LINES["roofline"]),
        **({"by the roofline, fitted": Line2D([], [], **_LINES["fitted"])} if fitted else {}),
    }
