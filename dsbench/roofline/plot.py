"""The picture of a roofline: a panel a network, the two roofs of the device, a point a layer, drawn with matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dsbench.roofline.annotate import INK, Spot, names, roofs
from dsbench.roofline.rows import LayerRow, Roofline
from dsbench.roofline.verdict import ms, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, apart for colour-blind readers; the markers tell the kinds apart in grey.
STYLES = {
    "dense conv": ("#0072b2", "s"),
    "grouped conv": ("#0072b2", "P"),
    "depthwise": ("#d55e00", "v"),
    "pointwise": ("#e69f00", "o"),
    "linear": ("#009e73", "D"),
    "norm": ("#cc79a7", "^"),
    "activation": ("#56b4e9", "h"),
    "pool": ("#f0e442", "p"),
    "dropout": ("#8c8c8c", "X"),
    "sum": ("#ffffff", "o"),
    "gate": ("#ffffff", "D"),
    "loss": ("#222222", "*"),
    "optimiser": ("#222222", "d"),
}
FAINT = "#d9d9d9"
LEAST = 0.002  # share of the time below which a layer is not drawn
NAMED, NAMES = 0.04, 6  # share of the time from which a layer is named, at most so many a panel
AREA, SPOT = 2200.0, 14.0  # square points: of a layer that takes all of the time; what is added to every point
ACROSS = 3  # panels in a row
PANEL = (5.6, 4.6)  # inches


def draw(rooflines: Sequence[Roofline]) -> str:
    """The picture of `rooflines`, all of one device and precision, as the text of an SVG file; the same every time."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.hashsalt": "dsbench",
        "svg.fonttype": "none",
        "font.size": 9,
        "font.family": "DejaVu Sans",
    }
    title, shown = _title(rooflines[0]), [_shown(one) for one in rooflines]
    down = -(-len(rooflines) // ACROSS)
    across = -(-len(rooflines) // down)
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **settings}):
        figure = Figure(figsize=(max(7.5, PANEL[0] * across), PANEL[1] * down + 1.4), layout="constrained")
        figure.suptitle(title, fontsize=11)
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for unused in panels.flat[len(rooflines) :]:
            unused.remove()
        for panel, one, layers in zip(panels.flat, rooflines, shown, strict=False):
            _panel(panel, one, layers)
        for panel in panels.flat[max(0, len(rooflines) - across) : len(rooflines)]:  # nothing is below these
            panel.set_xlabel("operations per byte read or written (FLOP per byte)")
            panel.tick_params(labelbottom=True)
        for panel in panels[:, 0]:
            panel.set_ylabel("operations per second (FLOP/s)")
        _legend(figure, shown)
        figure.draw_without_rendering()  # settles the layout, by which slopes and names are placed
        figure.set_layout_engine("none")
        for panel, one, layers in zip(panels.flat, rooflines, shown, strict=False):
            _annotate(panel, one, layers)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": "dsbench", "Title": title})
    return text.getvalue()


def achieved(layer: LayerRow) -> float:
    """Operations per second."""
    return 1000 * layer.flops / layer.time_ms


def engineering(number: float, unit: str) -> str:
    """Three digits of `number` with the prefix of its size: 266 GFLOP/s."""
    rounded = float(f"{number:.3g}")  # 999.9 k is 1 M
    power = min(5, max(0, int(math.log10(rounded) // 3)))
    return f"{rounded / 1000**power:.3g} {' kMGTP'[power].strip()}{unit}"


def _title(one: Roofline) -> str:
    threads = f"{one.threads} thread{'s' if one.threads > 1 else ''}"
    return (
        f"A training step on {one.device}, precision {one.precision}, {threads}\n"
        f"the roofs, {engineering(one.rates.flops, 'FLOP/s')} and {engineering(one.rates.bandwidth, 'B/s')}, meet at "
        f"{one.rates.ridge:.1f} FLOP per byte"
    )


def _shown(one: Roofline) -> list[LayerRow]:
    """The layers that are drawn, those that take most of the time first, so that small ones lie on top."""
    return sorted((row for row in one.layers if row.flops and row.share >= LEAST), key=lambda row: -row.share)


def _panel(panel: Axes, one: Roofline, layers: Sequence[LayerRow]) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.grid(color=FAINT, linewidth=0.5)
    panel.set_axisbelow(True)
    panel.set_title(f"{one.name}: {ms(one.total.time_ms)} a step of {one.batch_size}", fontsize=10)
    for row in layers:
        color, marker = STYLES[row.kind]
        size = SPOT + AREA * row.share
        place = (row.intensity, achieved(row))
        panel.scatter(*place, s=size, c=color, marker=marker, edgecolors=INK, linewidths=0.7, zorder=3)
    rates = one.rates
    panel.plot([rates.ridge, 20 * rates.ridge], [rates.flops, rates.flops], alpha=0)  # both roofs are always seen
    panel.margins(0.08, 0.12)


def _annotate(panel: Axes, one: Roofline, layers: Sequence[LayerRow]) -> None:
    arithmetic, memory = engineering(one.rates.flops, "FLOP/s"), engineering(one.rates.bandwidth, "B/s")
    labels = (f"arithmetic {arithmetic}", f"memory {memory}")
    taken = roofs(panel, one.rates.flops, one.rates.bandwidth, labels)
    spots = []
    for number, row in enumerate(layers):
        named = number < NAMES and row.share >= NAMED
        called = f"{f'{row.slot} ' if row.slot else ''}{row.label}, {percent(row.share)}"
        radius = math.sqrt(SPOT + AREA * row.share) / 2
        spots.append(Spot(row.intensity, achieved(row), radius, called if named else ""))
    names(panel, spots, taken)


def _legend(figure: Figure, shown: Sequence[Sequence[LayerRow]]) -> None:
    from matplotlib.lines import Line2D

    present = {row.kind for layers in shown for row in layers}
    entries = []
    for kind in (kind for kind in STYLES if kind in present):
        color, marker = STYLES[kind]
        entries.append(Line2D([], [], color=color, marker=marker, linestyle="", markeredgecolor=INK, label=kind))
    for share in (0.05, 0.2):
        size = math.sqrt(SPOT + AREA * share)
        entry = Line2D([], [], color="none", marker="o", linestyle="", markeredgecolor=INK, markersize=size)
        entry.set_label(f"area of {percent(share)} of the step")
        entries.append(entry)
    figure.legend(handles=entries, loc="outside lower center", ncols=6, frameon=False, labelspacing=0.9)
