"""Processes of this machine: whatever becomes of one job, the others are not touched, and none outlives the sweep."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import psutil
import pytest

from dsbench.machine import Memory
from dsbench.provenance import n_jobs
from dsbench.run.outcome import Ended
from dsbench.sweep.launch import workers
from dsbench.sweep.launch.local import Local
from dsbench.sweep.launch.workers import Load, Workers, workers_for

ROOT = Path(__file__).parents[2]

TOLD: list[tuple[int, Any]] = []


def run(
    functions: Sequence[Callable[[], Any]],
    environments: Sequence[dict[str, str]] = ({}, {}),
    on_wait: Callable[[Local, list[Any]], object] = lambda local, running: None,
) -> list[Any]:
    """What came of each function's process, in order; what they tell goes to TOLD."""
    TOLD.clear()
    waiting, running = list(enumerate(functions)), dict[Any, int]()
    out: dict[int, Any] = {}
    with Local(Workers(tuple(environments), 1)) as local:
        try:
            while waiting or running:
                chosen, waiting = _split(waiting, local.at_once - len(running))
                started = local.start([function for _, function in chosen])
                running |= zip(started, (number for number, _ in chosen), strict=True)
                for process, news in local.poll(list(running)):
                    if isinstance(news, dict):
                        TOLD.append((running[process], news))
                    else:
                        out[running.pop(process)] = news
                on_wait(local, list(running))
        except BaseException:
            local.end(list(running), 5.0)
            raise
    return [out[number] for number in range(len(functions))]


def _split(jobs: list[Any], count: int) -> tuple[list[Any], list[Any]]:
    return jobs[:count], jobs[count:]


def gone(pid: int) -> bool:
    """Whether the process has ended, whoever is to take note of it."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def square(number: int) -> Callable[[], int]:
    return lambda: number * number


def test_every_job_returns_its_result() -> None:
    assert run([*(square(i) for i in range(7)), lambda: None]) == [*(i * i for i in range(7)), None]


def test_a_job_that_dies_takes_no_other_with_it_but_what_it_has_started(tmp_path: Path) -> None:
    def segfault(mark: Path = tmp_path / "child") -> None:
        mark.write_text(str(subprocess.Popen(["sleep", "600"]).pid))
        os.kill(os.getpid(), signal.SIGSEGV)

    def leave() -> None:
        os._exit(7)

    def fail() -> None:
        raise ValueError("no")

    class Unreadable:
        def __reduce__(self) -> Any:
            return int, ("x",)

    assert run([square(1), segfault, square(2), leave, fail, square(3), Unreadable]) == [
        1,
        Ended("killed", "killed by SIGSEGV"),
        4,
        Ended("killed", "its process ended with exit code 7"),
        Ended("killed", "its process ended with exit code 1"),
        9,
        Ended("failed", "invalid literal for int() with base 10: 'x'"),
    ]
    assert gone(int((tmp_path / "child").read_text()))


def test_a_job_that_is_asked_to_end_is_killed_after_a_while_and_at_once_where_it_has_none() -> None:
    def hang() -> None:
        from dsbench.sweep.launch.worker import tell

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        tell({"kind": "deaf"})
        time.sleep(600)

    took = {}

    def end(local: Local, running: list[Any]) -> None:
        if TOLD and running and not took:
            for grace_seconds, process in ((0.5, running[0]), (0.0, running[-1])):
                before = time.monotonic()
                local.end([process], grace_seconds)
                took[grace_seconds] = time.monotonic() - before

    killed = Ended("killed", "killed by SIGKILL, as the system does for want of memory")
    assert run([hang, square(2)], on_wait=end) == [killed, 4]
    assert took[0.5] >= 0.5


def test_a_job_that_takes_all_memory_is_killed_alone() -> None:
    """This test is the kernel's out-of-memory killer."""

    def grow() -> None:
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1 << 20) * 16))
            time.sleep(0.01)

    def kill_the_large(*_: object) -> None:
        server = psutil.Process(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]
        most = server.memory_info().rss + (300 << 20)  # what it has imported for other tests is theirs too
        for process in server.children():
            try:
                if process.memory_info().rss > most:
                    process.kill()
            except psutil.NoSuchProcess:
                pass

    ended = run([grow, square(3), square(4)], on_wait=kill_the_large)
    assert ended == [Ended("killed", "killed by SIGKILL, as the system does for want of memory"), 9, 16]


def test_a_worker_is_the_environment_of_its_jobs() -> None:
    def where() -> str:
        time.sleep(0.2)
        return os.environ["DSBENCH_WORKER"]

    ended = run([where] * 6, [{"DSBENCH_WORKER": "a"}, {"DSBENCH_WORKER": "b"}])
    assert set(ended) == {"a", "b"}
    assert "DSBENCH_WORKER" not in os.environ


def test_jobs_tell_what_they_do() -> None:
    def talk() -> None:
        from dsbench.sweep.launch.worker import inside, tell

        assert inside()
        for epoch in range(3):
            tell({"epoch": epoch})

    run([talk])
    assert TOLD == [(0, {"epoch": 0}), (0, {"epoch": 1}), (0, {"epoch": 2})]


def test_an_exception_stops_the_jobs_that_run(tmp_path: Path) -> None:
    def wait(mark: Path = tmp_path / "pid") -> None:
        mark.write_text(str(os.getpid()))
        time.sleep(600)

    def interrupt(*_: object) -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([wait, square(1)], on_wait=interrupt)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


SCRIPT = """
import os, sys, time
from dsbench.sweep.launch import workers
from dsbench.sweep.launch.local import Local
from dsbench.sweep.launch.workers import Workers

def outlive(folder=sys.argv[1]):
    import subprocess
    child = subprocess.Popen(["sleep", "600"])
    with open(f"{folder}/{os.getpid()}", "w") as file:
        file.write(str(child.pid))
    while True:
        time.sleep(1)

if __name__ == "__main__":
    with Local(Workers(({}, {}), 1)) as local:
        running = local.start([outlive, outlive])
        while True:
            local.poll(running)
"""


def test_nothing_outlives_a_sweep_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "pids").mkdir()
    sweep = subprocess.Popen([sys.executable, tmp_path / "script.py", tmp_path / "pids"])
    pids: list[int] = []
    deadline = time.monotonic() + 120
    while len(pids) < 4 and time.monotonic() < deadline:
        written = [path for path in (tmp_path / "pids").iterdir() if path.read_text()]
        pids = [pid for path in written for pid in (int(path.name), int(path.read_text()))]
        time.sleep(0.1)
    assert len(pids) == 4
    sweep.kill()
    sweep.wait()
    psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=60)
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


IMPORTING = """
import os, signal, time
from multiprocessing import forkserver
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # where a background job has it ignored
from dsbench.sweep.launch.local import begin_server
begin_server(["slow"])
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


def test_a_sweeps_processes_record_how_many_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert n_jobs() is None
    for name, value in workers_for(9, 3, 1, "cpu").environments[0].items():
        monkeypatch.setenv(name, value)
    assert n_jobs() == 3


GIB = 1 << 30


@pytest.mark.parametrize(
    ("n_jobs", "run_bytes", "count", "why"),
    [
        (None, [GIB] * 9, 4, r"4 at once: 4 cores, and memory for 5 runs of 1\.6 GiB"),
        (2, [GIB] * 9, 2, r"2 at once: n_jobs=2, and memory for 5 runs of 1\.6 GiB"),
        (9, [GIB] * 9, 5, r"5 at once: n_jobs=9, but memory for 5 runs of 1\.6 GiB \(8\.6 GiB are free\)"),
        (None, [3 * GIB] * 9, 1, r"1 at once: 4 cores, but memory for 1 run of 4\.6 GiB \(8\.6 GiB are free\)"),
        (None, [9 * GIB] * 9, 1, r"1 at once: 4 cores, but memory for 0 runs of 14 GiB \(8\.6 GiB are free\)"),
        (None, [3 * GIB] * 1 + [GIB // 4] * 8, 4, r"4 at once: 4 cores, .*"),  # the large one beside small ones
        (3, [], 3, ""),  # another application's
    ],
)
def test_no_more_runs_at_once_than_the_memory_holds(
    monkeypatch: pytest.MonkeyPatch, n_jobs: int | None, run_bytes: list[int], count: int, why: str
) -> None:
    monkeypatch.setattr("dsbench.machine.memory", lambda: Memory(64 * GIB, 9 * GIB))
    monkeypatch.setattr("dsbench.machine.cores", lambda: 4)
    found = workers_for(9, n_jobs, 1, "cpu", [Load(size) for size in run_bytes])
    assert len(found) == count
    assert re.fullmatch(why, found.why), found.why
    assert {environment["DSBENCH_N_JOBS"] for environment in found.environments} == {str(count)}


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has this machine 16 cores and so many GPUs with so much free memory each, which CUDA_VISIBLE_DEVICES names."""

    def there(count: int, free: int = 79 * GIB, visible: str | None = None) -> None:
        monkeypatch.setattr("dsbench.machine.memory", lambda: Memory(128 * GIB, 120 * GIB))
        monkeypatch.setattr("dsbench.machine.cores", lambda: 16)
        monkeypatch.setattr(workers, "gpus", lambda: count)
        monkeypatch.setattr(workers, "_free_of_gpus", lambda visible: (free,) * count)
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return there


@pytest.mark.parametrize(
    ("step_macs", "bytes_each", "n_jobs", "count", "why"),
    [
        (workers.FILLING_MACS, GIB, None, 2, r"2 at once: 2 GPUs, and memory of a GPU for 34 runs of 2\.3 GiB"),
        (workers.FILLING_MACS / 3, GIB, None, 6, "6 at once: 2 GPUs with 3 each, and memory of a GPU for .*"),
        (1e6, GIB, None, 8, "8 at once: 2 GPUs with 4 each, and .*"),
        (1e6, 20 * GIB, None, 4, r"4 at once: .*, but memory of a GPU for 2 runs of 31 GiB \(79 GiB are free\)"),
        (1e6, GIB, 9, 9, "9 at once: n_jobs=9, and memory of a GPU for .*"),
        (1e6, 60 * GIB, 9, 2, "2 at once: n_jobs=9, but memory of a GPU for 0 runs of .*"),
    ],
)
def test_small_networks_share_a_gpu_as_far_as_its_memory_goes(
    cards: Callable[..., None], step_macs: float, bytes_each: int, n_jobs: int | None, count: int, why: str
) -> None:
    cards(2)
    found = workers_for(40, n_jobs, None, "auto", [Load(bytes_each, int(step_macs), on_gpu=True)] * 40)
    assert len(found) == count
    assert re.fullmatch(why, found.why), found.why
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in found.environments] == [
        str(number % 2) for number in range(count)
    ]
    assert found.threads == workers_for(40, n_jobs, None, "auto").threads == 16 // (n_jobs or 8)


def test_the_largest_network_of_a_sweep_says_how_many_share_a_gpu_and_a_cpu_needs_none(
    cards: Callable[..., None],
) -> None:
    cards(1)
    mixed = [Load(GIB, 1_000_000, on_gpu=True), Load(GIB, int(workers.FILLING_MACS), on_gpu=True)]
    assert len(workers_for(9, loads=mixed)) == 1
    assert len(workers_for(9, device="cpu", loads=[Load(GIB)] * 9)) == 9
    assert not any("CUDA_VISIBLE_DEVICES" in one for one in workers_for(9, device="cpu").environments)


def test_a_gpu_is_named_as_the_environment_names_it(cards: Callable[..., None]) -> None:
    cards(2, visible=" 3, GPU-8932f937 ,-1,5")
    found = workers_for(2, loads=[Load(GIB, int(1e12), on_gpu=True)] * 2)
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in found.environments] == ["3", "GPU-8932f937"]


@pytest.mark.parametrize(
    ("visible", "count"),
    [
        *((None, 4), ("", 0), ("0,2", 2), ("3", 1), ("0,-1,2", 1), ("-1", 0), ("NoDevFiles", 0), ("0,NoDevFiles,1", 1)),
        *(("0,9,1", 1), ("1,1", 0), ("GPU-b,GPU-d", 2), ("GPU-b,GPU-x,GPU-a", 1)),
    ],
)
def test_gpus_are_those_up_to_the_first_that_is_none(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, count: int
) -> None:
    """torch counts them, here those of a driver that has four."""
    monkeypatch.setattr(workers, "is_there", lambda kind: kind == "cuda")
    monkeypatch.setattr("torch.cuda._is_compiled", lambda: True)
    monkeypatch.setattr("torch.cuda._raw_device_count_nvml", lambda: 4)
    monkeypatch.setattr("torch.cuda._raw_device_uuid_nvml", lambda: ["GPU-a", "GPU-b", "GPU-c", "GPU-d"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert workers.gpus() == count


def test_a_child_that_cannot_say_what_is_free_on_gpus_sets_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for real: on a machine without a GPU it has none to tell of."""
    monkeypatch.setattr(workers, "_ASK", f"{workers._ASK}; import sys; sys.exit(torch.cuda.is_available())")
    assert workers._free_of_gpus("none") == ()
    monkeypatch.setattr(workers, "_ASK", "print(1, 2)")
    assert workers._free_of_gpus("two") == (1, 2)
    monkeypatch.setattr(workers, "_ASK", "raise RuntimeError")
    assert workers._free_of_gpus("broken") == ()


def test_a_process_is_forked_whatever_lies_in_the_current_folder_and_however_long_the_path_of_temporary_files(
    tmp_path: Path,
) -> None:
    here, long = tmp_path / "here", tmp_path / ("t" * 120)
    here.mkdir()
    long.mkdir()
    for name in ("random", "json", "secrets", "tempfile", "torch", "multiprocessing"):
        (here / f"{name}.py").write_text("raise SystemExit('imported from the current folder')\n")
    script = tmp_path / "script" / "script.py"
    script.parent.mkdir()
    (script.parent / "beside.py").write_text(
        "import os\n"
        "def started():\n"
        "    import random\n"
        "    return random.__file__, {name for name in os.environ if name.startswith('PYTHON')}\n"
        "def measure(*_, **options):\n"
        "    return [started()]\n"
    )
    script.write_text(
        "from beside import measure, started\n"
        "from dsbench.measure.repeats import in_fresh_process\n"
        "from dsbench.sweep.launch.local import Local\n"
        "from dsbench.sweep.launch.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    with Local(Workers(({},), 1)) as local:\n"
        "        running, ended = local.start([started]), []\n"
        "        while not ended:\n"
        "            ended = local.poll(running)\n"
        "    print(ended[0][1])\n"
        "    print(in_fresh_process(measure, 1.0, None, None, print)[0][0])\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=here,
        env=environment | {"TMPDIR": str(long), "PYTHONPATH": str(ROOT)},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{(random.__file__, {'PYTHONPATH'})}\n{random.__file__}\n"
    assert list(long.iterdir()) == []
