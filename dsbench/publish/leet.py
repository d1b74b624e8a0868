"""`wandb leet`, W&B's terminal dashboard: runs by names that tell, its first view, and its start."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsbench.files import write_atomically
from dsbench.results.records import record
from dsbench.run.mirror import title
from dsbench.tracking.wandb import NAMED, name_folder

# leet charts every number in the history, also the sizes of tables and the epoch itself; these are the metrics, under
# the names that they have and those that they had.
METRICS = "^(acc|loss|time|val|train)/|^lr$"


@dataclass(frozen=True)
class Shown:
    """A run of W&B's under outputs: its id, and the folder in which it lies."""

    run_id: str
    folder: Path

    @property
    def started(self) -> str:
        """When it started, in W&B's writing, which sorts."""
        return self.folder.name.removeprefix("offline-")


def runs(outputs: Path) -> list[Shown]:
    """The trained runs that W&B shows, uploaded or not, in the order of their start: not the summaries of sweeps."""
    files = (outputs / "wandb").glob("*run-*-*/run-*.wandb")
    found = [Shown(file.stem.removeprefix("run-"), file.parent) for file in files]
    trained = [run for run in found if not run.run_id.startswith("sweep-")]
    return sorted(trained, key=lambda run: run.started)


def arrange(outputs: Path, shown: Collection[str] | None) -> Path:
    """Write leet's first view: the runs `shown`, by id, or else the latest; returns the folder that leet is to open.

    That is a folder of links to W&B's own, which are called as runs are (`run-dwsep w8 s0-ID`), since leet lists the
    names of folders; or W&B's own, where the file system has no links. Its state of an earlier view stays where `shown`
    is None; the user's filter of metrics stays in any case.
    """
    trained = runs(outputs)
    folder, names = _named(outputs, trained)
    file = folder / ".wandb-leet.json"
    state = _read(file)
    if state.get("selected_runs") and shown is None:
        return folder
    selected = trained[-1:] if shown is None else [run for run in trained if run.run_id in shown]
    keys = [names[run] for run in selected]
    first = {"selected_runs": keys, "pinned_run": keys[-1], "latest_run": names[trained[-1]]} if keys else {}
    state.pop("runs_filter", None)  # it might hide the selected runs
    write_atomically(file, json.dumps({"metrics_filter": {"query": METRICS}} | state | first, indent=2) + "\n")
    return folder


def _named(outputs: Path, trained: list[Shown]) -> tuple[Path, dict[Shown, str]]:
    """The folder of links, with one to each run, and the name of each; W&B's own folder where links cannot be."""
    place = outputs / "wandb" / NAMED
    try:
        for link in place.glob("run-*"):
            if not link.exists():
                link.unlink()
        there = {os.path.realpath(link): link.name for link in place.glob("run-*")}
        names = {}
        for run in trained:
            known = there.get(os.path.realpath(run.folder))
            names[run] = known or name_folder(outputs, run.folder, title(record(outputs, run.run_id)), run.run_id)
        return place, names
    except OSError:
        return outputs / "wandb", {run: run.folder.name for run in trained}


def launch(folder: Path) -> None:
    """Become leet; does not return."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "wandb", "leet", str(folder)])


def _read(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        state = json.loads(file.read_text(encoding="utf-8"))
        return state if isinstance(state, dict) else {}
    return {}
