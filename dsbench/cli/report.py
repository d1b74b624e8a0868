"""`dsbench report`: a sweep as a page, or two of them side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from dsbench.cli.results import OUTPUTS, Outputs
from dsbench.errors import InputError


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
    console = terminal()
    try:
        if other is None:
            from dsbench.report.content import report as content
            from dsbench.report.page import write

            found = content(folder)
            paths = write(found, folder.path)
            for sentence in found.headline:
                console.print(sentence, markup=False, soft_wrap=True)
        else:
            from dsbench.report.versus import versus, write_versus

            compared = versus(folder, sweep_folder(outputs, other))
            paths = write_versus(compared, folder.path)
            for sentence in compared.said:
                console.print(sentence, markup=False, soft_wrap=True)
    except OSError as error:
        raise InputError(f"cannot write into {folder.path}: {error.strerror}") from None
    for path in paths:
        console.print(str(path), markup=False, soft_wrap=True)
