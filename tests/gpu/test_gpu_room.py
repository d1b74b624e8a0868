"""A GPU's memory: the same after two hundred runs as after a few, given back by a sweep, and one line where it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from running_out import run_out

from dsbench.config.compose import compose
from dsbench.errors import FailureError
from dsbench.run.execute import execute
from dsbench.run.plan import plan
from dsbench.run.progress import Progress

Train = Callable[..., dict[str, Any]]
Say = Callable[[str], None]

ROOT = Path(__file__).parents[2]
TINY = "arch=mnist_7800_shallow train.batch_size=1000 train.max_epochs=1"
RUNS = {"cuda": 200, "cpu": 12}  # a rehearsal tries the counting
SETTLED = 3  # runs after which libraries hold what they keep
KEPT_BYTES = 1 << 20


@pytest.fixture(params=["32", "bf16"])
def precision(request: pytest.FixtureRequest) -> str:
    return request.param


def test_runs_in_one_process_leave_no_tensor_behind(
    overrides: Callable[[str], list[str]], held: Callable[[], int], device: str, say: Say, precision: str
) -> None:
    counted = []
    for seed in range(RUNS[device] // 2):
        line = f"{TINY} model=dwsep width=2 precision={precision} seed={seed}"
        execute(plan(compose(overrides(line))), Progress("none"))
        counted.append(held())
    say(f"held after {SETTLED} runs and after {len(counted)}, {precision}: {counted[SETTLED]} and {counted[-1]} bytes")
    assert counted[-1] - counted[SETTLED] < KEPT_BYTES


def test_memory_that_runs_out_is_one_line_and_the_next_run_trains(
    trained: Train, planned: Callable[[str], Any], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"{TINY} width=64"
    try:
        with monkeypatch.context() as patch:
            patch.setattr(torch.nn.Conv2d, "forward", torch.nn.Conv2d.forward)  # as it is, afterwards too
            run_out(device)
            with pytest.raises(FailureError) as error:
                trained(line)
    finally:
        if device == "cuda":
            torch.cuda.set_per_process_memory_fraction(1.0)
    record = planned(line).folder.result()
    assert record.status == "failed"
    assert record.error == str(error.value)
    assert record.error.startswith("out of memory: training needs ")
    assert record.error.endswith("take a smaller width or train.batch_size")
    assert trained(line)["status"] == "done"


def test_a_sweep_goes_on_beside_a_run_that_runs_out_and_gives_all_memory_back(
    overrides: Callable[[str], list[str]], outputs: Path, device: str, tmp_path: Path, say: Say
) -> None:
    out = f"+hydra.callbacks.out={{_target_:running_out.RunningOut,width:3,device:{device}}}"
    given = overrides(f"{TINY} model=cnn width=2,3,4 n_jobs=2 bench_minutes=0 report=false {out}")
    code = f"import sys; sys.path.append({str(Path(__file__).parent)!r}); from dsbench.cli.hydra import sweep; sweep()"
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else 0
    command = [sys.executable, "-c", code, "-m", *given]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "width=3: failed: out of memory: training needs " in ended.stdout
    records = {record["width"]: record for record in map(_read, outputs.glob("runs/*/result.json"))}
    assert {width: record["status"] for width, record in records.items()} == {2: "done", 3: "failed", 4: "done"}
    assert records[3]["error"].startswith("out of memory: ")
    if device == "cuda":
        left = free - torch.cuda.mem_get_info()[0]
        say(f"what a sweep has left in the card's memory: {left} bytes")
        assert left < 16 << 20


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())
