"""A picture of a network: its layers from left to right, with what each slot is and costs.

A box is as high as its image, relative to the input's, and as broad as the logarithm of its channels. A slot that
holds several convolutions is divided into them, in order; those that are depthwise or grouped are striped.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from dsbench.network import svg
from dsbench.network.columns import BROAD, LINE, Column, convs, inside
from dsbench.network.containers import Gate, Residual, Slot
from dsbench.network.cost import cost
from dsbench.network.description import Network
from dsbench.network.layers import Conv, Linear

# Okabe and Ito's blue, orange and yellow: apart for colour-blind readers, and in lightness when printed in grey.
FILLS = {"plain": "#0072b2", "separable": "#e69f00", "inverted residual": "#f0e442"}
LINEAR, OTHER = "#8c8c8c", "#e6e6e6"
STRIPED = ("depthwise", "grouped")

# Pixels.
PAGE, MARGIN = 1180, 24  # the breadth at which rows wrap; the border
TOP, TALL = 44, 120  # room for the shortcut above a box; the box of an image of the input's size


def draw(network: Network, title: str) -> str:
    """The picture of `network` as the text of a standalone SVG file."""
    rows = _rows(network)
    pitch = TOP + TALL + 24 + max(column.text_height for row in rows for column in row)
    breadth = max(2 * MARGIN + max(sum(column.breadth for column in row) for row in rows), 9 * len(title), 800)
    page = svg.document(breadth, 120 + pitch * len(rows), title)
    striped = svg.stripes(page, "stripes")
    svg.text(page, MARGIN, 36, title, 17, bold=True)
    for number, row in enumerate(rows):
        _row(svg.group(page, MARGIN, 48 + number * pitch), row, network.input_shape[1], striped)
    foot = svg.group(page, MARGIN, 62 + pitch * len(rows))
    _legend(foot, network, striped)
    total = cost(network)
    costs = f"{total.params:,} parameters, {total.macs:,} MACs, {total.flops:,} FLOPs for one image"
    svg.text(foot, 0, 44, f"Total: {costs}", 14, bold=True)
    ET.indent(page)
    return ET.tostring(page, encoding="unicode") + "\n"


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
    svg.path(parent, f"M0 {middle} H{sum(column.breadth for column in row)}")
    x = 0
    for column in row:
        name = f"slot-{column.layer.index}" if isinstance(column.layer, Slot) else None
        group = svg.group(parent, x, 0, name)
        ET.SubElement(group, "title").text = ", ".join(s.layer.label for s in column.steps) or "input"
        breadth, height = _size(column, image)
        left, top = (column.breadth - breadth) / 2, middle - height / 2
        _box(group, column, (left, top, breadth, height), striped)
        _marks(group, column, (left, top, breadth), middle)
        _below(group, column)
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
        fill = "#ffffff" if column.layer is None else LINEAR if isinstance(column.layer, Linear) else OTHER
        svg.rect(parent, left, top, breadth, height, fill)
        return
    path = list(convs(column.layer.body))
    part = breadth / len(path)
    for number, conv in enumerate(path):
        svg.rect(parent, left + number * part, top, part, height, FILLS[column.layer.kind])
        if conv.role in STRIPED:
            svg.rect(parent, left + number * part, top, part, height, striped)


def _marks(parent: ET.Element, column: Column, box: tuple[float, float, float], middle: float) -> None:
    """The shortcut that goes around a residual box, and the badge of a gate."""
    left, top, breadth = box
    held = list(inside([column.layer])) if column.layer else []
    for residual in (layer for layer in held if isinstance(layer, Residual)):
        right = left + breadth
        svg.path(parent, f"M{left - 10:g} {middle:g} V{top - 26:g} H{right + 10:g} V{middle:g}", svg.INK)
        svg.badge(parent, right + 10, middle, "+")
        if residual.shortcut:
            svg.badge(parent, left + breadth / 2, top - 26, "1x1")
    if any(isinstance(layer, Gate) for layer in held):
        svg.badge(parent, left + breadth / 2, top - 9, "SE")


def _below(parent: ET.Element, column: Column) -> None:
    first = TOP + TALL + 16
    for number, line in enumerate(column.lines):
        if column.broad:
            svg.text(parent, column.breadth / 2, first + number * LINE, line, 11, "middle", bold=number == 0)
        else:
            offset = 6 * (len(column.lines) - 1) - 4 - 12 * number
            svg.down(parent, column.breadth / 2 + offset, first - 8, line)


def _legend(parent: ET.Element, network: Network, striped: str) -> None:
    slots = [layer for layer in network.layers if isinstance(layer, Slot)]
    held, x = list(inside(slots)), 0.0
    for kind in sorted({slot.kind for slot in slots}, key=list(FILLS).index):
        svg.rect(parent, x, 0, 14, 14, FILLS[kind])
        x = _entry(parent, x + 20, kind)
    if any(isinstance(layer, Conv) and layer.role in STRIPED for layer in held):
        svg.rect(parent, x, 0, 14, 14, "#555555")
        svg.rect(parent, x, 0, 14, 14, striped)
        x = _entry(parent, x + 20, "depthwise or grouped")
    if any(isinstance(layer, Residual) for layer in held):
        svg.badge(parent, x + 8, 7, "+")
        x = _entry(parent, x + 22, "residual")
    if any(isinstance(layer, Gate) for layer in held):
        svg.badge(parent, x + 12, 7, "SE")
        x = _entry(parent, x + 28, "squeeze-and-excitation")
    _entry(parent, x, "height: size of the image; breadth: logarithm of the channels")


def _entry(parent: ET.Element, x: float, content: str) -> float:
    """One entry of the legend from x on; where the next one begins."""
    svg.text(parent, x, 11, content)
    return x + 6.2 * len(content) + 20
