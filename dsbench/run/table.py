"""Runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table


def comparison(results: Sequence[dict[str, Any]]) -> Table:
    """A table of records as in result.json, one row a run, in the order given."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model")
    table.add_column("arch")
    table.add_column("data")
    table.add_column("split")
    for name in ("width", "seed", "params", "MACs", "test accuracy", "train time", "images/s"):
        table.add_column(name, justify="right")
    table.add_column("status")
    for result in results:
        accuracy, seconds = result.get("test_acc"), result.get("train_seconds")
        table.add_row(
            result["model"],
            result["arch"],
            result["data"],
            result["split"],
            str(result["width"]),
            str(result["seed"]),
            f"{result['params']:,}",
            f"{result['macs']:,}",
            "" if accuracy is None else f"{100 * accuracy:.2f} %",
            "" if seconds is None else f"{seconds:.1f} s",
            "" if seconds is None else f"{result['images_per_second']:,.0f}",
            result["status"],
        )
    return table
