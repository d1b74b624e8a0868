"""What surrounds a run: versions, the commit, the time, other processes."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

import dsbench

PACKAGES = ("dsbench", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "wandb", "numpy")
N_JOBS = "DSBENCH_N_JOBS"  # environment variable: the runs at once of the sweep that this process is one of
COMPUTING = ("seeds.py", "data", "network", "training")  # the modules and subpackages that a result is made by
SHOWING = ("network/check.py", "network/draw.py")  # what lies among them and no result is made by


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that can change a result."""
    return {"python": platform.python_version()} | {package: _version(package) for package in PACKAGES}


_version = cache(version)


@cache
def git_sha() -> str | None:
    """The commit of the source that runs, with `+` where files differ from it; None outside a checkout.

    As at the first call of the process: what it has imported does not change.
    """
    here = Path(dsbench.__file__).parent.parent
    if not (here / ".git").exists():
        return None
    command = ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def source_sha256() -> str:
    """The SHA-256 of the source that a result is made by: modules of COMPUTING but SHOWING, by name and content.

    Two results of one run_id can differ where it does. How runs are launched, measured and shown is outside.
    """
    package = Path(dsbench.__file__).parent
    total = hashlib.sha256()
    parts = [package / name for name in COMPUTING]
    files = {path for part in parts for path in ([part] if part.is_file() else part.rglob("*.py"))}
    for path in sorted(files - {package / name for name in SHOWING}):
        content = path.read_bytes()
        total.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return total.hexdigest()


def now() -> str:
    """The time in UTC, to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def n_jobs() -> int | None:
    """How many runs share this machine at once, this one included; None where no sweep of dsbench's says so."""
    text = os.environ.get(N_JOBS, "")
    return int(text) if text.isdecimal() else None


def load_average() -> float:
    """Processes that ran or waited to, on average over the last minute."""
    return os.getloadavg()[0]
