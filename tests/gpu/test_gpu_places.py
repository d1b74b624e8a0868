"""Which CUDA device a run gets, what is said where there is none, and that planning leaves CUDA alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAIN = "from dsbench.cli.hydra import train; train()"


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `code` does in a new process, which sees the devices that `environment` says."""
    whole = {**os.environ, **environment}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, env=whole, capture_output=True, text=True, timeout=240)


@pytest.mark.parametrize(
    ("asked", "visible", "line"),
    [
        ("cuda", "", "device=cuda: there is none on this machine that CUDA_VISIBLE_DEVICES= shows"),
        ("cuda", "99", "device=cuda: there is none on this machine that CUDA_VISIBLE_DEVICES=99 shows"),
        ("cuda", "-1", "device=cuda: there is none on this machine that CUDA_VISIBLE_DEVICES=-1 shows"),
        ("cuda:0", "0", "unknown device 'cuda:0'; choose one of auto, cpu, cuda, mps"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(
    overrides: Callable[[str], list[str]], outputs: Path, asked: str, visible: str, line: str
) -> None:
    given = [override for override in overrides() if not override.startswith("device=")]
    ended = python(TRAIN, *given, f"device={asked}", CUDA_VISIBLE_DEVICES=visible)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {line}")
    assert len(ended.stderr.splitlines()) == 1
    assert not outputs.exists()


def test_auto_takes_the_cpu_where_no_gpu_is_to_be_seen(overrides: Callable[[str], list[str]]) -> None:
    """In silence: Lightning's advice to use a GPU is for nobody who hid it."""
    asked = overrides("arch=mnist_7800_shallow width=2 train.max_epochs=1")
    given = [override for override in asked if not override.startswith("device=")]
    for device, visible in (("auto", ""), ("cpu", "0")):
        ended = python(TRAIN, *given, f"device={device}", "force=true", CUDA_VISIBLE_DEVICES=visible)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "status          done" in ended.stdout


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("visible", ["0,99", "0,-1,0", "0"])
def test_workers_are_as_many_as_devices_that_are_there_gaps_or_not(visible: str) -> None:
    code = (
        "import json; from dsbench.sweep.launch.workers import workers_for; "
        "print(json.dumps([place['CUDA_VISIBLE_DEVICES'] for place in workers_for(8).environments]))"
    )
    assert json.loads(python(code, CUDA_VISIBLE_DEVICES=visible).stdout) == ["0"]


def test_planning_a_sweep_and_what_its_processes_are_forked_from_leave_cuda_alone(
    overrides: Callable[[str], list[str]], device: str
) -> None:
    """A process that is forked from one with CUDA in use cannot use it, and a context takes of the card's memory."""
    plan = (
        "import sys; from dsbench.config.compose import compose; from dsbench.sweep.plan import plan_sweep; "
        "from dsbench.measure.store import conditions; "
        "planned = plan_sweep([sys.argv[1:]], compose); first = planned.jobs[0].plan; first.resources.limit_bytes; "
        "conditions(first.network, 'step', 1, first.place.compute()); "
        "import torch; print(first.place.kind, torch.cuda.is_initialized())"
    )
    ended = python(plan, *overrides("arch=mnist_7800_shallow width=2"))
    assert ended.stdout.split() == [device, "False"], ended.stderr
    fork = (
        "import os, dsbench.sweep.launch.preload, torch; child = os.fork()\n"
        f"if not child:\n    os._exit(int(torch.ones(3, device={device!r}).sum().item()))\n"
        "print(torch.cuda.is_initialized(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    ended = python(fork)
    assert ended.stdout.split() == ["False", "3"], ended.stderr
