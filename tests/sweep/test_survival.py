"""Sweeps that are killed, interrupted and run twice at once end with what an undisturbed one has."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

ROOT = Path(__file__).parents[2]
CLOCKS = ["train_seconds", "images_per_second", "started", "finished", "attempts", "n_jobs", "epoch_seconds"]
SWEEP = "arch=mnist_7800_shallow block=keras model=cnn,dwsep width=2,3 seeds=3 train.max_epochs=3"

Command = Callable[[Path, str], list[str]]


@pytest.fixture
def command(data_root: Path) -> Command:
    """The command line of a sweep on mnist5k into a folder of outputs."""
    common = f"data=mnist5k logger=csv precision=32 threads=1 n_jobs=2 retries=0 data.root={data_root}"
    return lambda outputs, line: [
        sys.executable, str(ROOT / "sweep.py"), "-m", *common.split(), *line.split(), f"outputs={outputs}",
    ]  # fmt: skip


def table(outputs: Path) -> pd.DataFrame:
    """runs.csv without the columns that are times."""
    (path,) = outputs.glob("sweeps/*/runs.csv")
    runs = pd.read_csv(path)
    return runs.drop(columns=[name for name in CLOCKS if name in runs])


def records(outputs: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in outputs.glob("runs/*/result.json")]


def workers(process: psutil.Process) -> list[psutil.Process]:
    """The processes that train for a sweep: leaders of sessions of their own."""
    return [child for child in process.children(recursive=True) if os.getsid(child.pid) == child.pid]


def test_a_sweep_killed_at_random_ends_as_an_undisturbed_one(command: Command, tmp_path: Path) -> None:
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    subprocess.run(command(calm, SWEEP), check=True, capture_output=True, timeout=300)
    rng, killed = random.Random(0), 0
    for round_ in range(4):
        sweep = psutil.Popen(command(rough, SWEEP), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while sweep.poll() is None and not (found := workers(sweep)) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(rng.uniform(0.5, 3))
        victims = [sweep] if round_ % 2 else found
        for victim in victims:
            try:
                victim.kill()
                killed += 1
            except psutil.NoSuchProcess:
                pass
        sweep.wait(timeout=300)
        assert all(record["status"] for record in records(rough))  # each is whole
    assert killed >= 2
    subprocess.run(command(rough, SWEEP), check=True, capture_output=True, timeout=300)
    pd.testing.assert_frame_equal(table(calm), table(rough))
    assert (table(rough)["status"] == "done").all()


def test_two_sweeps_at_once_train_each_run_once(command: Command, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    line = command(outputs, SWEEP.replace("width=2,3", "width=2").replace("seeds=3", "seeds=2"))
    both = [subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        out, err = one.communicate(timeout=300)
        assert (one.returncode, err) == (0, ""), out
    found = records(outputs)
    assert [record["status"] for record in found] == ["done"] * 4
    assert [record["attempts"] for record in found] == [1] * 4


def test_ctrl_c_stops_within_seconds_and_the_same_command_goes_on(command: Command, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    line = command(outputs, "arch=mnist_7800_shallow width=2,3 train.max_epochs=500")
    sweep = psutil.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not any(outputs.glob("runs/*/checkpoints/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    sweep.send_signal(signal.SIGINT)
    out, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert err == "interrupted by SIGINT; the same command goes on from the last checkpoint\n"
    assert "not in a mean because" in out
    assert {record["status"] for record in records(outputs)} == {"interrupted"}
    again = command(outputs, "arch=mnist_7800_shallow width=2,3 train.max_epochs=500")
    resumed = psutil.Popen(again, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not any(record["attempts"] == 2 for record in records(outputs)) and time.monotonic() < deadline + 120:
        time.sleep(0.1)
    resumed.send_signal(signal.SIGTERM)
    resumed.communicate(timeout=60)
    assert resumed.returncode == 143
    assert max(record["attempts"] for record in records(outputs)) == 2


def test_a_run_that_fails_is_said_at_once_and_keeps_no_other_from_its_end(command: Command, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    line = command(outputs, "arch=mnist_7800_shallow width=2,3 train.max_epochs=1 optimizer.lr=0.1,1e30")
    ended = subprocess.run(line, capture_output=True, text=True, timeout=300)
    statuses = sorted(record["status"] for record in records(outputs))
    assert statuses == ["diverged", "diverged", "done", "done"]
    assert ended.returncode == 0  # diverged is an outcome
    (outputs / "runs" / records(outputs)[0]["run_id"] / "result.json").unlink()
    (outputs / "runs").chmod(0o755)
    blocked = next(outputs.glob("runs/*/metrics.csv")).parent / "checkpoints"
    for file in blocked.iterdir():
        file.unlink()
    blocked.rmdir()
    blocked.touch()  # a file where a folder must be
    (blocked.parent / "result.json").unlink(missing_ok=True)
    again = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert again.returncode == 1
    assert "failed: " in again.stdout
