"""dsbench dashboard in a terminal: W&B's own leet, on the runs that are there."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dsbench.cli.wandb import dashboard
from dsbench.errors import InputError
from dsbench.publish.leet import arrange
from dsbench.publish.offline import OfflineRun

ROWS, COLUMNS = 50, 200


def made(outputs: Path, *names: str) -> list[OfflineRun]:
    folders = [outputs / "wandb" / f"offline-run-20260101_00000{number}-{name}" for number, name in enumerate(names)]
    for folder in folders:
        folder.mkdir(parents=True)
    return [OfflineRun(folder, name) for folder, name in zip(folders, names, strict=True)]


def remembered(outputs: Path) -> dict[str, object]:
    settings: dict[str, object] = json.loads((outputs / "wandb" / ".wandb-leet.json").read_text())
    return settings


def test_a_terminal_shows_the_run_its_name_tags_and_metrics_and_nothing_beside_them(
    logged: Callable[..., None], outputs: Path
) -> None:
    logged("aaa")
    seen = screen("from dsbench.cli.hydra import dsbench; dsbench()", "dashboard", "--outputs", str(outputs))
    for shown in ("name of aaa", "tag", "val/acc", "train/loss", "[x: epoch]", "7 of 7 filtered from 8"):
        assert shown in seen


def test_first_the_latest_trained_run_is_shown_and_then_what_was_looked_at_last(outputs: Path) -> None:
    runs = made(outputs, "aaa", "bbb", "sweep-s1")
    arrange(outputs / "wandb", runs, None)
    assert remembered(outputs) == {
        "metrics_filter": {"query": "^(val|train|time)/"},
        "selected_runs": [runs[1].path.name],
        "pinned_run": runs[1].path.name,
        "latest_run": runs[2].path.name,
    }
    (outputs / "wandb" / ".wandb-leet.json").write_text('{"metrics_filter": {"query": "mine"}}')
    arrange(outputs / "wandb", runs, None)
    assert remembered(outputs) == {"metrics_filter": {"query": "mine"}}


def test_a_sweep_s_runs_are_selected_and_the_user_s_filter_of_metrics_stays(outputs: Path) -> None:
    runs = made(outputs, "aaa", "bbb", "ccc", "sweep-s1")
    before = {"metrics_filter": {"query": "mine"}, "runs_filter": {"query": "hides all"}, "pinned_run": "x"}
    (outputs / "wandb" / ".wandb-leet.json").write_text(json.dumps(before))
    arrange(outputs / "wandb", runs, {"aaa", "bbb", "sweep-s1"})
    settings = remembered(outputs)
    assert settings["selected_runs"] == [run.path.name for run in runs[:2]]
    assert settings["pinned_run"] == runs[1].path.name
    assert settings["metrics_filter"] == {"query": "mine"}
    assert "runs_filter" not in settings


def test_without_runs_or_a_terminal_a_line_says_what_to_do(logged: Callable[..., None], outputs: Path) -> None:
    with pytest.raises(InputError, match=r"no runs of W&B in .*wandb; runs with logger=wandb leave them"):
        dashboard(None, outputs)
    logged("aaa")
    with pytest.raises(InputError, match="needs a terminal; without one: dsbench results"):
        dashboard(None, outputs)
    assert not (outputs / "wandb" / ".wandb-leet.json").exists()


def screen(code: str, *arguments: str) -> str:
    """What a process writes on a terminal until it has said `val/loss`, with the terminal's commands left out."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color"}
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True
    ) as process:
        os.close(its)
        seen, end = "", time.monotonic() + 60
        try:
            while "val/loss" not in seen and time.monotonic() < end:
                if select.select([ours], [], [], 0.1)[0]:
                    seen += os.read(ours, 65536).decode(errors="replace")
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # leet itself is a child of `wandb leet`
            os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
