"""The picture of a network: a box a layer, as tall as its image, with the shapes and costs below it."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from dsbench.network.blocks import SLOT_KINDS
from dsbench.network.cost import cost
from dsbench.network.description import Gate, Network, Residual, Slot, Step, inside, walk
from dsbench.network.layers import Conv, Layer, Linear, Shape

FONT = "Helvetica, Arial, sans-serif"
INK, RULE, PAPER = "#222222", "#6b6b6b", "#ffffff"
# Okabe and Ito's colours: apart for colour-blind readers, the first three also in lightness when printed in grey.
COLOURS = ("#0072b2", "#e69f00", "#f0e442", "#56b4e9", "#009e73", "#cc79a7", "#d55e00")
FILLS = dict(zip(SLOT_KINDS.values(), cycle(COLOURS), strict=False))
LINEAR, OTHER = "#8c8c8c", "#e6e6e6"
STRIPED = ("depthwise", "grouped")
# Pixels.
BROAD, SLIM, LINE = 122, 26, 15  # a column with horizontal text, at least; one with a line downwards; a line's height
PAGE, MARGIN = 1180, 24  # the breadth at which rows wrap; the border
TOP, TALL = 44, 120  # room for the shortcut above a box; the box of an image of the input's size


def draw(network: Network, title: str) -> str:
    """The picture of `network` as the text of a standalone SVG file."""
    rows = _rows(network)
    pitch = TOP + TALL + 24 + max(column.text_height for row in rows for column in row)
    breadth = max(2 * MARGIN + max(sum(column.breadth for column in row) for row in rows), 9 * len(title), 800)
    page = _page(breadth, 120 + pitch * len(rows), title)
    striped = _stripes(page)
    _text(page, MARGIN, 36, title, 17, font_weight="bold")
    for number, row in enumerate(rows):
        _row(_group(page, MARGIN, 48 + number * pitch), row, network.input_shape[1], striped)
    foot = _group(page, MARGIN, 62 + pitch * len(rows))
    _legend(foot, network, striped)
    total = cost(network)
    costs = f"{total.params:,} parameters, {total.macs:,} MACs, {total.flops:,} FLOPs for one image"
    _text(foot, 0, 44, f"Total: {costs}", 14, font_weight="bold")
    ET.indent(page)
    return ET.tostring(page, encoding="unicode") + "\n"


def _page(width: float, height: float, title: str) -> ET.Element:
    """An empty white page with `title` for screen readers."""
    size = {"width": f"{width:g}", "height": f"{height:g}", "viewBox": f"0 0 {width:g} {height:g}"}
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img", "font-family": FONT})
    _put(svg, "title", title)
    _put(svg, "rect", width="100%", height="100%", fill=PAPER)
    return svg


@dataclass(frozen=True)
class Column:
    """One layer of the picture and the shapes before and after it; no layer stands for the input."""

    layer: Layer | None
    before: Shape
    after: Shape

    @property
    def steps(self) -> list[Step]:
        """The leaves of the layer."""
        return list(walk([self.layer], self.before)) if self.layer else []

    @property
    def params(self) -> int:
        """Trainable parameters."""
        return sum(step.layer.params for step in self.steps)

    @property
    def lines(self) -> list[str]:
        """The text below the box: horizontal, the first line bold, where the column is broad; else downwards."""
        costs = [f"{self.params:,} params", f"{sum(step.layer.macs(step.in_shape) for step in self.steps):,} MACs"]
        if self.layer is None:
            return ["input", _times(self.after)]
        if isinstance(self.layer, Slot):
            channels, kernel = _reach(self.layer)
            size = f"{kernel}, {_times(self.after[1:])}"
            return [f"slot {self.layer.index}", self.layer.kind, channels, size, *costs]
        if isinstance(self.layer, Linear):
            return ["linear", f"{self.layer.in_features:,} → {self.layer.out_features:,}", *costs]
        return [self.layer.label, *costs[: self.params > 0]]

    @property
    def broad(self) -> bool:
        """Whether there is room for horizontal text."""
        return self.layer is None or isinstance(self.layer, (Slot, Linear))

    @property
    def text_height(self) -> int:
        """Pixels that the text takes below the box."""
        return LINE * len(self.lines) if self.broad else 6 * max(map(len, self.lines))

    @property
    def breadth(self) -> int:
        """Pixels."""
        if not self.broad:
            return SLIM + 12 * (len(self.lines) - 1)
        return max(BROAD, 10 + round(6.4 * max(map(len, self.lines))))


def _rows(network: Network) -> list[list[Column]]:
    """The columns of each row, as many as the page is broad."""
    rows = [[Column(None, network.input_shape, network.input_shape)]]
    shape = network.input_shape
    for layer in network.layers:
        column = Column(layer, shape, layer.output_shape(shape))
        if sum(c.breadth for c in rows[-1]) + column.breadth > PAGE - 2 * MARGIN:
            rows.append([])
        rows[-1].append(column)
        shape = column.after
    return rows


def _row(parent: ET.Element, row: Sequence[Column], image: int, striped: str) -> None:
    middle = TOP + TALL / 2
    _path(parent, f"M0 {middle} H{sum(column.breadth for column in row)}", RULE)
    x = 0
    for column in row:
        name = {"id": f"slot-{column.layer.index}"} if isinstance(column.layer, Slot) else {}
        box = _group(parent, x, 0, **name)
        _put(box, "title", ", ".join(step.layer.label for step in column.steps) or "input")
        breadth, height = _size(column, image)
        left, top = (column.breadth - breadth) / 2, middle - height / 2
        _box(box, column, (left, top, breadth, height), striped)
        _marks(box, column, (left, top, breadth), middle)
        _below(box, column)
        x += column.breadth


def _size(column: Column, image: int) -> tuple[float, float]:
    """Breadth and height of the box."""
    logarithm = math.log2(column.after[0])
    height = min(10 + 8 * logarithm, TALL) if len(column.after) == 1 else max(TALL * column.after[1] / image, 10)
    if isinstance(column.layer, Slot) or column.layer is None:
        return min(16 + 7 * logarithm, BROAD - 36), height
    return 14, height


def _box(parent: ET.Element, column: Column, box: tuple[float, float, float, float], striped: str) -> None:
    left, top, breadth, height = box
    if not isinstance(column.layer, Slot):
        fill = PAPER if column.layer is None else LINEAR if isinstance(column.layer, Linear) else OTHER
        _rect(parent, left, top, breadth, height, fill)
        return
    convs = list(_convs(column.layer.body))
    part = breadth / len(convs)
    for number, conv in enumerate(convs):
        _rect(parent, left + number * part, top, part, height, FILLS[column.layer.kind])
        if conv.role in STRIPED:
            _rect(parent, left + number * part, top, part, height, striped)


def _marks(parent: ET.Element, column: Column, box: tuple[float, float, float], middle: float) -> None:
    """The shortcut that goes around a residual box, and the badge of a gate."""
    left, top, breadth = box
    layers = list(inside([column.layer])) if column.layer else []
    for residual in (layer for layer in layers if isinstance(layer, Residual)):
        right = left + breadth
        _path(parent, f"M{left - 10:g} {middle:g} V{top - 26:g} H{right + 10:g} V{middle:g}", INK)
        _badge(parent, right + 10, middle, "+")
        if residual.shortcut:
            _badge(parent, left + breadth / 2, top - 26, "1x1")
    if any(isinstance(layer, Gate) for layer in layers):
        _badge(parent, left + breadth / 2, top - 9, "SE")


def _below(parent: ET.Element, column: Column) -> None:
    first = TOP + TALL + 16
    for number, line in enumerate(column.lines):
        if column.broad:
            bold = {"font_weight": "bold"} if number == 0 else {}
            _text(parent, column.breadth / 2, first + number * LINE, line, 11, "middle", **bold)
        else:
            x = column.breadth / 2 + 6 * (len(column.lines) - 1) - 4 - 12 * number
            _text(parent, x, first - 8, line, transform=f"rotate(90 {x:g} {first - 8:g})")


def _legend(parent: ET.Element, network: Network, striped: str) -> None:
    slots = [layer for layer in network.layers if isinstance(layer, Slot)]
    layers, x = list(inside(slots)), 0.0
    for kind in sorted({slot.kind for slot in slots}, key=list(FILLS).index):
        _rect(parent, x, 0, 14, 14, FILLS[kind])
        x = _entry(parent, x + 20, kind)
    if any(isinstance(layer, Conv) and layer.role in STRIPED for layer in layers):
        _rect(parent, x, 0, 14, 14, "#555555")
        _rect(parent, x, 0, 14, 14, striped)
        x = _entry(parent, x + 20, "depthwise or grouped")
    if any(isinstance(layer, Residual) for layer in layers):
        _badge(parent, x + 8, 7, "+")
        x = _entry(parent, x + 22, "residual")
    if any(isinstance(layer, Gate) for layer in layers):
        _badge(parent, x + 12, 7, "SE")
        x = _entry(parent, x + 28, "squeeze-and-excitation")
    _entry(parent, x, "height: size of the image; breadth: logarithm of the channels")


def _entry(parent: ET.Element, x: float, content: str) -> float:
    """One entry of the legend from x on; where the next one begins."""
    _text(parent, x, 11, content)
    return x + 6.2 * len(content) + 20


def _convs(layers: Sequence[Layer]) -> Iterator[Conv]:
    """The convolutions on the main path, in order."""
    for layer in layers:
        if isinstance(layer, Conv):
            yield layer
        elif isinstance(layer, Residual):
            yield from _convs(layer.body)


def _reach(slot: Slot) -> tuple[str, str]:
    """The channels along the main path (16 → 96 → 32); kernel and stride (kernel 3/2)."""
    convs = list(_convs(slot.body))
    channels = [convs[0].in_channels] + [conv.out_channels for conv in convs if conv.out_channels != conv.in_channels]
    if len(channels) == 1:
        channels *= 2
    kernel, stride = max(conv.kernel for conv in convs), max(conv.stride for conv in convs)
    return " → ".join(map(str, channels)), f"kernel {kernel}{f'/{stride}' if stride > 1 else ''}"


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _put(parent: ET.Element, tag: str, content: str | None = None, /, **attributes: float | str) -> ET.Element:
    """A further SVG element of `parent`: numbers are pixels, an underscore in a name stands for a hyphen."""
    written = {
        name.replace("_", "-"): value if isinstance(value, str) else f"{value:g}" for name, value in attributes.items()
    }
    element = ET.SubElement(parent, tag, written)
    element.text = content
    return element


def _group(parent: ET.Element, x: float, y: float, **attributes: str) -> ET.Element:
    """A group whose own origin is at (x, y)."""
    return _put(parent, "g", transform=f"translate({x:g} {y:g})", **attributes)


def _rect(parent: ET.Element, x: float, y: float, width: float, height: float, fill: str) -> None:
    """A framed rectangle with its top left corner at (x, y)."""
    _put(parent, "rect", x=x, y=y, width=width, height=height, fill=fill, stroke=INK)


def _path(parent: ET.Element, commands: str, stroke: str) -> None:
    """A line without filling, by SVG path commands."""
    _put(parent, "path", d=commands, fill="none", stroke=stroke, stroke_width="1.5")


def _text(
    parent: ET.Element, x: float, y: float, content: str, size: float = 11, anchor: str = "start", **attributes: str
) -> None:
    """One line of text; `anchor` start, middle or end at x, its baseline at y."""
    _put(parent, "text", content, x=x, y=y, font_size=size, text_anchor=anchor, fill=INK, **attributes)


def _badge(parent: ET.Element, x: float, y: float, content: str) -> None:
    """A small white pill around `content`, centred at (x, y)."""
    half = 4 + 3.2 * len(content)
    _put(parent, "rect", x=x - half, y=y - 7, width=2 * half, height=14, rx=7, fill=PAPER, stroke=INK)
    _text(parent, x, y + 3.5, content, 10, "middle", font_weight="bold")


def _stripes(svg: ET.Element) -> str:
    """Define white diagonal stripes on nothing; the fill that stands for them."""
    size: dict[str, float | str] = {"width": 6, "height": 6, "patternUnits": "userSpaceOnUse"}
    pattern = _put(_put(svg, "defs"), "pattern", id="stripes", **size, patternTransform="rotate(45)")
    _put(pattern, "rect", width=2, height=6, fill=PAPER, fill_opacity="0.75")
    return "url(#stripes)"
