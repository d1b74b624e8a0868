"""What a sweep's processes take of memory: the server with all imports, and each run forked from it."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
import psutil

HERE = Path(__file__).parent
FIELDS = ("Rss", "Pss", "Private_Dirty")  # of /proc/PID/smaps_rollup


def main() -> None:
    """Train one MNIST network in a sweep of its own and print, in MiB, the most that each kind of process took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="data root (default: data)")
    parser.add_argument("--precision", nargs="+", default=["bf16", "32"])
    parser.add_argument("--width", nargs="+", type=int, default=[16])
    parser.add_argument("--seconds", type=float, default=10.0, help="of training")
    asked = parser.parse_args()
    cases = [(precision, width) for precision in asked.precision for width in asked.width]
    with tempfile.TemporaryDirectory() as scratch:
        rows = [measured(*case, asked.seconds, asked.data.absolute(), Path(scratch) / "out") for case in cases]
    print(json.dumps({"machine": machine.facts(), "MiB": rows}, indent=2))


def measured(precision: str, width: int, seconds: float, data: Path, out: Path) -> dict[str, object]:
    """The most that the server and the run took, by field."""
    shutil.rmtree(out, ignore_errors=True)
    training = [f"precision={precision}", f"width={width}", "stop.by=seconds", f"stop.target={seconds:g}"]
    rest = ["model=cnn", "data=mnist", "threads=1", f"data.root={data}", f"outputs={out}", "report=false"]
    command = [sys.executable, "sweep.py", "-m", *training, *rest, "seeds=1", "device=cpu", "bench_minutes=0"]
    sweep = psutil.Popen(command, cwd=HERE.parent, stdout=subprocess.DEVNULL)
    most: dict[str, dict[str, int]] = {}
    while sweep.poll() is None:
        for kind, pid in _processes(sweep):
            for field, value in _memory(pid).items():
                seen = most.setdefault(kind, {})
                seen[field] = max(seen.get(field, 0), value)
        time.sleep(0.3)
    return {"precision": precision, "width": width, **most}


def _processes(sweep: psutil.Process) -> list[tuple[str, int]]:
    """The sweep's own process, the server and the run, by what they are."""
    try:
        children = [(child.pid, child.ppid(), " ".join(child.cmdline())) for child in sweep.children(recursive=True)]
    except psutil.Error:
        return []
    servers = {pid for pid, parent, line in children if parent == sweep.pid and "multiprocessing.forkserver" in line}
    runs = [pid for pid, parent, _ in children if parent in servers]
    return [("sweep", sweep.pid), *(("server", pid) for pid in servers), *(("run", pid) for pid in runs)]


def _memory(pid: int) -> dict[str, int]:
    """In MiB; empty where the process has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return {}
    return {field: int(re.findall(rf"^{field}: +([0-9]+) kB$", text, re.MULTILINE)[0]) >> 10 for field in FIELDS}


if __name__ == "__main__":
    main()
