"""Roofs and names, drawn into a panel whose layout is settled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench.roofline.placing import Box, Mark, Point, along, place

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

INK = "#222222"
SMALL = 8  # points of the letters


@dataclass(frozen=True)
class Spot:
    """A marker: where it is in data, its radius in points, and what it is called, "" where it has no name."""

    x: float
    y: float
    radius: float
    name: str


def roofs(panel: Axes, flops: float, bandwidth: float, labels: tuple[str, str]) -> list[Box]:
    """Draw both roofs with the labels of arithmetic and memory; what they cover. The limits stay from here on."""
    panel.autoscale(False)
    (left, right), ridge = panel.get_xlim(), flops / bandwidth
    xs, ys = (left, ridge, right), (bandwidth * left, flops, flops)
    panel.plot(xs, ys, color=INK, linewidth=1.6, zorder=2)
    start, corner, end = (_pixels(panel, x, y) for x, y in zip(xs, ys, strict=True))
    slope = math.atan2(corner[1] - start[1], corner[0] - start[0])
    across, up = math.cos(slope), math.sin(slope)
    back = (-14 * across - 3 * up, -14 * up + 3 * across)  # points: back along the slope, and off it
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL, "va": "bottom"}
    turned: dict[str, Any] = {"rotation": math.degrees(slope), "rotation_mode": "anchor", "ha": "right"}
    flat = panel.annotate(labels[0], (ridge, flops), (0, 3), ha="left", **style)
    steep = panel.annotate(labels[1], (ridge, flops), back, **turned, **style)
    return [_box(flat), _box(steep), *along(start, corner), *along(corner, end)]


def names(panel: Axes, spots: Sequence[Spot], taken: Sequence[Box]) -> None:
    """Write the names of `spots` where there is room, each with a line to its marker."""
    texts, marks = [], []
    for spot in spots:
        text = panel.text(0, 0, spot.name, fontsize=SMALL, ha="center", va="center", zorder=5) if spot.name else None
        size = (_box(text).right - _box(text).left, _box(text).top - _box(text).bottom) if text else None
        texts.append(text)
        marks.append(Mark(_pixels(panel, spot.x, spot.y), spot.radius * panel.figure.dpi / 72, size))
    for text, mark, box in zip(texts, marks, place(marks, taken, _box(panel)), strict=True):
        if text is not None and box is not None:
            text.set_position(_data(panel, box.centre))
            line = (_data(panel, mark.centre), _data(panel, box.nearest(mark.centre)))
            panel.plot(*zip(*line, strict=True), color=INK, linewidth=0.6, zorder=2.5)


def _pixels(panel: Axes, x: float, y: float) -> Point:
    across, up = panel.transData.transform((x, y))
    return float(across), float(up)


def _data(panel: Axes, pixels: Point) -> Point:
    x, y = panel.transData.inverted().transform(pixels)
    return float(x), float(y)


def _box(artist: Artist) -> Box:
    return Box(*artist.get_window_extent().extents)
