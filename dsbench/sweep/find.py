"""Sweeps by their names."""

from __future__ import annotations

import os
from pathlib import Path

from dsbench.errors import InputError
from dsbench.sweep.folder import SweepFolder
from dsbench.sweep.where import known


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


def _placed(path: Path) -> SweepFolder:
    """The sweep in the folder `path`, in its place: from that follow its name and where its runs lie, not from `.`.

    Raises InputError where the folder stands elsewhere, without its runs, all of which would be called missing.
    """
    absolute = Path(os.path.abspath(path))
    for place in (absolute, absolute.resolve()):  # a link may stand for the sweep, or lie where sweeps do
        if place.parent.name == "sweeps":
            return SweepFolder(place)
    raise InputError(f"the sweep in {absolute} is not in its place, OUTPUTS/sweeps/NAME, with its runs in OUTPUTS/runs")
