"""Roofs, drawn into a panel whose layout is settled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dsbench.figures.labels import covered, pixels
from dsbench.figures.placing import Box, along
from dsbench.figures.style import INK, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def roofs(panel: Axes, flops: float, bandwidth: float, labels: tuple[str, str]) -> list[Box]:
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
