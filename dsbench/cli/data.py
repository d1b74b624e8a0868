"""`dsbench data`: fetch image sets ahead of time, list those that are there, and describe a set of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsbench.cli.commands import command
from dsbench.data import sets

if TYPE_CHECKING:
    from dsbench.data.candidate import Report

app = typer.Typer(name="data", help="Fetch image sets ahead of time, show what is there, describe one of your own.")

Root = Annotated[Path, typer.Option(envvar="DSBENCH_DATA", help="Folder that holds the sets.", show_default=True)]
DEFAULT_ROOT = Path("data")


@command(app, "get", "dsbench data get mnist cifar10")
def get(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help=f"Sets: {', '.join(sets.SETS)}.")],
    root: Root = DEFAULT_ROOT,
) -> None:
    """Prepare sets for training, from files that are there or from the network."""
    from dsbench.data import prepared

    for dataset in [sets.get(name) for name in names]:
        with _reporting(dataset.name) as report:
            arrays = prepared.prepare(dataset, root, report=report)
        images = len(arrays.x_train) + len(arrays.x_test)
        print(f"{dataset.name}: {images:,} images, verified, from {arrays.source}, ready in {root}")


@command(app, "list", "dsbench data list")
def list_sets(root: Root = DEFAULT_ROOT) -> None:
    """Show which sets are there, whether they are verified, and their size."""
    from dsbench.cli.output import show
    from dsbench.data import prepared
    from dsbench.tables import Table, names, texts

    there = [prepared.status(name, root) for name in sets.SETS]
    columns = {
        "images": [f"{status.images:,}" if status.images else "" for status in there],
        "state": [status.state for status in there],
        "source": [status.source for status in there],
        "size": [f"{status.size / 1e6:.1f} MB" if status.size else "" for status in there],
        "path": [str(status.path or "") for status in there],
    }
    show(Table("", (*names({"set": list(sets.SETS)}), *(texts(*column) for column in columns.items()))))


@command(app, "describe", "dsbench data describe digits.npz > mine/data/digits.yaml")
def describe(
    file: Annotated[Path, typer.Argument(metavar="NAME.npz", help="x_train, y_train, x_test and y_test, all uint8.")],
) -> None:
    """Print the YAML file of a set of your own.

    With --config-dir DIR, data=NAME then trains on NAME.npz in the folder of data sets.
    """
    from dsbench.data import own

    print(own.as_yaml(own.described(file)), end="")


@contextmanager
def _reporting(name: str) -> Iterator[Report]:
    """A progress bar in a terminal, elsewhere a plain line for each step."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        seen = set()

        def line(message: str, share: float | None) -> None:
            if message not in seen:
                seen.add(message)
                typer.echo(f"{name}: {message}", err=True)

        yield line
        return

    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=None)

        def draw(message: str, share: float | None) -> None:
            total = None if share is None else 1.0
            progress.update(task, description=f"{name}: {message}", total=total, completed=share or 0.0)

        yield draw
