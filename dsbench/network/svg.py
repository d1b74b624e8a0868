"""The few SVG shapes that a picture of a network is drawn with; coordinates in pixels."""

from __future__ import annotations

import xml.etree.ElementTree as ET

FONT = "Helvetica, Arial, sans-serif"
INK, RULE = "#222222", "#6b6b6b"


def document(width: float, height: float, title: str) -> ET.Element:
    """An empty white page with `title` for screen readers."""
    size = {"width": f"{width:g}", "height": f"{height:g}", "viewBox": f"0 0 {width:g} {height:g}"}
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img", "font-family": FONT})
    ET.SubElement(svg, "title").text = title
    ET.SubElement(svg, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    return svg


def group(parent: ET.Element, x: float, y: float, name: str | None = None) -> ET.Element:
    """A group whose own origin is at (x, y); `name` becomes its id."""
    attributes = {"transform": f"translate({x:g} {y:g})"} | ({"id": name} if name else {})
    return ET.SubElement(parent, "g", attributes)


def rect(parent: ET.Element, x: float, y: float, width: float, height: float, fill: str, stroke: str = INK) -> None:
    """A rectangle with its top left corner at (x, y)."""
    place = {"x": f"{x:g}", "y": f"{y:g}", "width": f"{width:g}", "height": f"{height:g}"}
    ET.SubElement(parent, "rect", {**place, "fill": fill, "stroke": stroke})


def path(parent: ET.Element, commands: str, stroke: str = RULE) -> None:
    """A line without filling, by SVG path commands."""
    ET.SubElement(parent, "path", {"d": commands, "fill": "none", "stroke": stroke, "stroke-width": "1.5"})


def text(
    parent: ET.Element, x: float, y: float, content: str, size: float = 11, anchor: str = "start", bold: bool = False
) -> ET.Element:
    """One line of text; `anchor` start, middle or end at x, its baseline at y."""
    place = {"x": f"{x:g}", "y": f"{y:g}", "font-size": f"{size:g}", "text-anchor": anchor, "fill": INK}
    element = ET.SubElement(parent, "text", place | ({"font-weight": "bold"} if bold else {}))
    element.text = content
    return element


def down(parent: ET.Element, x: float, y: float, content: str) -> None:
    """One line of text that reads downwards from (x, y)."""
    text(parent, x, y, content).set("transform", f"rotate(90 {x:g} {y:g})")


def badge(parent: ET.Element, x: float, y: float, content: str) -> None:
    """A small white pill around `content`, centred at (x, y)."""
    half = 4 + 3.2 * len(content)
    place = {"x": f"{x - half:g}", "y": f"{y - 7:g}", "width": f"{2 * half:g}", "height": "14", "rx": "7"}
    ET.SubElement(parent, "rect", {**place, "fill": "#ffffff", "stroke": INK})
    text(parent, x, y + 3.5, content, 10, "middle", bold=True)


def stripes(svg: ET.Element, name: str) -> str:
    """Define white diagonal stripes on nothing; the fill that stands for them."""
    place = {"id": name, "width": "6", "height": "6", "patternUnits": "userSpaceOnUse"}
    pattern = ET.SubElement(ET.SubElement(svg, "defs"), "pattern", {**place, "patternTransform": "rotate(45)"})
    ET.SubElement(pattern, "rect", {"width": "2", "height": "6", "fill": "#ffffff", "fill-opacity": "0.75"})
    return f"url(#{name})"
