"""Runs of a study, and the figures that claims speak of in each."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dsbench.claims.published import Figure
from dsbench.run.folder import RunFolder


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
        """The rows of metrics.csv. Raises NotTestedError where there are none."""
        rows = []
        if self.metrics_file.exists():
            with self.metrics_file.open(encoding="utf-8", newline="") as file:
                rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        if not rows:
            raise NotTestedError(f"no course of training is kept of {self.model}, seed {self.row['seed']}")
        return rows

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """Its result.json, with the cell that its row is of."""
        return {**(RunFolder(self.metrics_file.parent).result() or {}), "cell_id": self.row["cell_id"]}

    def at_epoch(self, figure: Figure) -> float:
        """The figure's metric at its epoch. Where training stopped early before it, the last epoch counts.

        `epochs` are how many were run until then. Raises NotTestedError where fewer were asked for.
        """
        assert figure.epoch is not None
        if figure.epoch > self.most_epochs:
            raise NotTestedError(f"{figure.model} was trained for {self.most_epochs:g} epochs, not {figure.epoch}")
        until = self.history[: figure.epoch]
        if figure.metric == "epochs":
            return len(until)
        if figure.metric == "best_val_acc":
            return max(row["val_acc"] for row in until)
        return until[-1][figure.metric]


def study_runs(study: str, rows: Iterable[Mapping[str, Any]], outputs: Path) -> list[Run]:
    """The runs of `study` among the rows of a table of runs."""
    return [
        Run(row, outputs / "runs" / row["run_id"] / "metrics.csv")
        for row in rows
        if str(row["study"]).startswith(f"{study}/")
    ]


def changed(studies: Iterable[str]) -> list[str]:
    """Those of the `study` of runs that say that their recipe is not the study's own, each once."""
    return sorted({str(study) for study in studies if "(modified" in str(study)})


def of_model(model: str, runs: Sequence[Run], statuses: Sequence[str]) -> list[Run]:
    """The runs of a model's only variant that ended in one of `statuses`. Raises NotTestedError."""
    own = [run for run in runs if run.model == model and run.row["status"] in statuses]
    variants = {run.row["cell_id"] for run in own}
    if not own:
        raise NotTestedError(f"no finished run of {model}")
    if len(variants) > 1:
        raise NotTestedError(f"{len(variants)} variants of {model} were trained; name a sweep with one of them")
    return own
