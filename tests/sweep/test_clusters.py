"""Sweeps on Ray and over submitit: the same plan, records and tables as on this machine, whatever becomes of a job."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[2]
OWN_FILES = ["json.py", "random.py", "secrets.py"]  # of whoever calls, in the folder where they are
RUNS = "arch=mnist_7800_shallow width=2,3"

# Stand-ins for SLURM's commands, on a machine without it: sbatch has the script run in the background, task by task.
SLURM = {
    "sbatch": """
import os, re, subprocess, sys
script = sys.argv[-1]
text = open(script).read()
null = subprocess.DEVNULL
if "--here" not in sys.argv:
    open(os.environ["SEEN"], "w").write(text)
    subprocess.Popen([*sys.argv[:1], "--here", script], stdout=null, stderr=null, start_new_session=True)
    sys.exit(print("Submitted batch job 77"))
array = re.search(r"--array=(\\d+)-(\\d+)", text)
for task in range(int(array[1]), int(array[2]) + 1) if array else [0]:
    job = {"SLURM_JOB_ID": str(77 + task)}
    job |= {"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": str(task)} if array else {}
    job |= {"SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NODEID": "0", "SLURM_PROCID": "0"}
    subprocess.run(["bash", script], env={**os.environ, **job, "SLURM_LOCALID": "0"})
""",
    "srun": """
import os, sys
open(os.environ["SEEN"] + ".pid", "w").write(str(os.getpid()))
command = [argument for argument in sys.argv[1:] if argument != "--unbuffered"]
while command[0] in ("--output", "--error"):
    command = command[2:]
os.execvp(command[0], command)
""",
    "sacct": "print('JobID|State|NodeList'); print('77_0|RUNNING|here'); print('77_1|RUNNING|here')",
    "scancel": "import os, signal; os.kill(int(open(os.environ['SEEN'] + '.pid').read()), signal.SIGTERM)",
}

Sweep = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def sweep(overrides: Callable[[str], list[str]], tmp_path: Path) -> Sweep:
    """Sweeps in a process of its own, in a folder from which nothing must be imported."""
    (tmp_path / "here").mkdir()
    for name in OWN_FILES:
        (tmp_path / "here" / name).write_text("raise SystemExit('imported from the current folder')\n")

    def run(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = [override for override in overrides(line) if not override.startswith("threads=")]
        command = [sys.executable, str(ROOT / "sweep.py"), "-m", "report=false", *given]
        whole = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{ROOT}", **environment}
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path / "here", env=whole, timeout=240)

    return run


def records(outputs: Path) -> dict[int, dict[str, Any]]:
    ended = [json.loads(path.read_text()) for path in outputs.glob("runs/*/result.json")]
    return {record["width"]: record for record in ended}


@pytest.mark.thorough
@pytest.mark.parametrize("launcher", ["submitit_local", "ray"])
def test_a_job_that_is_killed_goes_on_as_if_it_never_was_and_one_that_fails_is_named(
    sweep: Sweep,
    outputs: Path,
    trained: Callable[..., dict[str, Any]],
    call: Callable[..., Any],
    overrides: Callable[[str], list[str]],
    tmp_path: Path,
    launcher: str,
) -> None:
    if launcher == "ray":
        pytest.importorskip("ray", reason="Ray is heavy: pip install 'dsbench[ray]'")
    way, status, attempts, reason = {
        "submitit_local": ("segfault", "killed", 2, "its process ended without a result (FINISHED); log: "),
        "ray": ("fail", "failed", 1, "broken by itself"),
    }[launcher]
    breaking = f"+hydra.callbacks.breaking={{_target_:breaking.Breaking,ways:{{2:{way},3:die_once}}}}"
    runs = f"{RUNS} train.max_epochs=2"
    ended = sweep(f"{runs} hydra/launcher={launcher} retries=1 {breaking}", DIED=str(tmp_path / "died"))
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "width=3: handed in again: " in ended.stdout
    messages, table_of_failures = ended.stdout.split("not in a mean because")
    assert f"width=2: failed: {reason}" in messages
    assert status in table_of_failures
    assert reason.split("; ")[0] in table_of_failures
    by_width = records(outputs)
    assert {width: (record["status"], record["attempts"]) for width, record in by_width.items()} == {
        2: (status, attempts),
        3: ("done", 2),
    }
    assert by_width[2]["error"].startswith(reason)
    log = (outputs / "runs" / by_width[3]["run_id"] / "run.log").read_text()
    assert re.findall(r"epoch +(\d)", log) == ["1", "2"]  # none is trained again
    here = trained(f"{runs.replace('2,3', '3')} outputs={tmp_path / 'alone'}")
    figures = ("epochs", "train_loss", "val_loss", "test_loss", "test_acc")
    assert {name: by_width[3][name] for name in figures} == {name: here[name] for name in figures}
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == OWN_FILES  # no logs, no pickles
    if launcher == "submitit_local":  # elsewhere, the same runs go on where they were
        again = call("sweep", "-m", "report=false", "bench_minutes=0", *overrides(runs))
        assert (again.code, again.err) == (0, "")
        ways = {width: (record["status"], record["attempts"]) for width, record in records(outputs).items()}
        assert ways == {2: ("done", 3), 3: ("done", 2)}


ORPHANS = """
import os, sys
from pathlib import Path
from dsbench.sweep.launch.submitit import Submitit

def outlive(folder=sys.argv[1]):
    import signal, subprocess, time
    from dsbench.sweep.launch import submitit
    submitit.GRACE_SECONDS = 0.5
    signal.signal(signal.SIGTERM, lambda *_: open(f"{folder}/asked", "w"))
    child = subprocess.Popen(["sleep", "600"])
    with open(f"{folder}/pids", "w") as file:
        file.write(f"{os.getpid()} {os.getppid()} {child.pid}")
    while True:
        time.sleep(1)

with Submitit(Path(sys.argv[1]) / "jobs", "local", cpus_per_task=1, timeout_min=10) as submitit:
    jobs = submitit.start([outlive])
    while not submitit.poll(jobs):
        pass
"""


def test_jobs_on_this_machine_end_with_a_sweep_that_is_killed(tmp_path: Path) -> None:
    """They are asked to, as by SIGTERM, and made to after a few seconds, with all that they have started."""
    sweep = subprocess.Popen([sys.executable, "-c", ORPHANS, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not ((tmp_path / "pids").exists() and (tmp_path / "pids").read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    processes = [psutil.Process(int(pid)) for pid in (tmp_path / "pids").read_text().split()]
    sweep.kill()
    sweep.wait()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert (tmp_path / "asked").exists()


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """An environment with stand-ins for SLURM's commands; what submitit makes of them, script and jobs, is real."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, text in SLURM.items():
        (bin_ / name).write_text(f"#!{sys.executable}\n{text}")
        (bin_ / name).chmod((bin_ / name).stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{bin_}:{os.environ['PATH']}", "SEEN": str(tmp_path / "script.sh")}


def test_slurm_is_asked_for_one_array_and_a_run_that_it_is_told_to_cancel_makes_a_checkpoint(
    overrides: Callable[[str], list[str]], outputs: Path, slurm: dict[str, str], tmp_path: Path
) -> None:
    """The array is what the command line names; its first run ends, its second is in training when Ctrl-C comes."""
    options = {"partition": "small", "timeout_min": 30, "cpus_per_task": 1}
    line = "arch=mnist_7800_shallow width=2 train.max_epochs=1,500 report=false hydra/launcher=submitit_slurm"
    line = " ".join([line, *(f"hydra.launcher.{name}={value}" for name, value in options.items())])
    given = [override for override in overrides(line) if not override.startswith("threads=")]
    sweep = subprocess.Popen(
        [sys.executable, str(ROOT / "sweep.py"), "-m", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **slurm},
    )
    assert sweep.stdout is not None
    lines: list[str] = []
    while not any("max_epochs=1: ended" in line for line in lines):
        lines.append(sweep.stdout.readline())
        assert lines[-1], sweep.communicate()
    deadline = time.monotonic() + 120
    while len(list(outputs.glob("runs/*/checkpoints/last.ckpt"))) < 2 and time.monotonic() < deadline:
        assert sweep.poll() is None, sweep.communicate()
        time.sleep(0.1)
    sweep.send_signal(signal.SIGINT)
    _, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, err
    assert "1 of 2 done, 1 stopped" in err
    script = Path(slurm["SEEN"]).read_text()
    for option in ("--partition=small", "--time=30", "--cpus-per-task=1", "--array=0-1%"):
        assert f"#SBATCH {option}" in script
    ended = [json.loads(path.read_text()) for path in outputs.glob("runs/*/result.json")]
    assert sorted((record["status"], record["threads"]) for record in ended) == [("done", 1), ("interrupted", 1)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hydra/launcher=submitit_local hydra.launcher.cluster=lsf", "hydra.launcher: submitit refuses: "),
        ("hydra/launcher=submitit_slurm", "hydra.launcher: submitit refuses: "),
        ("hydra/launcher=foo", "unknown hydra/launcher 'foo'"),
    ],
)
def test_a_cluster_that_is_not_there_costs_one_line(
    call: Callable[..., Any],
    overrides: Callable[[str], list[str]],
    outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    message: str,
) -> None:
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    ended = call("sweep", "-m", *overrides(f"{RUNS} {line}"))
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert message in ended.err
    assert not (outputs / "runs").exists()
    assert "tables" not in ended.out  # of nothing


def test_what_an_extra_lacks_is_said_in_one_line(
    overrides: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dsbench.cli import hydra

    line = [*overrides(f"{RUNS} hydra/launcher=ray")]
    monkeypatch.setattr(sys, "argv", ["sweep.py", "-m", *line])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        hydra.sweep()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: hydra/launcher=ray: ray is not installed: pip install 'dsbench[ray]'\n"
