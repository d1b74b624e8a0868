"""Where the names of points can stand in a crowded picture: plain geometry, in pixels from the lower left corner."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dsbench.figures.style import INK, SMALL

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

GAPS = (3.0, 18.0, 36.0, 60.0, 90.0, 130.0)  # between a point and its name, tried in turn
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))  # tried in turn
UNREAD = 10.0  # times worse it is to cover a name than to cover anything else
STRETCH = 6.0  # a line counts as boxes of about this length
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, centre: Point, width: float, height: float) -> Box:
        """The box of that size around `centre`."""
        x, y = centre
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    @property
    def centre(self) -> Point:
        """Its middle."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    @property
    def area(self) -> float:
        """Square pixels."""
        return (self.right - self.left) * (self.top - self.bottom)

    def nearest(self, point: Point) -> Point:
        """The point of the box nearest to `point`."""
        return min(max(point[0], self.left), self.right), min(max(point[1], self.bottom), self.top)

    def within(self, margin: float) -> Box:
        """What is left of the box where `margin` is taken off each side."""
        return Box(self.left + margin, self.bottom + margin, self.right - margin, self.top - margin)

    def shared(self, other: Box) -> float:
        """Square pixels that both cover."""
        breadth = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, breadth) * max(0.0, height)


@dataclass(frozen=True)
class Mark:
    """A point of the picture, its radius, and the size of its name, which is None where it has none."""

    centre: Point
    radius: float
    size: tuple[float, float] | None


def along(start: Point, end: Point) -> list[Box]:
    """A line as small boxes."""
    steps = max(1, round(math.dist(start, end) / STRETCH))
    ways = (step / steps for step in range(steps + 1))
    return [Box.around((start[0] + (end[0] - start[0]) * w, start[1] + (end[1] - start[1]) * w), 4, 4) for w in ways]


def place(marks: Sequence[Mark], taken: Sequence[Box], panel: Box) -> list[Box | None]:
    """A box for the name of each mark, in order of precedence.

    It is the first place within `panel` that covers neither `taken` nor a mark nor an earlier name, and whose line to
    its mark crosses no earlier name; where there is none, the one that covers least and is near.
    """
    fixed = [*taken, *(Box.around(mark.centre, 2 * mark.radius, 2 * mark.radius) for mark in marks)]
    names: list[Box] = []
    out: list[Box | None] = []
    for mark in marks:
        if mark.size is None:
            out.append(None)
            continue
        costs = {box: _cost(box, mark, fixed, names, panel) for box in _candidates(mark, *mark.size)}
        best = min(costs, key=lambda box: costs[box])
        names += [best, *along(mark.centre, best.nearest(mark.centre))]
        out.append(best)
    return out


def _candidates(mark: Mark, width: float, height: float) -> Iterator[Box]:
    for gap in GAPS:
        for across, up in DIRECTIONS:
            reach = (mark.radius + gap) / math.hypot(across, up)
            x = mark.centre[0] + across * (reach + width / 2)
            y = mark.centre[1] + up * (reach + height / 2)
            yield Box.around((x, y), width, height)


def _cost(box: Box, mark: Mark, fixed: Sequence[Box], names: Sequence[Box], panel: Box) -> float:
    """Square pixels that a name in `box` covers or loses, and that its line does; those of names count for more."""
    hidden = sum(box.shared(other) for other in fixed)
    unread = sum(box.shared(name) for name in names) + box.area - box.shared(panel)
    unread += sum(part.shared(name) for part in along(mark.centre, box.nearest(mark.centre)) for name in names)
    return hidden + UNREAD * unread + math.dist(box.nearest(mark.centre), mark.centre)


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
