"""Offline runs of W&B on disk, and their upload by W&B's own `wandb sync`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from dsbench.tracking import server

_NO_REASON = "wandb sync gave no reason"
_MOST_REASONS = 3  # of a run; further errors follow from the first
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class OfflineRun:
    """The folder of an offline run, and its id in W&B, which is the run's own; of a sweep's summary `sweep-<name>`."""

    path: Path
    run_id: str

    @property
    def marker(self) -> Path:
        """The file by which W&B knows that the run is uploaded."""
        return self.path / f"run-{self.run_id}.wandb.synced"

    @property
    def progress(self) -> Path:
        """The file by which W&B knows how far an upload has come."""
        return self.path / f"run-{self.run_id}.wandb.syncstate"


def offline_runs(outputs: Path) -> list[OfflineRun]:
    """The offline runs under `outputs`, in the order of their start."""
    files = sorted((outputs / "wandb").glob("offline-run-*-*/run-*.wandb"))
    return [OfflineRun(file.parent, file.stem.removeprefix("run-")) for file in files]


def summary_id(sweep: str) -> str:
    """The W&B id of a sweep's summary run."""
    return f"sweep-{sweep}"


def uploads(runs: Sequence[OfflineRun], at_once: int) -> Iterator[tuple[OfflineRun, str | None]]:
    """Upload `runs`, `at_once` at a time; yields each when it is done, with the reason where it failed.

    Each has a process of `wandb sync` of its own, so that none ends another. It waits as long as a server with too many
    requests (HTTP 429) demands, repeats what the network loses, and marks the run in the end; the mark is removed where
    its log has an error, since it marks runs whose curves or files the server refused. Uploads that are running when
    the caller stops are ended.
    """
    waiting, running = deque(runs), dict[subprocess.Popen[bytes], OfflineRun]()
    with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    run = waiting.popleft()
                    running[_start(run, Path(scratch, run.run_id))] = run
                for process in [process for process in running if process.poll() is not None]:
                    run = running.pop(process)
                    yield run, _reason(run, Path(scratch, run.run_id))
                time.sleep(_POLL_SECONDS)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()


def forget(runs: Iterable[OfflineRun]) -> None:
    """Remove the marks of earlier uploads."""
    for run in runs:
        run.marker.unlink(missing_ok=True)
        run.progress.unlink(missing_ok=True)


def _start(run: OfflineRun, scratch: Path) -> subprocess.Popen[bytes]:
    """A process that uploads the run; its output and its log go into the folder `scratch`."""
    scratch.mkdir()
    others = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    default, fixed = {"WANDB_DATA_DIR": str(run.path.parent / ".staging")}, {"WANDB_DIR": str(scratch)}
    environment = default | others | server.heard() | fixed | {"WANDB_SILENT": "false"}
    command = [sys.executable, "-P", "-m", "wandb", "sync", str(run.path.absolute())]
    with (scratch / "output").open("wb") as file:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment
        )


def _reason(run: OfflineRun, scratch: Path) -> str | None:
    """The reason why a run was not uploaded, None where all of it was; `wandb sync` exits with 0 in both cases."""
    log = _errors(scratch)
    if run.marker.exists() and not log:
        return None
    run.marker.unlink(missing_ok=True)
    lines = (scratch / "output").read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line.partition("ERROR ")[2].strip() for line in lines if "ERROR " in line]
    answers = [entry for entry in log if entry.startswith("HTTP ")]
    messages = [error for error in errors if error and error != "<no message>"]
    crash = [line for line in lines if line.startswith("panic: ")]
    reasons = answers or messages or crash or log or lines[-1:] or [_NO_REASON]
    return "; ".join(list(dict.fromkeys(reasons))[:_MOST_REASONS])


def _errors(scratch: Path) -> list[str]:
    """The errors in the log of `wandb sync`, a JSON object a line; answers of the server with their status."""
    out = []
    for file in scratch.rglob("debug-sync*.log"):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("level") == "ERROR":
                answer = (
                    f"HTTP {entry['status']} from {urlparse(entry.get('url', '')).path}" if "status" in entry else ""
                )
                out.append(answer or str(entry.get("msg")))
    return out
