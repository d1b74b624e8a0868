"""What surrounds a run: versions, the commit, the time, other processes."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import dsbench

PACKAGES = ("dsbench", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "wandb", "numpy")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that can change a result."""
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def git_sha() -> str | None:
    """The commit of the source that runs, with `+` where files differ from it; None outside a checkout."""
    here = Path(dsbench.__file__).parent.parent
    if not (here / ".git").exists():
        return None
    command = ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def now() -> str:
    """The time in UTC, to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def load_average() -> float | None:
    """Processes that ran or waited to, on average over the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
