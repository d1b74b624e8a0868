"""How learning curves look: validation whole and shaded, training dashed and hatched, and their legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dsbench.figures.rows import Cell
from dsbench.figures.style import INK

PARTS = {"train": "training", "val": "validation"}
THIN: dict[str, Any] = {"linewidth": 0.8, "marker": "x", "markersize": 6}  # a run that is not done
ARROW: dict[str, Any] = {"marker": "v", "markersize": 8, "markeredgecolor": INK, "linestyle": ""}


def line(part: str) -> dict[str, Any]:
    """Validation is a whole line, training a dashed one."""
    return {"linestyle": "-", "linewidth": 1.8} if part == "val" else {"linestyle": (0, (4, 1.5)), "linewidth": 1.3}


def band(color: str, part: str) -> dict[str, Any]:
    """Validation is a shade, training is hatched."""
    if part == "val":
        return {"color": color, "alpha": 0.25, "linewidth": 0, "zorder": 2}
    return {"facecolor": "none", "edgecolor": color, "alpha": 0.5, "hatch": "////", "linewidth": 0, "zorder": 2}


def markers(cell: Cell, epochs: int) -> dict[str, Any]:
    """About eight markers a curve."""
    return {
        "marker": cell.style.marker,
        "markersize": 4.5,
        "markeredgecolor": INK,
        "markeredgewidth": 0.6,
        "markevery": max(1, epochs // 8),
    }


def entries(cells: Sequence[Cell], parts: Sequence[str], lost: bool, cut: bool) -> dict[str, Any]:
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
        out[PARTS[part]] = (Patch(**band(INK, part)), Line2D([], [], color=INK, **line(part)))
    if lost:
        out["a run that is not done"] = Line2D([], [], color=INK, markevery=[1], **THIN)
    if cut:
        out["such runs, off the axis" if lost else "runs that are not done, off the axis"] = Line2D(
            [], [], color=INK, **ARROW
        )
    return out
