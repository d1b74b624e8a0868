"""Names of points, written where there is room into a panel whose layout is settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dsbench.figures.placing import Box, Mark, Point, place
from dsbench.figures.style import INK, SMALL

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


PAD = 8.0  # pixels between names beside each other
FRAME = 4.0  # pixels between a name and the frame of its panel
# Over the lines of other names, which it blots out, and under the markers.
LETTERING: dict[str, Any] = {
    "fontsize": SMALL,
    "ha": "center",
    "va": "center",
    "zorder": 2.7,
    "bbox": {"facecolor": "#ffffff", "alpha": 0.7, "linewidth": 0, "pad": 0.5},
}


@dataclass(frozen=True)
class Spot:
    """A marker: where it is in data, its radius in points, and what it is called, "" where it has no name."""

    x: float
    y: float
    radius: float
    name: str


def names(panel: Axes, spots: Sequence[Spot], taken: Sequence[Box]) -> None:
    """Write the names of `spots` off the boxes `taken`, each other and the frame, each with a line to its marker."""
    texts, marks = [], []
    for spot in spots:
        text = panel.text(0, 0, spot.name, **LETTERING) if spot.name else None
        written = covered(text) if text else None
        size = (written.right - written.left + PAD, written.top - written.bottom) if written else None
        texts.append(text)
        marks.append(Mark(pixels(panel, spot.x, spot.y), spot.radius * panel.figure.dpi / 72, size))
    for text, mark, box in zip(texts, marks, place(marks, taken, covered(panel).within(FRAME)), strict=True):
        if text is not None and box is not None:
            text.set_position(_data(panel, box.centre))
            line = (_data(panel, mark.centre), _data(panel, box.nearest(mark.centre)))
            panel.plot(*zip(*line, strict=True), color=INK, linewidth=0.6, zorder=2.5)


def traced(panel: Axes, points: Sequence[Point]) -> list[Box]:
    """What a line through `points`, in data, covers; each of its parts is level or upright."""
    spots = [pixels(panel, x, y) for x, y in points]
    return [Box(min(x, u) - 2, min(y, v) - 2, max(x, u) + 2, max(y, v) + 2) for (x, y), (u, v) in pairwise(spots)]


def pixels(panel: Axes, x: float, y: float) -> Point:
    """A place in data as one in pixels."""
    across, up = panel.transData.transform((x, y))
    return float(across), float(up)


def covered(artist: Artist) -> Box:
    """The pixels that something drawn covers."""
    return Box(*artist.get_window_extent().extents)


def _data(panel: Axes, place: Point) -> Point:
    x, y = panel.transData.inverted().transform(place)
    return float(x), float(y)
