"""`dsbench report`: a sweep as a page, or two of them side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsbench.cli.options import OUTPUTS, Outputs
from dsbench.errors import InputError

if TYPE_CHECKING:
    from dsbench.sweep.folder import SweepFolder


def report(
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name or folder; without one, the latest.")] = None,
    other: Annotated[str | None, typer.Argument(help="A second sweep, to be compared with the first.")] = None,
    outputs: Outputs = OUTPUTS,
) -> None:
    """Write a sweep's report.html, report.md and report.json into its folder: verdict, tables, pictures, method, runs.

    The page needs no network and nothing beside it. Of two sweeps (two machines, two precisions, two versions of the
    code) the comparison is written, into the folder of the first.
    """
    from dsbench.run.progress import terminal
    from dsbench.sweep.find import sweep_folder

    folder = sweep_folder(outputs, sweep)
    said, paths = _page(folder) if other is None else _comparison(folder, sweep_folder(outputs, other))
    console = terminal()
    for line in (*said, *map(str, paths)):
        console.print(line, soft_wrap=True)


def _page(folder: SweepFolder) -> tuple[list[str], list[Path]]:
    """What a sweep's page says first, and its files."""
    from dsbench.report.content import report
    from dsbench.report.page import write

    found = report(folder)
    with _writing_into(folder.path):
        return found.headline, write(found, folder.path)


def _comparison(folder: SweepFolder, other: SweepFolder) -> tuple[list[str], list[Path]]:
    """What the page on two sweeps says first, and its files."""
    from dsbench.report.versus import versus, write_versus

    compared = versus(folder, other)
    with _writing_into(folder.path):
        return compared.said, write_versus(compared, folder.path)


@contextmanager
def _writing_into(folder: Path) -> Iterator[None]:
    """Where a file cannot be written, InputError; what cannot be read, before, is another error."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from None
