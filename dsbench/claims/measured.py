"""What runs say about the figures that claims speak of."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dsbench.claims.published import Claim, Figure, Quantity
from dsbench.network.cost import TOTALS
from dsbench.run.status import FINAL

TIMES = ("epoch_seconds", "train_seconds", "images_per_second", "latency_ms", "train_step_ms", "peak_memory_bytes")
_SAME = ("device", "threads", "precision")  # what two times must share to be compared


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

    def value(self, figure: Figure) -> float:
        """The figure's metric. Where training stopped early before its epoch, the last epoch counts."""
        if figure.metric in TOTALS:
            return self.row[figure.metric]
        if figure.epoch is None or figure.metric.split("/")[0] in TIMES:
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


@dataclass(frozen=True)
class Measured:
    """A quantity over seeds: its value for each, one alone where it depends on the network only; runs left out."""

    values: tuple[float, ...]
    exact: bool
    left_out: int


def study_runs(study: str, rows: Iterable[Mapping[str, Any]], outputs: Path) -> list[Run]:
    """The runs of `study` among the rows of a table of runs."""
    return [
        Run(row, outputs / "runs" / row["run_id"] / "metrics.csv")
        for row in rows
        if str(row["study"]).startswith(f"{study}/")
    ]


def measured(claim: Claim, runs: Sequence[Run]) -> Measured:
    """The claim's quantity, seed by seed, less what it is compared to. Raises NotTestedError.

    What is counted is known of runs that have not ended too.
    Runs are paired by seed; a seed of which one of the runs is not done, because it collapsed or diverged, is left out
    and counted.
    """
    counted = all(figure.metric in TOTALS for figure in claim.figures)
    known = runs if counted else [run for run in runs if run.row["status"] in FINAL]
    models = {figure.model: _cell(figure.model, known) for figure in claim.figures}
    if counted:
        return Measured((_whole(claim, {name: next(iter(cell.values())) for name, cell in models.items()}),), True, 0)
    if any(figure.metric.split("/")[0] in TIMES for figure in claim.figures):
        _check_conditions(models)
    seeds = set.intersection(*(set(cell) for cell in models.values()))
    done = sorted(seed for seed in seeds if all(cell[seed].row["status"] == "done" for cell in models.values()))
    if not done:
        raise NotTestedError("no seed is done in all of the runs that it speaks of")
    values = [_whole(claim, {name: cell[seed] for name, cell in models.items()}) for seed in done]
    return Measured(tuple(values), False, len(seeds) - len(done))


def _cell(model: str, runs: Sequence[Run]) -> dict[int, Run]:
    """The runs of a model by seed; of several cells there is none to choose."""
    own = [run for run in runs if run.model == model]
    cells = {run.row["cell_id"] for run in own}
    if not own:
        raise NotTestedError(f"no finished run of {model}")
    if len(cells) > 1:
        raise NotTestedError(f"{len(cells)} variants of {model} were trained; name a sweep with one of them")
    return {int(run.row["seed"]): run for run in own}


def _check_conditions(models: Mapping[str, Mapping[int, Run]]) -> None:
    rows = [run.row for cell in models.values() for run in cell.values()]
    for name in _SAME:
        if len({row[name] for row in rows}) > 1:
            raise NotTestedError(f"times of more than one {name}")


def _whole(claim: Claim, runs: Mapping[str, Run]) -> float:
    value = _value(claim.quantity, runs)
    return value - _value(claim.compared_to, runs) if claim.compared_to else value


def _value(quantity: Quantity, runs: Mapping[str, Run]) -> float:
    value = runs[quantity.figure.model].value(quantity.figure)
    if quantity.over is not None:
        value /= runs[quantity.over.model].value(quantity.over)
    if quantity.minus is not None:
        value -= runs[quantity.minus.model].value(quantity.minus)
    return value
