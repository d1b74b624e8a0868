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
INK, FAINT, GREY, PAPER = "#222222", "#d9d9d9", "#8c8c8c", "#ffffff"
# Each colour by the name of the CSS variable that a page gives it, which is another in a dark scheme.
PALETTE = {
    "blue": BLUE,
    "green": GREEN,
    "orange": ORANGE,
    "vermilion": VERMILION,
    "purple": PURPLE,
    "sky": SKY,
    "yellow": YELLOW,
    "ink": INK,
    "faint": FAINT,
    "grey": GREY,
    "paper": PAPER,
}
FORMATS = ("svg", "png")
FULL = 12.4  # inches: the width of a page, on which letters of TEXT points are as large as its tables'
TEXT, SMALL = 10.5, 9.5  # points of letters, and of those of labels
DOTS_PER_INCH = 150  # of a PNG
_TITLE, _CAPTION = 12, 10  # points of their letters
_ELSEWHERE = ("backend", "backend_fallback", "interactive")  # of windows: what is drawn here is files

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
        "font.size": TEXT,
        "axes.titlesize": TEXT,
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": FAINT,
        "grid.linewidth": 0.5,
        "hatch.linewidth": 0.8,
        "legend.frameon": False,
    }
    default = {name: value for name, value in matplotlib.rcParamsDefault.items() if name not in _ELSEWHERE}
    return matplotlib.rc_context({**default, **own})


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """A function that draws, within `settings`."""

    @functools.wraps(draw)
    def within(*args: P.args, **kwargs: P.kwargs) -> R:
        with settings():
            return draw(*args, **kwargs)

    return within


def canvas(width: float, height: float, title: str, caption: str = "", seen: str = "") -> Figure:
    """An empty figure with room of `width` by `height` inches below its title and its caption, both at the left.

    Each line of the caption is wrapped. The title, in one line, is the figure's label. `seen` says what is to be seen,
    to those who do not see it.
    """
    from matplotlib.figure import Figure

    lines = [line for part in caption.splitlines() for line in textwrap.wrap(part, int(width * 72 / (_CAPTION * 0.56)))]
    heads = textwrap.wrap(title, int(width * 72 / (_TITLE * 0.62)))
    above = _above(len(heads), len(lines))
    tall = height + above + 0.05
    figure = Figure(figsize=(width, tall), layout="constrained")
    figure.set_label(title)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - above / tall))  # type: ignore[union-attr, call-arg]
    place: dict[str, Any] = {"ha": "left", "va": "top"}
    head, text = "\n".join(heads), "\n".join(lines)
    figure.text(0.1 / width, 1 - 0.1 / tall, head, fontsize=_TITLE, weight="bold", gid=HEADING, **place)
    top = 1 - _above(len(heads), 0) / tall
    figure.text(0.1 / width, top, text, fontsize=_CAPTION, linespacing=1.25, gid=CAPTION, **place)
    figure.text(0, 0, seen, gid=_SEEN, visible=False)
    return figure


HEADING, CAPTION, _SEEN = "heading", "caption", "seen"  # texts of a figure


def _above(heads: int, lines: int) -> float:
    """Inches that a title of so many lines, and a caption of so many, stand in."""
    return 0.15 + _TITLE * 1.4 / 72 * heads + _CAPTION * 1.42 / 72 * lines


@dataclass(frozen=True)
class Words:
    """What stands above a picture, and what is to be seen in it; `above` is the inches that the first two take."""

    title: str
    caption: str
    seen: str
    above: float


def words(figure: Figure) -> Words:
    """The words of a figure that `canvas` made."""
    texts = {text.get_gid(): text.get_text() for text in figure.texts}
    caption, title = texts[CAPTION], str(figure.get_label())
    lines = caption.count("\n") + 1 if caption else 0
    above = _above(texts[HEADING].count("\n") + 1, lines)
    return Words(title, " ".join(caption.split()), texts[_SEEN] or title, above)


def row_height(least: float, names: Sequence[str]) -> float:
    """Inches of each of the rows that have these names, in as many lines as they have."""
    return max(least, 0.14 + TEXT * 1.25 / 72 * max(1 + name.count("\n") for name in names))


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
