"""Sweeps that are killed, interrupted, starved, broken and run twice at once end with what an undisturbed one has."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

ROOT = Path(__file__).parents[2]
RUN = "arch=mnist_7800_shallow block=keras"
SWEEP = f"{RUN} width=2 model=cnn,dwsep seeds=2 train.max_epochs=2"

TOLD = r"0 of 2 done, (2 stopped|1 stopped, 1 not begun); the same command goes on\n"
BRIEF = "bench_minutes=0 report=false"  # nothing but runs and tables

Command = Callable[[Path, str], list[str]]


@pytest.fixture
def command(data_root: Path) -> Command:
    """The command line of a sweep on mnist5k into a folder of outputs."""
    common = f"data=mnist5k logger=csv precision=32 threads=1 n_jobs=2 retries=0 data.root={data_root} {BRIEF}"

    def line(outputs: Path, overrides: str) -> list[str]:
        given = overrides.split()
        named = {override.split("=")[0] for override in given}
        own = [override for override in common.split() if override.split("=")[0] not in named]
        return [sys.executable, str(ROOT / "sweep.py"), "-m", *own, *given, f"outputs={outputs}"]

    return line


def table(outputs: Path) -> pd.DataFrame:
    """runs.csv."""
    (path,) = outputs.glob("sweeps/*/runs.csv")
    return pd.read_csv(path, dtype={"run_id": str})


def records(outputs: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in outputs.glob("runs/*/result.json")]


def command_line(process: psutil.Process) -> str:
    """Its words; none where it has ended since it was listed, as git and the like do at any moment."""
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def workers(sweep: psutil.Process) -> list[psutil.Process]:
    """The processes that train for a sweep: forked from the server, leaders of sessions of their own."""
    out = []
    for child in sweep.children(recursive=True):
        with suppress(psutil.NoSuchProcess, ProcessLookupError):  # ended since it was listed
            if child.ppid() != sweep.pid and os.getsid(child.pid) == child.pid:
                out.append(child)
    return out


def epochs(outputs: Path) -> int:
    """The epochs that all runs have behind them."""
    return sum(len(path.read_text().splitlines()) - 1 for path in outputs.glob("runs/*/metrics.csv"))


def left_over(processes: list[psutil.Process], seconds: float) -> list[str]:
    """Those that are still there after that time."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [" ".join(process.cmdline()) for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.thorough
def test_a_sweep_killed_at_random_and_done_by_two_at_once_ends_as_an_undisturbed_one(
    command: Command, trained: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    """Its workers are killed, without which it goes on, then the whole of it is, and nothing is left over.

    W&B's service is running. Then two at once do the rest.
    """
    rough, rng = tmp_path / "rough", random.Random(0)
    sweep = psutil.Popen(command(rough, f"{SWEEP} logger=wandb"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_for_epochs(count: int) -> None:
        moment = epochs(rough) + count  # of 8 in all
        while epochs(rough) < moment:
            assert sweep.poll() is None
            time.sleep(0.01)

    wait_for_epochs(rng.randrange(1, 4))
    while not (victims := workers(sweep)):
        assert sweep.poll() is None  # between two runs
    for process in victims:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_for_epochs(1)  # of other runs
    everything = [sweep, *sweep.children(recursive=True)]
    assert sum("wandb-core" in command_line(process) for process in everything) == 1
    sweep.kill()
    sweep.wait(timeout=300)
    assert left_over(everything, 60) == []
    assert all(record["status"] for record in records(rough))  # each is whole
    before = {record["run_id"]: (record["status"] == "done", record["attempts"]) for record in records(rough)}
    line = command(rough, SWEEP)
    both = [subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for sweep in both:
        out, err = sweep.communicate(timeout=300)
        assert (sweep.returncode, err) == (0, ""), out
    runs = table(rough)
    assert len(runs) == 4
    for run_id, attempts in runs.set_index("run_id")["attempts"].items():  # of two sweeps at once one trains a run
        done, earlier = before.get(run_id, (False, 0))
        assert attempts == earlier + (not done)
    for row in runs.to_dict("records"):
        line = f"{RUN} model={row['model']} width={row['width']} seed={row['seed']} train.max_epochs=2"
        undisturbed = trained(line)
        for name in ("run_id", "status", "epochs", "train_acc", "best_val_acc", "test_acc", "test_loss"):
            assert row[name] == undisturbed[name], (name, line)


def test_ctrl_c_stops_within_seconds_and_the_same_command_goes_on(command: Command, tmp_path: Path) -> None:
    """The terminal sends Ctrl-C to all processes of the sweep, a scheduler its SIGTERM to the first alone.

    timeout(1) sends it twice, the second while the sweep waits for its processes to end.
    """
    outputs = tmp_path / "outputs"
    line = command(outputs, f"{RUN} width=2,3 train.max_epochs=500")

    def stopped(attempt: int, send: Callable[[psutil.Popen], None]) -> tuple[int, str, str]:
        sweep = psutil.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (
            any(record["attempts"] == attempt for record in records(outputs))
            and any(outputs.glob("runs/*/checkpoints/last.ckpt"))
        ):
            assert sweep.poll() is None, sweep.communicate()
            time.sleep(0.05)
        everything = sweep.children(recursive=True)
        send(sweep)
        out, err = sweep.communicate(timeout=40)  # until the last process that has its standard output is gone
        assert left_over(everything, 10) == []
        return sweep.returncode, out, err

    code, out, err = stopped(1, lambda sweep: os.killpg(sweep.pid, signal.SIGINT))
    assert code == 130
    assert re.fullmatch(TOLD, err)
    assert "test accuracy" not in out
    assert {record["status"] for record in records(outputs)} == {"interrupted"}

    def twice(sweep: psutil.Popen) -> None:
        sweep.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        sweep.send_signal(signal.SIGTERM)

    code, out, err = stopped(2, twice)
    assert code == 143
    assert re.fullmatch(TOLD, err)
    assert max(record["attempts"] for record in records(outputs)) == 2
    assert {record["status"] for record in records(outputs)} == {"interrupted"}


def breaking(ways: dict[int, str]) -> str:
    """The override that breaks runs (see tests/sweep/breaking.py): by width, the name of the way."""
    listed = ",".join(f"{width}:{way}" for width, way in ways.items())
    return f"+hydra.callbacks.breaking={{_target_:breaking.Breaking,ways:{{{listed}}}}}"


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Has the kernel kill what hoards memory, where this user may make control groups; else the test kills it."""
    limit_bytes = 400 << 20
    group = Path(f"/sys/fs/cgroup/memory/dsbench-test-{os.getpid()}")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(limit_bytes))
    except OSError:
        over = threading.Event()

        def kill_the_large() -> None:
            while not over.wait(0.05):
                with suppress(psutil.NoSuchProcess, ProcessLookupError):  # of all that runs some is always just gone
                    for process in workers(psutil.Process()):
                        if process.memory_info().rss > 4 * limit_bytes:
                            process.kill()

        watching = threading.Thread(target=kill_the_large)
        watching.start()
        yield
        over.set()
        watching.join()
        return
    monkeypatch.setenv("MEMORY_GROUP", str(group))
    yield
    group.rmdir()


@pytest.mark.usefixtures("little_memory")
def test_whatever_breaks_a_run_is_told_alike_everywhere_and_breaks_no_other(
    call: Callable[..., Any], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does the process of a run collect, or compose, what the sweep has made before it."""
    monkeypatch.setenv("FROZEN", str(tmp_path / "frozen"))
    budget = "budget.match=cnn budget.by=params"  # its own: but for the preset's name, nothing of it is to be solved
    outputs, line = tmp_path / "outputs", f"{RUN} width=2,3,4,5,6 train.max_epochs=2 model=cnn {budget}"
    ways = breaking({2: "testify", 3: "segfault", 4: "hang", 5: "fail", 6: "hoard"})
    swept = call("sweep", *command(outputs, f"{line} retries=1 timeout=6 {ways}")[2:])
    out = swept.out
    assert (swept.code, swept.err) == (1, "")
    reasons = {
        3: ("killed", "killed by SIGSEGV", 2),
        4: ("timeout", "ran longer than timeout=6 s", 1),
        5: ("failed", "broken by itself", 1),
        6: ("killed", "killed by SIGKILL, as the system does for want of memory", 2),
    }
    broken = {record["width"]: record for record in records(outputs)}
    assert broken[2]["status"] == "done"
    assert int((tmp_path / "frozen").read_text()) > 100_000
    for width, (status, reason, attempts) in reasons.items():
        record = broken[width]
        assert (record["status"], record["error"], record["attempts"]) == (status, reason, attempts)
        log = f"{outputs}/runs/{record['run_id']}/run.log"
        messages, table_of_failures = out.split("not in a mean because")
        assert f"width={width}: failed: {reason}; log: {log}\n" in messages
        assert (f"width={width}: tried again: {reason}; log: {log}\n" in messages) == (attempts == 2)
        row = next(row for row in table_of_failures.splitlines() if log in row)
        assert reason in row
        assert status in row
    assert "in segfault" in Path(f"{outputs}/runs/{broken[3]['run_id']}/run.log").read_text()
    assert "in hang" in Path(f"{outputs}/runs/{broken[4]['run_id']}/run.log").read_text()
    assert table(outputs).set_index("width")["status"].to_dict() == {width: broken[width]["status"] for width in broken}

    again = call("sweep", *command(outputs, line)[2:])
    assert (again.code, again.err) == (0, "")
    mended = {record["width"]: record for record in records(outputs)}
    assert {record["status"] for record in mended.values()} == {"done"}
    assert {width: mended[width]["attempts"] - broken[width]["attempts"] for width in broken} == {
        2: 0, 3: 1, 4: 1, 5: 1, 6: 1,
    }  # fmt: skip
    assert not any("error" in record for record in mended.values())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 600 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("a disk can be mounted by root alone")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_fails_runs_and_spoils_nothing(
    call: Callable[..., Any], command: Command, small_disk: Path
) -> None:
    """Left are 110 kB, room for two or three runs of four."""
    outputs = small_disk / "outputs"
    filler = small_disk / "filler"
    filler.write_bytes(bytes(500_000))
    line = command(outputs, f"{RUN} width=2,3 seeds=2 train.max_epochs=2 n_jobs=1")[2:]
    full = call("sweep", *line)
    assert (full.code, full.err) == (1, "")
    statuses = [record["status"] for record in records(outputs)]  # each is whole
    assert 1 <= statuses.count("done") < 4
    failed = 4 - statuses.count("done")
    messages, table_of_failures = full.out.split("not in a mean because")
    reason = "No space left on device"
    assert messages.count(reason) == failed == table_of_failures.split("tables")[0].count(reason)
    assert f"tables could not be written: [Errno 28] {reason}" in table_of_failures
    filler.unlink()
    again = call("sweep", *line)
    assert (again.code, again.err) == (0, ""), again.out
    assert table(outputs)["status"].tolist() == ["done"] * 4
