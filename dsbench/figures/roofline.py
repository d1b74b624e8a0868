"""The roofline of training steps: each layer a point beneath the roofs of arithmetic and memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dsbench.figures.labels import Box, Spot, along, covered, names, pixels
from dsbench.figures.style import (
    BLUE,
    FULL,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    VERMILION,
    YELLOW,
    canvas,
    layout,
    legend,
    panels,
    settle,
    styled,
)
from dsbench.measure.roofline_record import LayerRow, Roofline
from dsbench.measure.roofline_words import ms, percent
from dsbench.numerals import counted, engineering, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# A dense convolution has the colour of cnn, a pointwise one that of dwsep. The markers tell the kinds apart in grey.
STYLES = {
    "dense conv": (BLUE, "s"),
    "grouped conv": (BLUE, "P"),
    "depthwise": (VERMILION, "v"),
    "pointwise": (ORANGE, "o"),
    "linear": (GREEN, "D"),
    "norm": (PURPLE, "^"),
    "activation": (SKY, "h"),
    "pool": (YELLOW, "p"),
    "dropout": (GREY, "X"),
    "sum": ("#ffffff", "o"),
    "gate": ("#ffffff", "D"),
    "loss": (INK, "*"),
    "optimizer": (INK, "d"),
}
LEAST = 0.002  # share of the time below which a layer is not drawn
NAMED, NAMES = 0.04, 6  # share of the time from which a layer is named, at most so many a panel
AREA, SPOT = 2200.0, 14.0  # square points: of a layer that takes all of the time; what is added to every point
ACROSS = 2  # panels in a row
PANEL = (FULL / 2, 4.6)  # inches


@styled
def draw(rooflines: Sequence[Roofline]) -> Figure:
    """The picture of `rooflines`, all of one device and precision."""
    shown = [_shown(roofline) for roofline in rooflines]
    title, caption = _heading(rooflines[0], any(row.efficiency > 1 for layers in shown for row in layers))
    down, across = layout(len(rooflines), ACROSS)
    seen = ". ".join(_seen(*one) for one in zip(rooflines, shown, strict=True))
    figure = canvas(max(7.5, PANEL[0] * across), PANEL[1] * down + 0.8, title, caption, seen)
    grid = panels(figure, len(rooflines), across, sharex=True, sharey=True)
    for number, (panel, roofline, layers) in enumerate(zip(grid, rooflines, shown, strict=True)):
        _panel(panel, roofline, layers)
        if number >= len(rooflines) - across:  # nothing is below these
            panel.set_xlabel("operations per byte read or written (FLOP per byte)")
            panel.tick_params(labelbottom=True)
        if number % across == 0:
            panel.set_ylabel("operations per second (FLOP/s)")
    _legend(figure, shown)
    settle(figure)  # slopes and names are placed by pixels
    for panel, roofline, layers in zip(grid, rooflines, shown, strict=True):
        _annotate(panel, roofline, layers)
    return figure


def achieved(layer: LayerRow) -> float:
    """Operations per second."""
    return 1000 * layer.flops / layer.time_ms


def _seen(roofline: Roofline, layers: Sequence[LayerRow]) -> str:
    """The layer that takes longest."""
    longest = [f", longest {layers[0].label} with {percent(layers[0].share)}"] if layers else []
    return "".join([f"{roofline.name}: {ms(roofline.total.time_ms)} a step", *longest])


def _heading(roofline: Roofline, cached: bool) -> tuple[str, str]:
    """The title, and what is to be known of the picture; `cached` says whether a point is above the roofs."""
    flops, bandwidth = engineering(roofline.rates.flops, "FLOP/s"), engineering(roofline.rates.bandwidth, "B/s")
    sentences = [
        f"The roofs, {flops} and {bandwidth}, meet at {roofline.rates.ridge:.1f} FLOP per byte.",
        "Each point is a layer, forward and backward; those that take longest are named: slot, layer, share of the "
        "step's time.",
        "Above the memory roof: tensors that stay in a cache, which is faster than memory." if cached else "",
    ]
    return (
        f"A training step on {roofline.device}, precision {roofline.precision}, {counted(roofline.threads, 'thread')}",
        " ".join(filter(None, sentences)),
    )


def _shown(roofline: Roofline) -> list[LayerRow]:
    """The layers that are drawn, those that take most of the time first, so that small ones lie on top."""
    return sorted((row for row in roofline.layers if row.flops and row.share >= LEAST), key=lambda row: -row.share)


def _panel(panel: Axes, roofline: Roofline, layers: Sequence[LayerRow]) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(lambda value, _: short(value))  # matplotlib's own powers are formulas
        axis.set_minor_formatter(lambda *_: "")
    panel.set_title(f"{roofline.name}: {ms(roofline.total.time_ms)} a step of {roofline.batch_size}")
    for row in layers:
        color, marker = STYLES[row.kind]
        size = SPOT + AREA * row.share
        place = (row.intensity, achieved(row))
        panel.scatter(*place, s=size, c=color, marker=marker, edgecolors=INK, linewidths=0.7, zorder=3)
    rates = roofline.rates
    panel.plot([rates.ridge, 20 * rates.ridge], [rates.flops, rates.flops], alpha=0)  # both roofs are always seen
    panel.margins(0.08, 0.12)


def _annotate(panel: Axes, roofline: Roofline, layers: Sequence[LayerRow]) -> None:
    arithmetic, memory = engineering(roofline.rates.flops, "FLOP/s"), engineering(roofline.rates.bandwidth, "B/s")
    labels = (f"arithmetic {arithmetic}", f"memory {memory}")
    taken = _roofs(panel, roofline.rates.flops, roofline.rates.bandwidth, labels)
    spots = []
    for number, row in enumerate(layers):
        named = number < NAMES and row.share >= NAMED
        name = f"{f'{row.slot} ' if row.slot else ''}{row.label}, {percent(row.share)}"
        radius = math.sqrt(SPOT + AREA * row.share) / 2
        spots.append(Spot(row.intensity, achieved(row), radius, name if named else ""))
    names(panel, spots, taken)


def _roofs(panel: Axes, flops: float, bandwidth: float, labels: tuple[str, str]) -> list[Box]:
    """Draw both roofs with the labels of arithmetic and memory; what they cover. The limits stay from here on."""
    panel.autoscale(False)
    (left, right), ridge = panel.get_xlim(), flops / bandwidth
    xs, ys = (left, ridge, right), (bandwidth * left, flops, flops)
    panel.plot(xs, ys, color=INK, linewidth=1.6, zorder=2)
    start, corner, end = (pixels(panel, x, y) for x, y in zip(xs, ys, strict=True))
    slope = math.atan2(corner[1] - start[1], corner[0] - start[0])
    across, up = math.cos(slope), math.sin(slope)
    back = (-14 * across - 3 * up, -14 * up + 3 * across)  # points: back along the slope, and off it
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL, "va": "bottom"}
    turned: dict[str, Any] = {"rotation": math.degrees(slope), "rotation_mode": "anchor", "ha": "right"}
    flat = panel.annotate(labels[0], (ridge, flops), (0, 3), ha="left", **style)
    steep = panel.annotate(labels[1], (ridge, flops), back, **turned, **style)
    return [covered(flat), covered(steep), *along(start, corner), *along(corner, end)]


def _legend(figure: Figure, shown: Sequence[Sequence[LayerRow]]) -> None:
    from matplotlib.lines import Line2D

    present = {row.kind for layers in shown for row in layers}
    entries = {}
    for kind in (kind for kind in STYLES if kind in present):
        color, marker = STYLES[kind]
        entries[kind] = Line2D([], [], color=color, marker=marker, linestyle="", markeredgecolor=INK)
    for share in (0.05, 0.2):
        size = math.sqrt(SPOT + AREA * share)
        spot = Line2D([], [], color="none", marker="o", linestyle="", markeredgecolor=INK, markersize=size)
        entries[f"area of {percent(share)} of the step"] = spot
    legend(figure, entries, across=6, labelspacing=0.9)
