"""`dsbench figures`: the pictures of a sweep."""

from __future__ import annotations

from typing import Annotated

import typer

from dsbench.cli.options import OUTPUTS, Outputs
from dsbench.cli.output import write
from dsbench.errors import InputError


def figures(
    sweep: Annotated[str | None, typer.Argument(help="A sweep's name or folder; without one, the latest.")] = None,
    outputs: Outputs = OUTPUTS,
    formats: Annotated[
        str, typer.Option("--format", metavar="svg|png", help="The kind of file, or both: svg,png.")
    ] = "svg",
) -> None:
    """Draw a sweep as far as it has come, into outputs/sweeps/NAME/figures, and print the path of each picture.

    Accuracy against costs, runs by seed, learning curves, paired differences, rooflines, confusion matrices, bars
    of costs.
    """
    from dsbench.figures.style import FORMATS
    from dsbench.sweep.find import sweep_folder
    from dsbench.sweep.where import known

    kinds = [known(one, FORMATS, "--format") for one in formats.split(",")]
    folder = sweep_folder(outputs, sweep)
    runs, cells = folder.read()
    if not runs["status"].isin(["done", "collapsed", "diverged"]).any():
        raise InputError(f"no run of the sweep {folder.name} has ended yet; there is nothing to draw")
    from dsbench.figures.style import rendered
    from dsbench.report.album import album
    from dsbench.report.rooflines import rooflines
    from dsbench.verdict.read import measured, verdict

    found = verdict(folder.outputs, runs)
    lines = rooflines(found.cells, measured(folder.outputs, runs)).values()
    for name, figure in album(runs, cells, found, lines, folder.outputs):
        for kind in kinds:
            path = folder.path / "figures" / f"{name}.{kind}"
            write(path, rendered(figure, kind), folder_too=True)
            typer.echo(path)
