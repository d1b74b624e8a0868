"""What a machine lets a process have, read from trees of proc and sys as they are in containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsbench import machine
from dsbench.machine import Memory

GIB = 1 << 30
V1 = "33 31 0:30 / /sys/fs/cgroup/{0} rw,relatime - cgroup cgroup rw,{0}\n"
V2 = "26 24 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
MEMINFO = f"MemTotal: {64 << 20} kB\nMemFree: 1000 kB\nMemAvailable: {48 << 20} kB\nHugePages_Total: 0\n"


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hardware has 64 cores, the shell no limits."""
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr("resource.getrlimit", lambda which: (-1, -1))


def tree(root: Path, files: dict[str, str], meminfo: str = MEMINFO) -> Path:
    """A machine whose files are `files`, by their paths."""
    for name, text in ({"proc/meminfo": meminfo} | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v2(group: str, files: dict[str, str], mounts: str = V2) -> dict[str, str]:
    """A machine with control groups of version 2, whose process is in `group`; `files` are below /sys/fs/cgroup."""
    own = {"proc/self/cgroup": f"0::{group}\n", "proc/self/mountinfo": mounts}
    return own | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}


def v1(group: str, files: dict[str, str]) -> dict[str, str]:
    """The same of version 1, beside an empty hierarchy of version 2, as systemd has it."""
    cgroup = f"9:name=systemd:/\n4:memory:{group}\n2:cpuacct,cpu:{group}\n0::/\n"
    mounts = V1.format("memory") + V1.format("cpu,cpuacct").replace("cgroup/cpu,cpuacct", "cgroup/cpu")
    mounts += V2.replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified ")
    own = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mounts}
    return own | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 64),  # no control groups
        (v2("/", {"cpu.max": "200000 100000\n"}), 2),  # a container's own group is its root
        (v2("/a/b", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}), 3),  # set above
        (v2("/a/b", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "150000 100000\n"}), 1),
        (v2("/a", {"a/cpu.max": "250000 100000\n"}), 2),
        (v2("/a", {"a/cpu.max": "50000 100000\n"}), 1),  # half a core
        (v2("/a", {"a/cpu.max": "max 100000\n"}), 64),
        (v2("/a", {}), 64),
        (v2("/../other", {"cpu.max": "400000 100000\n"}), 4),  # a group out of sight
        (v2("/docker/x", {"cpu.max": "400000 100000\n"}, V2.replace(" / ", " /docker/x ")), 4),
        (v2("/a b", {"a b/cpu.max": "500000 100000\n"}), 5),
        (v1("/a/b", {"cpu/a/cpu.cfs_quota_us": "200000\n", "cpu/a/cpu.cfs_period_us": "50000\n"}), 4),
        (v1("/a", {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"}), 64),
        (v1("/gone", {"cpu/cpu.cfs_quota_us": "700000\n", "cpu/cpu.cfs_period_us": "100000\n"}), 7),
    ],
)
def test_cores_are_those_whose_time_a_process_and_the_groups_above_it_have(
    tmp_path: Path, files: dict[str, str], cores: int
) -> None:
    assert machine.cores(tree(tmp_path, files)) == cores


@pytest.mark.parametrize(
    ("files", "memory"),
    [
        ({}, Memory(64 * GIB, 48 * GIB)),
        (v2("/a", {"a/memory.max": "max\n", "a/memory.current": f"{GIB}\n"}), Memory(64 * GIB, 48 * GIB)),
        (
            v2("/a", {"a/memory.max": f"{4 * GIB}\n", "a/memory.current": f"{3 * GIB}\n"}),
            Memory(4 * GIB, GIB),
        ),
        (  # of what is used, files that were read can go
            v2(
                "/a/b",
                {
                    "a/memory.max": f"{4 * GIB}\n",
                    "a/memory.current": f"{3 * GIB}\n",
                    "a/memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}\nactive_file 5\n",
                    "a/b/memory.max": f"{8 * GIB}\n",
                },
            ),
            Memory(4 * GIB, 3 * GIB),
        ),
        (
            v1("/a", {"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}),
            Memory(64 * GIB, 48 * GIB),
        ),
        (
            v1(
                "/a/b",
                {
                    "memory/a/memory.limit_in_bytes": f"{2 * GIB}\n",
                    "memory/a/memory.usage_in_bytes": f"{2 * GIB}\n",
                    "memory/a/memory.stat": f"cache 7\ntotal_inactive_file {GIB}\n",
                },
            ),
            Memory(2 * GIB, GIB),
        ),
        (v2("/a", {"a/memory.max": f"{GIB}\n", "a/memory.current": f"{2 * GIB}\n"}), Memory(GIB, 0)),
    ],
)
def test_memory_is_the_least_of_the_hardwares_and_of_what_groups_leave(
    tmp_path: Path, files: dict[str, str], memory: Memory
) -> None:
    assert machine.memory(tree(tmp_path, files)) == memory


def test_a_limit_of_the_shell_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda which: (3 * GIB, -1))
    assert machine.memory(tree(tmp_path, {})) == Memory(3 * GIB, 3 * GIB)


def test_this_machine_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.undo()
    found = machine.memory()
    assert 0 < found.available <= found.total <= psutil.virtual_memory().total
    assert 1 <= machine.cores() <= psutil.cpu_count()
