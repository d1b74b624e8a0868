"""`dsbench report` and `dsbench figures`: the page of a sweep, the comparison of two, a sweep's pictures as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsbench.cli.options import OUTPUTS, Margin, Outputs
from dsbench.cli.output import show, write
from dsbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from dsbench.results.folder import SweepFolder


def report(
    sweep: Annotated[
        str | None, typer.Argument(help="A sweep's name or folder, or its runs.csv; without one, the latest.")
    ] = None,
    other: Annotated[str | None, typer.Argument(help="A second sweep, to be compared with the first.")] = None,
    outputs: Outputs = OUTPUTS,
    margin: Margin = None,
) -> None:
    """Write a sweep's report.html, report.md and report.json into its folder: verdict, tables, pictures, method, runs.

    The page needs no network and nothing beside it. Of two sweeps (two machines, two precisions, two versions of the
    code) the comparison is written, into the folder of the first.
    """
    from dsbench.results.query import sweep_folder

    folder = sweep_folder(outputs, sweep)
    if other is not None and margin is not None:
        raise InputError("--margin is of the page of one sweep; two are compared by the default of each data set")
    sentences, write_it = _page(folder, margin) if other is None else _comparison(folder, sweep_folder(outputs, other))
    show(*sentences)
    with _writing_into(folder.path):
        paths = write_it()
    show(*map(str, paths))


def _page(folder: SweepFolder, margin: float | None) -> tuple[list[str], Callable[[], list[Path]]]:
    """The headline of a sweep's page, and what writes its files."""
    from dsbench.report.content import report as content_of
    from dsbench.report.explored import explored, write_explored
    from dsbench.report.page import write as write_page
    from dsbench.sweep.design import explores

    if explores(folder):
        if margin is not None:
            raise InputError(f"--margin is of comparisons; {folder.name} explores and compares nothing")
        page = explored(folder)
        return page.sentences, partial(write_explored, page, folder.path)
    content = content_of(folder, margin)
    return content.sentences, partial(write_page, content, folder.path)


def _comparison(folder: SweepFolder, other: SweepFolder) -> tuple[list[str], Callable[[], list[Path]]]:
    """The sentences of the page on two sweeps, and what writes its files."""
    from dsbench.report.versus import versus, write_versus

    comparison = versus(folder, other)
    return comparison.sentences, partial(write_versus, comparison, folder.path)


@contextmanager
def _writing_into(folder: Path) -> Iterator[None]:
    """Raise InputError where a file cannot be written; what cannot be read, before, is another error."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from None


def figures(
    sweep: Annotated[
        str | None, typer.Argument(help="A sweep's name or folder, or its runs.csv; without one, the latest.")
    ] = None,
    outputs: Outputs = OUTPUTS,
    formats: Annotated[
        str, typer.Option("--format", metavar="svg|png", help="The kind of file, or both: svg,png.")
    ] = "svg",
) -> None:
    """Draw a sweep as far as it has come, into outputs/sweeps/NAME/figures, and print the path of each picture.

    Costs and accuracy of each comparison, accuracy against costs, runs by seed, learning curves, differences, classes,
    confusion matrices, rooflines; slots, where their sensitivity was explored.
    """
    from dsbench.figures.style import FORMATS
    from dsbench.results.query import checked, sweep_folder
    from dsbench.run.record import FINAL

    kinds = [checked(kind, FORMATS, "--format") for kind in formats.split(",")]
    folder = sweep_folder(outputs, sweep)
    runs, cells = folder.read()
    if not runs["status"].isin(FINAL).any():
        raise InputError(f"no run of the sweep {folder.name} has ended yet; there is nothing to draw")
    from dsbench.figures.style import rendered

    for name, figure in _pictures(folder, runs, cells):
        for kind in kinds:
            path = folder.path / "figures" / f"{name}.{kind}"
            write(path, rendered(figure, kind), folder_too=True)
            typer.echo(path)


def _pictures(folder: SweepFolder, runs: pd.DataFrame, cells: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """The pictures of a sweep by name; of one that explores nothing that test images say."""
    from dsbench.report.album import album, explored_album, rooflines
    from dsbench.sweep.design import explores
    from dsbench.sweep.looks import rule_of
    from dsbench.verdict.verdict import measured_records, verdict

    if not explores(folder):
        judged = verdict(folder.outputs, runs, rule=rule_of(folder))
        measured = rooflines(judged.cells, measured_records(folder.outputs, runs)).values()
        yield from album(runs, cells, judged, measured, folder.outputs)
    yield from explored_album(folder)
