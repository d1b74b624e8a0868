"""Runs of a study, and the figures that claims speak of in each."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dsbench.claims.published import Figure
from dsbench.network.cost import TOTALS
from dsbench.run.folder import RunFolder

TIMES = ("epoch_seconds", "train_seconds", "images_per_second")
APART = ("latency_ms", "train_step_ms", "peak_memory_bytes")  # measured once the runs have ended, of some of them


class NotTestedError(Exception):
    """Why a claim cannot be decided by the runs that there are."""


@dataclass(frozen=True)
class Run:
    """One run: its row in a table of runs, and its folder's metrics.csv, read when it is asked for."""

    row: Mapping[str, Any]
    metrics_file: Path

    @property
    def model(self) -> str:
        """The study's model, `cnn` of `mnist_7800/cnn (modified: ...)`."""
        return str(self.row["study"]).split(" ")[0].split("/")[1]

    @property
    def most_epochs(self) -> float:
        """The epochs after which training would have ended, had it not stopped early."""
        return self.row["stop.target"] if self.row.get("stop.by") == "epochs" else self.row["epochs"]

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """The rows of metrics.csv."""
        with self.metrics_file.open(encoding="utf-8", newline="") as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """Its result.json."""
        return RunFolder(self.metrics_file.parent).result() or {}

    def settled(self, figure: Figure) -> bool:
        """Whether what was measured of it varied little enough; memory does not vary."""
        found: Any = self.record
        for key in figure.metric.split("/"):
            found = found.get(key, {})
        return not isinstance(found, Mapping) or bool(found.get("settled"))

    def value(self, figure: Figure) -> float:
        """The figure's metric. Where training stopped early before its epoch, the last epoch counts."""
        if figure.metric in TOTALS:
            return self.row[figure.metric]
        if figure.epoch is None or figure.kind in (*TIMES, *APART):
            found = self._result(figure.metric)
            if found is None:
                raise NotTestedError(f"no {figure.metric} of {figure.model} was measured")
            return found
        if figure.epoch > self.most_epochs:
            raise NotTestedError(f"{figure.model} was trained for {self.most_epochs:g} epochs, not {figure.epoch}")
        until = self.history[: figure.epoch]
        if figure.metric == "best_val_acc":
            return max(row["val_acc"] for row in until)
        return until[-1][figure.metric]

    def _result(self, metric: str) -> float | None:
        if metric == "epoch_seconds":
            return self.row["train_seconds"] / self.row["epochs"]
        return self.row.get(metric)


def study_runs(study: str, rows: Iterable[Mapping[str, Any]], outputs: Path) -> list[Run]:
    """The runs of `study` among the rows of a table of runs."""
    return [
        Run(row, outputs / "runs" / row["run_id"] / "metrics.csv")
        for row in rows
        if str(row["study"]).startswith(f"{study}/")
    ]
