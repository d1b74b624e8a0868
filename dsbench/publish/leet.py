"""`wandb leet`, W&B's terminal dashboard: its first view, and its start."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from dsbench.files import write_atomically
from dsbench.publish.offline import OfflineRun

# leet charts every number in the history, also the sizes of tables and the epoch itself; these are the metrics.
METRICS = "^(val|train|time)/"


def arrange(folder: Path, runs: Sequence[OfflineRun], shown: Collection[str] | None) -> None:
    """Write leet's first view of `folder`, outputs/wandb: the runs `shown`, by id, or else the latest that trained.

    Its state of an earlier view stays where `shown` is None; the user's filter of metrics stays in any case. `runs` are
    all runs in the folder, in order.
    """
    file = folder / ".wandb-leet.json"
    state = _read(file)
    if state and shown is None:
        return
    trained = [run for run in runs if not run.run_id.startswith("sweep-")] or list(runs)
    selected = trained[-1:] if shown is None else [run for run in trained if run.run_id in shown]
    names = [run.path.name for run in selected]
    first = {"selected_runs": names, "pinned_run": names[-1], "latest_run": runs[-1].path.name} if names else {}
    state.pop("runs_filter", None)  # it might hide the selected runs
    write_atomically(file, json.dumps({"metrics_filter": {"query": METRICS}} | state | first, indent=2) + "\n")


def command(folder: Path) -> list[str]:
    """The command that opens leet on `folder`."""
    return [sys.executable, "-P", "-m", "wandb", "leet", str(folder)]


def launch(folder: Path) -> None:
    """Become leet; does not return."""
    arguments = command(folder)
    os.execv(arguments[0], arguments)


def _read(file: Path) -> dict[str, Any]:
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
