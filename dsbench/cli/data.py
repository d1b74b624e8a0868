"""`dsbench data`: fetch image sets ahead of time, import and describe one's own, list those that are there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from dsbench.cli.commands import command
from dsbench.data import sets
from dsbench.errors import InputError, choose

if TYPE_CHECKING:
    from dsbench.data.candidate import Report
    from dsbench.data.sets import DataSet

app = typer.Typer(name="data", help="Import images of your own, fetch known sets ahead of time, show what is there.")

Root = Annotated[Path, typer.Option(envvar="DSBENCH_DATA", help="Folder that holds the sets.", show_default=True)]
Layout = Annotated[
    str | None,
    typer.Option(metavar="hwc|chw", help="Of an .npz: whether the channels of an image come last or first."),
]
DEFAULT_ROOT = Path("data")
_MAIN_BATCH = 128  # train.batch_size unless it is set


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
    from dsbench.data import importing, prepared
    from dsbench.tables import Table, names, texts

    own = {name: _own(root, name) for name in importing.imported(root)}
    named = {**sets.SETS, **{name: dataset for name, dataset in own.items() if dataset}}
    there = [prepared.status(dataset, root) for dataset in named.values()]
    columns = {
        "images": [f"{status.images:,}" if status.images else "" for status in there],
        "state": [status.state for status in there],
        "source": [status.source for status in there],
        "size": [f"{status.size / 1e6:.1f} MB" if status.size else "" for status in there],
        "path": [str(status.path or "") for status in there],
    }
    show(Table("", (*names({"set": list(named)}), *(texts(*column) for column in columns.items()))))


@command(app, "import", "dsbench data import photos/pets --size 64")
def import_set(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder a class, or train/ and test/, a .csv or an .npz.")
    ],
    size: Annotated[
        int | None, typer.Option(min=8, max=512, help="Pixels a side that the images are brought to (64 unless given).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the set is called; without it, as FOLDER is.")] = None,
    test_share: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share of each class to test on (0.2 unless given).")
    ] = None,
    test: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Images to test on, in the same classes.")] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Keep one channel, of grey.")] = False,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out files that cannot be read.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a set of that name.")] = False,
    layout: Layout = None,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Import images of your own, as a set that data=NAME names from then on.

    They are cropped to the square in their middle and brought to one size; a fifth of each class is tested on.
    """
    from dsbench.data import importing
    from dsbench.data.listing import listed
    from dsbench.run.interrupts import Interrupted, cooperative, interruptible, raise_if_asked_to_stop

    name = name or (source.stem if source.is_file() else source.resolve().name)
    _check_layout(layout)
    if source.suffix == ".npz":
        if test or grey or skip_broken or test_share is not None or size is not None:
            raise InputError(f"{source} holds arrays in two parts: of the options, --layout alone is for it")
        put = importing.from_npz(source, name, layout)
    else:
        listing = listed(source, test)
        if listing.test and test_share is not None:
            raise InputError("there is a test part, so that --test-share has nothing to share out; leave it out")
        share = 0.2 if test_share is None else test_share
        put = importing.from_files(listing, name, source, importing.Wanted(size or 64, grey, share, skip_broken))
    try:
        # A pool of threads that is interrupted within its own locks would wait for ever
        with interruptible(), cooperative(), _reporting(name) as report:

            def stoppable(message: str, share: float | None) -> None:
                raise_if_asked_to_stop()
                report(message, share)

            done = importing.install(put, name, root, force, stoppable)
    except Interrupted as stopped:
        typer.echo(f"{stopped}; nothing was imported", err=True)
        raise typer.Exit(128 + stopped.number) from None
    for remark in done.remarks:
        typer.echo(f"{name}: {remark}", err=True)
    print(_told(done.dataset, done.unchanged))
    print(f"next: {_next(done.dataset, root)}")


@command(app, "describe", "dsbench data describe digits.npz > mine/data/digits.yaml")
def describe(
    file: Annotated[Path, typer.Argument(metavar="NAME.npz", help="x_train, y_train, x_test and y_test, all uint8.")],
    layout: Layout = None,
) -> None:
    """Print the YAML file of a set of your own.

    With --config-dir DIR, data=NAME then trains on NAME.npz in the folder of data sets; dsbench data import does
    without that folder.
    """
    from dsbench.data import own

    _check_layout(layout)
    dataset = own.described(file, layout)
    for remark in own.remarks(dataset):
        typer.echo(f"{dataset.name}: {remark}", err=True)
    print(own.as_yaml(dataset), end="")


def _check_layout(layout: str | None) -> None:
    from dsbench.data.own import LAYOUTS

    if layout is not None:
        choose("layout", layout, LAYOUTS)


def _told(dataset: DataSet, unchanged: bool) -> str:
    channels, height, width = dataset.image_shape
    trained = dataset.train_size - dataset.validation_size
    parts = f"{trained:,} to train on, {dataset.validation_size:,} to validate, {sum(dataset.test_counts):,} to test"
    what = f"{height}x{width} pixels, {channels} channel{'s' if channels > 1 else ''}, {dataset.classes} classes"
    return f"{dataset.name}{' is there, unchanged' if unchanged else ''}: {what}; images: {parts}"


def _next(dataset: DataSet, root: Path) -> str:
    """The command that answers for this set: with the architecture for its size, and batches that it can fill."""
    from dsbench.data.own import architecture_for

    where = "" if root == Path(os.environ.get("DSBENCH_DATA") or DEFAULT_ROOT) else f"DSBENCH_DATA={quote(str(root))} "
    arch = architecture_for(dataset)
    options = [] if arch == "plain" else [f"arch={arch}"]
    trained = dataset.train_size - dataset.validation_size
    if trained < _MAIN_BATCH:
        options.append(f"train.batch_size={1 << (trained.bit_length() - 1)}")
    return " ".join([f"{where}dsbench sweep model=cnn,dwsep data={dataset.name} width=16 seeds=auto", *options])


def _own(root: Path, name: str) -> DataSet | None:
    """An imported set; None, with a remark, where its file is damaged."""
    from dsbench.data import importing, own

    try:
        return own.read_yaml(importing.config_file(root, name))
    except InputError as error:
        typer.echo(str(error), err=True)
        return None


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
