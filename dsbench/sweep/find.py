"""Sweeps by their names, and the runs of one or of all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dsbench.errors import InputError
from dsbench.sweep.collect import runs_table
from dsbench.sweep.folder import SweepFolder
from dsbench.sweep.records import records
from dsbench.sweep.where import known

if TYPE_CHECKING:
    import pandas as pd


def sweeps(outputs: Path) -> list[str]:
    """The names of the sweeps under `outputs`, in order."""
    return sorted(path.parent.name for path in (outputs / "sweeps").glob("*/sweep.yaml"))


def sweep_folder(outputs: Path, sweep: str | None) -> SweepFolder:
    """The folder of a sweep by its name, or by the folder's path; without either that of the sweep last written to.

    Raises InputError where there is none.
    """
    if sweep is not None and (Path(sweep) / "sweep.yaml").is_file():
        return _placed(Path(sweep))
    names = sweeps(outputs)
    if not names:
        raise InputError(f"no sweeps in {outputs / 'sweeps'}; --outputs takes the folder that outputs= sets")
    if sweep is not None:
        return SweepFolder(outputs / "sweeps" / known(sweep, names, "sweep"))
    folders = [SweepFolder(outputs / "sweeps" / name) for name in names]
    return max(folders, key=lambda one: one.sweep_file.stat().st_mtime)


def runs_of(outputs: Path, sweep: str | None) -> tuple[pd.DataFrame, Path]:
    """The table of the sweep's runs, or of all under `outputs`, and the folder of results that they lie in.

    Raises InputError where there are none of either.
    """
    if sweep is None:
        found = records(outputs)
        if not found:
            raise InputError(f"no runs in {outputs / 'runs'}; --outputs takes the folder that outputs= sets")
        return runs_table(found), outputs
    if "=" in sweep:
        raise InputError(f"{sweep!r} is no sweep; a condition is written --where {sweep}, one --where each")
    folder = sweep_folder(outputs, sweep)
    return (folder.collect() if os.access(folder.path, os.W_OK) else folder.read())[0], folder.outputs


def _placed(path: Path) -> SweepFolder:
    """The sweep in the folder `path`, in its place: from that follow its name and where its runs lie, not from `.`.

    Raises InputError where the folder stands elsewhere, without its runs, all of which would be called missing.
    """
    absolute = Path(os.path.abspath(path))
    for place in (absolute, absolute.resolve()):  # a link may stand for the sweep, or lie where sweeps do
        if place.parent.name == "sweeps":
            return SweepFolder(place)
    raise InputError(f"the sweep in {absolute} is not in its place, OUTPUTS/sweeps/NAME, with its runs in OUTPUTS/runs")
