"""dsbench dashboard in a terminal: W&B's own leet, on the runs that are there."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic import run as record

from dsbench.cli.wandb import dashboard
from dsbench.errors import InputError
from dsbench.publish.leet import METRICS, arrange

ROWS, COLUMNS = 50, 200
A, B, C = "a" * 12, "b" * 12, "c" * 12


def made(outputs: Path, *run_ids: str) -> None:
    """Empty offline runs of W&B that have started in this order, each with the record of a dwsep of seed 0, 1, ..."""
    for number, run_id in enumerate(run_ids):
        folder = outputs / "wandb" / f"offline-run-20260101_00000{number}-{run_id}"
        folder.mkdir(parents=True)
        (folder / f"run-{run_id}.wandb").touch()
        if not run_id.startswith("sweep-"):
            (outputs / "runs" / run_id).mkdir(parents=True)
            made_up = record(model="dwsep", seed=number, test_acc=0.5 + number / 10) | {"run_id": run_id}
            (outputs / "runs" / run_id / "result.json").write_text(json.dumps(made_up))


def remembered(outputs: Path) -> dict[str, object]:
    settings: dict[str, object] = json.loads((outputs / "wandb" / "named" / ".wandb-leet.json").read_text())
    return settings


def link(outputs: Path, number: int, run_id: str) -> str:
    """The name of the one link to a run, without the spaces that hide W&B's own name in leet's list."""
    (path,) = (outputs / "wandb" / "named").glob(f"run-*-{run_id}")
    assert " ".join(path.name.split()) == f"run-dwsep w8 s{number} run-20260101_00000{number}-{run_id}"
    assert (path / f"run-{run_id}.wandb").exists()
    return path.name


def test_a_terminal_shows_the_run_its_name_tags_and_metrics_and_nothing_beside_them(
    logged: Callable[..., None], outputs: Path
) -> None:
    logged("aaa")
    seen = screen("from dsbench.cli.hydra import dsbench; dsbench()", "dashboard", "--outputs", str(outputs))
    for shown in ("run-name of aaa", "Name: name of aaa", "tag", "[x: epoch]", "7 of 7 filtered from 8"):
        assert shown in seen
    places = [seen.index(title) for title in ("acc/train", "acc/val", "loss/train", "loss/val", "time/epoch_seconds")]
    assert places == sorted(places)  # accuracy first, times last


def test_first_the_latest_trained_run_is_shown_and_then_what_was_looked_at_last(outputs: Path) -> None:
    made(outputs, A, B, "sweep-s1")
    assert arrange(outputs, None) == outputs / "wandb" / "named"
    first, second = link(outputs, 0, A), link(outputs, 1, B)
    assert remembered(outputs) == {
        "metrics_filter": {"query": METRICS},
        "selected_runs": [second],
        "pinned_run": second,
        "latest_run": second,
    }
    assert not list((outputs / "wandb" / "named").glob("*sweep*"))  # whose curves there are none
    (outputs / "wandb" / "named" / ".wandb-leet.json").write_text(json.dumps({"selected_runs": [first]}))
    arrange(outputs, None)
    assert remembered(outputs) == {"selected_runs": [first]}


def test_a_sweep_s_runs_are_selected_and_the_user_s_filter_of_metrics_stays(outputs: Path) -> None:
    made(outputs, A, B, C, "sweep-s1")
    before = {"metrics_filter": {"query": "mine"}, "runs_filter": {"query": "hides all"}, "pinned_run": "x"}
    (outputs / "wandb" / "named").mkdir()
    (outputs / "wandb" / "named" / ".wandb-leet.json").write_text(json.dumps(before))
    arrange(outputs, {A, B, "sweep-s1"})
    settings = remembered(outputs)
    assert settings["selected_runs"] == [link(outputs, 0, A), link(outputs, 1, B)]
    assert settings["pinned_run"] == link(outputs, 1, B)
    assert settings["metrics_filter"] == {"query": "mine"}
    assert "runs_filter" not in settings


def test_links_follow_runs_that_are_mirrored_again_or_gone(outputs: Path) -> None:
    made(outputs, A, B)
    arrange(outputs, None)
    wandb = outputs / "wandb"
    shutil.rmtree(wandb / f"offline-run-20260101_000000-{A}")
    (wandb / f"offline-run-20260101_000001-{B}").rename(wandb / f"offline-run-20260102_000000-{B}")
    arrange(outputs, None)
    (path,) = (wandb / "named").glob("run-*")
    assert path.resolve() == wandb / f"offline-run-20260102_000000-{B}"


def test_without_a_terminal_a_table_and_the_command_are_printed(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"no runs of W&B in .*wandb; runs with logger=wandb leave them"):
        dashboard(None, outputs)
    made(outputs, A, B)
    dashboard(None, outputs)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "all runs"
    assert any("55.00" in line and "dwsep" in line for line in lines)  # the mean of 50 % and 60 %
    assert lines[-1].startswith("curves, in a terminal: wandb leet ")
    assert lines[-1].endswith(f"wandb leet {outputs / 'wandb' / 'named'}")


def screen(code: str, *arguments: str) -> str:
    """What a process writes on a terminal until it has drawn the last metric, with the terminal's commands left out."""
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
            while "time/images_per" not in seen and time.monotonic() < end:
                if select.select([ours], [], [], 0.1)[0]:
                    seen += os.read(ours, 65536).decode(errors="replace")
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # leet itself is a child of `wandb leet`
            os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
