"""The output of commands: tables, JSON and CSV on standard output, remarks on standard error, files."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from dsbench.console import terminal
from dsbench.errors import InputError
from dsbench.tables import Table


def show(*parts: Table | str) -> None:
    """Tables and lines, one below the other, on standard output, an empty line before and after each table."""
    console = terminal()
    for before, part in zip(("", *parts), parts, strict=False):
        if before and part and not (isinstance(before, str) and isinstance(part, str)):
            console.print()
        console.print(part, soft_wrap=isinstance(part, str) and " " not in part)  # a path alone is not broken


def print_version(asked: bool) -> None:
    """Where asked, dsbench's version, and the end of the command."""
    if asked:
        from importlib.metadata import version

        typer.echo(f"dsbench {version('dsbench')}")
        raise typer.Exit


def print_json(objects: Sequence[dict[str, Any]]) -> None:
    """An object alone, or the list of several."""
    typer.echo(json.dumps(objects[0] if len(objects) == 1 else objects))


def print_csv(rows: Sequence[dict[str, Any]]) -> None:
    """A line for each row, under all their keys; a key that a row lacks stays empty."""
    keys = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(sys.stdout, fieldnames=list(keys), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def remark(line: str) -> None:
    """A line on standard error."""
    typer.echo(line, err=True)


def check_plot(path: Path) -> None:
    """Raise InputError where --plot is in a folder that does not exist, before the work begins."""
    if not path.absolute().parent.is_dir():
        raise InputError(f"--plot {path}: there is no folder {path.absolute().parent}")


def write(path: Path, content: str | bytes, folder_too: bool = False) -> None:
    """Replace the file in one step, after making its folder if `folder_too`. Raises InputError where it cannot.

    What is no regular file, such as /dev/stdout, is written to as it is.
    """
    from dsbench.files import write_atomically

    try:
        if folder_too:
            path.parent.mkdir(exist_ok=True)
        if path.exists() and not path.is_file():
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            write_atomically(path, content)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
