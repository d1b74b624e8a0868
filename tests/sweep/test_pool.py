"""Slots and processes: whatever becomes of one task, the others are not touched, and none outlives the sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import cloudpickle
import psutil
import pytest

from dsbench.sweep.launch.pool import Ended, Pool, Task


def run(
    functions: Sequence[Callable[[], Any]],
    slots: Sequence[dict[str, str]] = ({}, {}),
    timeout_seconds: float | None = None,
    on_end: Callable[[Ended], Task | None] | None = None,
    on_event: Callable[[int, dict[str, Any]], None] = lambda number, event: None,
    on_wait: Callable[[], None] = lambda: None,
) -> dict[int, Ended]:
    """How each function's process ended."""
    out: dict[int, Ended] = {}

    def ended(one: Ended) -> Task | None:
        out[one.number] = one
        return on_end(one) if on_end else None

    tasks = [Task(i, cloudpickle.dumps(function)) for i, function in enumerate(functions)]
    pool = Pool(slots, [], lambda number: pool.limit(number, timeout_seconds), on_event, ended, on_wait)
    pool.run(tasks)
    return out


def gone(pid: int) -> bool:
    """Whether the process has ended, whoever is to take note of it."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def square(number: int) -> Callable[[], int]:
    return lambda: number * number


def test_every_task_returns_its_result() -> None:
    ended = run([square(i) for i in range(7)])
    assert {number: one.result for number, one in ended.items()} == {i: i * i for i in range(7)}
    assert all(one.returned and one.exitcode == 0 for one in ended.values())


def test_a_task_that_dies_takes_no_other_with_it_but_what_it_has_started(tmp_path: Path) -> None:
    def segfault(mark: Path = tmp_path / "child") -> None:
        mark.write_text(str(subprocess.Popen(["sleep", "600"]).pid))
        os.kill(os.getpid(), signal.SIGSEGV)

    def leave() -> None:
        os._exit(7)

    def fail() -> None:
        raise ValueError("no")

    ended = run([square(1), segfault, square(2), leave, fail, square(3)])
    assert [ended[i].result for i in (0, 2, 5)] == [1, 4, 9]
    assert (ended[1].exitcode, ended[1].returned) == (-signal.SIGSEGV, False)
    assert (ended[3].exitcode, ended[3].returned) == (7, False)
    assert (ended[4].exitcode, ended[4].returned) == (1, False)
    assert gone(int((tmp_path / "child").read_text()))


def test_a_task_that_hangs_is_killed_after_its_time() -> None:
    def hang() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1)

    ended = run([hang, square(2)], timeout_seconds=2.0)
    assert ended[0].exitcode == -signal.SIGKILL
    assert ended[1].result == 4


def test_a_task_that_takes_all_memory_is_killed_alone() -> None:
    """This test is the kernel's out-of-memory killer."""

    def grow() -> None:
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1 << 20) * 16))
            time.sleep(0.01)

    def kill_the_large() -> None:
        server = psutil.Process(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]
        most = server.memory_info().rss + (300 << 20)  # what it has imported for other tests is theirs too
        for process in server.children():
            try:
                if process.memory_info().rss > most:
                    process.kill()
            except psutil.NoSuchProcess:
                pass

    ended = run([grow, square(3), square(4)], on_wait=kill_the_large)
    assert ended[0].exitcode == -signal.SIGKILL
    assert [ended[1].result, ended[2].result] == [9, 16]


def test_a_task_handed_back_is_run_again(tmp_path: Path) -> None:
    def dies_at_first(mark: Path = tmp_path / "mark") -> str:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "survived"

    again = Task(0, cloudpickle.dumps(dies_at_first))
    ended = run([dies_at_first], on_end=lambda one: None if one.returned else again)
    assert ended[0].result == "survived"


def test_a_slot_is_the_environment_of_its_tasks() -> None:
    slots = [{"DSBENCH_SLOT": "a"}, {"DSBENCH_SLOT": "b"}]

    def where() -> str:
        time.sleep(0.2)
        return os.environ["DSBENCH_SLOT"]

    ended = run([where] * 6, slots=slots)
    assert {one.result for one in ended.values()} == {"a", "b"}
    assert "DSBENCH_SLOT" not in os.environ


def test_tasks_tell_what_they_do() -> None:
    heard: list[tuple[int, dict[str, Any]]] = []

    def talk() -> None:
        from dsbench.sweep.launch.worker import inside, tell

        assert inside()
        for epoch in range(3):
            tell({"epoch": epoch})

    run([talk], on_event=lambda number, event: heard.append((number, event)))
    assert heard == [(0, {"epoch": 0}), (0, {"epoch": 1}), (0, {"epoch": 2})]


def test_an_exception_stops_the_tasks_that_run(tmp_path: Path) -> None:
    def wait(mark: Path = tmp_path / "pid") -> None:
        mark.write_text(str(os.getpid()))
        time.sleep(600)

    def interrupt() -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([wait, square(1)], on_wait=interrupt)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


SCRIPT = """
import os, sys, time
import cloudpickle
from dsbench.sweep.launch.pool import Pool
from dsbench.sweep.launch.pool import Task

def outlive(folder=sys.argv[1]):
    import subprocess
    child = subprocess.Popen(["sleep", "600"])
    with open(f"{folder}/{os.getpid()}", "w") as file:
        file.write(str(child.pid))
    while True:
        time.sleep(1)

if __name__ == "__main__":
    ignore = lambda *_: None
    Pool([{}, {}], [], ignore, ignore, ignore).run([Task(i, cloudpickle.dumps(outlive)) for i in range(2)])
"""


def test_nothing_outlives_a_pool_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "pids").mkdir()
    pool = subprocess.Popen([sys.executable, tmp_path / "script.py", tmp_path / "pids"])
    pids: list[int] = []
    deadline = time.monotonic() + 120
    while len(pids) < 4 and time.monotonic() < deadline:
        found = [path for path in (tmp_path / "pids").iterdir() if path.read_text()]
        pids = [pid for path in found for pid in (int(path.name), int(path.read_text()))]
        time.sleep(0.1)
    assert len(pids) == 4
    pool.kill()
    pool.wait()
    psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=60)
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


WEIGHED = """
import cloudpickle, psutil
from dsbench.sweep.launch.pool import Pool
from dsbench.sweep.launch.pool import Task
sizes = []
def weigh(one):
    assert one.result == one.number
    sizes.append(psutil.Process().memory_info().rss)
ignore = lambda *_: None
tasks = [Task(i, cloudpickle.dumps(lambda i=i: i)) for i in range(500)]
Pool([{}, {}], [], ignore, ignore, weigh).run(tasks)
print(len(sizes), max(sizes[-50:]) - max(sizes[100:150]))
"""


def test_memory_does_not_grow_with_the_number_of_tasks() -> None:
    ended = subprocess.run([sys.executable, "-c", WEIGHED], capture_output=True, text=True, timeout=120)
    tasks, growth_bytes = map(int, ended.stdout.split())
    assert tasks == 500
    assert growth_bytes < 2 << 20


IMPORTING = """
import multiprocessing, os, signal, time
from multiprocessing import forkserver
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # where a background job has it ignored
from dsbench.sweep import server
server.begin(multiprocessing.get_context("forkserver"), ["slow"])
while not Path("importing").exists():
    time.sleep(0.01)
print(forkserver._forkserver._forkserver_pid, flush=True)
os.kill(os.getpid(), signal.SIGINT)
"""


def test_a_server_that_still_imports_ends_with_the_process_that_began_it(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(600)\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTING], capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment
    )
    assert ended.returncode == -signal.SIGINT
    assert gone(int(ended.stdout))


def test_a_sweeps_processes_record_how_many_run_at_once() -> None:
    code = "from dsbench.provenance import n_jobs; from dsbench.sweep.launch.workers import slots; "
    code += "import os; print(n_jobs()); os.environ.update(slots(9, 3, 1, 'cpu').environments[0]); print(n_jobs())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["None", "3"]
