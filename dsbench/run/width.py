"""How a width is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def width(result: Mapping[str, Any]) -> str:
    """The width of a record, with the fine width where one was set: 16, or 31 (fine 69)."""
    fine = result.get("fine_width")
    return f"{result['width']}" if fine is None else f"{result['width']} (fine {fine})"
