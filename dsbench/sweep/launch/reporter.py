"""A run's view when it is one of a sweep's: it tells the sweep, and keeps what its process says in its own log."""

from __future__ import annotations

import faulthandler
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.run.progress import Progress
from dsbench.sweep.launch.worker import tell
from dsbench.training.history import Epoch

if TYPE_CHECKING:
    from dsbench.run.lock import Owner
    from dsbench.run.plan import Plan
    from dsbench.run.record import Record


class Reporter(Progress):
    """Tells what a Progress would show."""

    def __init__(self) -> None:
        super().__init__("none")

    def started(self, plan: Plan, history: list[Epoch]) -> None:
        """From here on what the process prints, a crash's stack included, goes to the run's log."""
        log = os.open(plan.folder.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        faulthandler.enable()
        epochs = plan.config.train.max_epochs
        tell({"kind": "started", "folder": str(plan.folder.path), "log": str(plan.folder.log_file), "epochs": epochs})

    def waiting(self, folder: Path, owner: Owner | None) -> None:
        """Another sweep trains this run."""
        tell({"kind": "waiting", "owner": str(owner or "another process")})

    def epoch(self, row: Epoch) -> None:
        """One epoch."""
        super().epoch(row)
        tell({"kind": "epoch", "epoch": row["epoch"], "val_acc": row["val_acc"]})

    def recorded(self, plan: Plan, record: Record) -> None:
        """Another sweep has trained this run."""
        self.finished(plan, record)

    def finished(self, plan: Plan, record: Record) -> None:
        """The result."""
        assert record.result is not None
        tell({"kind": "finished", "status": str(record.status), "test_acc": record.result.test_acc})

    def _print(self, what: Any) -> None:
        """Nothing: the sweep shows it."""
