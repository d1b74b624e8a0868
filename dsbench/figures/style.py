"""How every picture looks: a colour, marker, line and hatch a family, the canvas, and the bytes of a file."""

from __future__ import annotations

import functools
import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, apart for colour-blind readers.
BLUE, GREEN, ORANGE = "#0072b2", "#009e73", "#e69f00"
VERMILION, PURPLE, SKY, YELLOW = "#d55e00", "#cc79a7", "#56b4e9", "#f0e442"
INK, FAINT, GREY = "#222222", "#d9d9d9", "#8c8c8c"
FORMATS = ("svg", "png")
SMALL = 8  # points of the letters of labels
DOTS_PER_INCH = 150  # of a PNG
_TITLE, _CAPTION = 11, 8.5  # points of their letters

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Style:
    """What tells a family from others: `line` and `hatch` as matplotlib writes them."""

    color: str
    marker: str
    line: Any
    hatch: str


# Blue, green and orange are a fifth of the way from black to white apart in lightness, so they differ in grey as well.
FAMILIES = {
    "cnn": Style(BLUE, "s", "-", "//"),
    "hybrid": Style(GREEN, "D", (0, (6, 1.5, 1.5, 1.5)), "xx"),
    "dwsep": Style(ORANGE, "o", (0, (5, 2)), ".."),
}
OTHER = Style(GREY, "^", ":", "--")  # of a run whose record cannot be read


def style(model: Any) -> Style:
    """The style of a family, the same in every picture."""
    return FAMILIES.get(model, OTHER) if isinstance(model, str) else OTHER


def settings() -> AbstractContextManager[Any]:
    """Within, matplotlib's settings are dsbench's, whatever the user's own are."""
    import matplotlib

    own: dict[Any, Any] = {
        "svg.hashsalt": "dsbench",
        "svg.fonttype": "none",  # text stays text: it can be searched, and a page's own fonts can be set
        "font.family": "sans-serif",  # DejaVu Sans, which matplotlib brings; a viewer without it takes the next
        "text.parse_math": False,  # names are no formulas, whatever is in them
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.edgecolor": INK,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": FAINT,
        "grid.linewidth": 0.5,
        "hatch.linewidth": 0.8,
        "legend.frameon": False,
    }
    return matplotlib.rc_context({**matplotlib.rcParamsDefault, **own})


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """A function that draws, within `settings`."""

    @functools.wraps(draw)
    def within(*args: P.args, **kwargs: P.kwargs) -> R:
        with settings():
            return draw(*args, **kwargs)

    return within


def canvas(width: float, height: float, title: str, caption: str = "") -> Figure:
    """An empty figure with room of `width` by `height` inches below its title and its caption, both at the left.

    Each line of the caption is wrapped. The title, in one line, is the figure's label.
    """
    from matplotlib.figure import Figure

    lines = [line for part in caption.splitlines() for line in textwrap.wrap(part, int(width * 72 / (_CAPTION * 0.56)))]
    heads = textwrap.wrap(title, int(width * 72 / (_TITLE * 0.62)))
    head, rest = 0.1 + 0.21 * len(heads), 0.165 * len(lines)
    tall = height + head + rest + 0.1
    figure = Figure(figsize=(width, tall), layout="constrained")
    figure.set_label(title)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - (head + rest + 0.05) / tall))  # type: ignore[union-attr, call-arg]
    place: dict[str, Any] = {"ha": "left", "va": "top", "color": INK}
    figure.text(0.1 / width, 1 - 0.1 / tall, "\n".join(heads), fontsize=_TITLE, weight="bold", **place)
    figure.text(0.1 / width, 1 - (head + 0.05) / tall, "\n".join(lines), fontsize=_CAPTION, linespacing=1.25, **place)
    return figure


def row_height(least: float, names: Sequence[str]) -> float:
    """Inches of each of the rows that have these names, in as many lines as they have."""
    return max(least, 0.12 + 0.155 * max(1 + name.count("\n") for name in names))


def layout(count: int, most: int) -> tuple[int, int]:
    """Rows, and panels in a row, for `count` panels: at most `most` in a row, and rows about equally full."""
    down = -(-count // most)
    return down, -(-count // down)


def panels(figure: Figure, count: int, most: int, **shared: Any) -> list[Axes]:
    """`count` panels, row by row as in `layout`; `shared` is what matplotlib's subplots take."""
    grid = figure.subplots(*layout(count, most), squeeze=False, **shared)
    for unused in grid.flat[count:]:
        unused.remove()
    return list(grid.flat[:count])


def settle(figure: Figure) -> None:
    """Lay the panels out for good, so that what is placed by pixels stays where it is put."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def legend(figure: Figure, entries: Mapping[str, Any], across: int = 4, **more: Any) -> None:
    """A legend below all panels of what is drawn, by what it is; `more` is matplotlib's."""
    if entries:
        drawn, words = list(entries.values()), list(entries)
        figure.legend(drawn, words, loc="outside lower center", ncols=across, **more)


def rendered(figure: Figure, kind: str) -> bytes:
    """The content of an SVG or PNG file; the same for the same figure, and without a date."""
    out = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": "dsbench"} if kind == "svg" else {"Software": "dsbench"}
    with settings():
        figure.savefig(out, format=kind, metadata=metadata, dpi=DOTS_PER_INCH if kind == "png" else 72)
    return out.getvalue()
