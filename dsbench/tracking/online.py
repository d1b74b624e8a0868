"""Saving the view and the report of a sweep in W&B, each once: what was saved before is replaced."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dsbench.errors import FailureError, InputError
from dsbench.run.folder import write_atomically

if TYPE_CHECKING:
    import wandb_workspaces.reports.v2 as reports
    from wandb_workspaces.workspaces import Workspace


def check_installed() -> None:
    """Raise InputError where the package that saves views is not installed."""
    if find_spec("wandb_workspaces") is None:
        raise InputError("dsbench dashboard --online needs a package: pip install 'dsbench[dashboards]'")


@contextmanager
def saving() -> Iterator[None]:
    """Within, W&B says nothing of its own, and whatever it raises becomes FailureError, one line."""
    try:
        with redirect_stderr(io.StringIO()):
            yield
    except (InputError, FailureError):
        raise
    except Exception as error:
        raise FailureError(f"W&B: {error}") from error


def default_entity() -> str:
    """Whose the login is. Raises FailureError where W&B does not say."""
    import wandb

    found = wandb.Api().default_entity
    if not found:
        raise FailureError("W&B does not say whose the login is; give --entity")
    return str(found)


def save_view(view: Workspace, memory: Path) -> str:
    """Save the view in place of the one that `memory`, a file, says was saved; returns its address."""

    def save(known: dict[str, str]) -> dict[str, str]:
        view._internal_name, view._internal_id = known.get("name", ""), known.get("id", "")
        view.save()
        return {"name": view._internal_name, "id": view._internal_id}

    _replacing(memory, f"view {view.entity}/{view.project}/{view.name}", save)
    return str(view.url)


def save_report(report: reports.Report, memory: Path) -> str:
    """Save the report in place of the one that `memory`, a file, says was saved; returns its address."""

    def save(known: dict[str, str]) -> dict[str, str]:
        report.id = known.get("id", "")
        report.save()
        return {"id": report.id}

    _replacing(memory, f"report {report.entity}/{report.project}/{report.title}", save)
    return str(report.url)


def _replacing(memory: Path, key: str, save: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Save in place of what `memory` knows by `key`; as new where there is none, or none any more."""
    saved = json.loads(memory.read_text(encoding="utf-8")) if memory.exists() else {}
    try:
        found = save(saved.get(key, {}))
    except Exception:
        if key not in saved:
            raise
        found = save({})
    memory.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(memory, json.dumps(saved | {key: found}, indent=1) + "\n")
