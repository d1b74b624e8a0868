"""Published claims, a file a study in published/, and the runs by which they are decided."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.network.cost import TOTALS
from dsbench.results.query import checked
from dsbench.results.records import labels, plain, record
from dsbench.run.record import Label, Record

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent / "published"
BOUNDS = ("exactly", "at_least", "at_most", "above", "below", "between", "logged")
_LAST = ("epochs", "best_val_acc", "val_acc", "val_loss", "train_acc", "train_loss")  # of a row, where training ended
_DIGITS = 9  # of the ends about a digit of a log: a sum of decimals has more
_FIGURE = re.compile(r"(?P<model>\w+)\.(?P<metric>[\w/]+)(@(?P<epoch>\d+))?")


@dataclass(frozen=True)
class Figure:
    """A metric of one of the study's models, at an `epoch` where it depends on training."""

    model: str
    metric: str
    epoch: int | None = None

    @classmethod
    def of(cls, text: str, epoch: int | None) -> Figure:
        """`cnn.val_acc` or `cnn.val_acc@15`; `epoch` holds where the text names none."""
        match = _FIGURE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not MODEL.METRIC or MODEL.METRIC@EPOCH")
        own = match["epoch"]
        return cls(match["model"], match["metric"], int(own) if own else epoch)


@dataclass(frozen=True)
class Quantity:
    """A figure, its ratio to another (`over`, of counts and of what is measured apart), or its difference (`minus`)."""

    figure: Figure
    over: Figure | None = None
    minus: Figure | None = None

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of which it is made."""
        return tuple(figure for figure in (self.figure, self.over, self.minus) if figure is not None)


@dataclass(frozen=True)
class Claim:
    """A study's claim, its own measurement, and the bound that decides it; where none can, `untested` says why.

    `data` is the data set that it speaks of, where that is not the study's.
    """

    text: str
    study: str
    bound: Bound | None
    untested: str = ""
    data: str | None = None


@dataclass(frozen=True)
class Bound:
    """The range in which a quantity, less that of `compared_to` if there is one, must be for a claim to hold.

    `low` and `high` are its ends, `strict` says that the ends themselves are outside, `logged` that they lie about a
    digit of the study's own log, of one run.
    """

    quantity: Quantity
    compared_to: Quantity | None
    low: float
    high: float
    strict: bool
    logged: bool = False

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures that decide it."""
        return self.quantity.figures + (self.compared_to.figures if self.compared_to else ())

    @property
    def weights(self) -> tuple[tuple[int, Figure], ...]:
        """The figures of which it is the sum, each with its sign; what it is divided by is not among them."""
        signed = [(1, self.quantity)] + ([(-1, self.compared_to)] if self.compared_to else [])
        return tuple(
            (sign * part, figure)
            for sign, quantity in signed
            for part, figure in ((1, quantity.figure), (-1, quantity.minus))
            if figure is not None
        )


@dataclass(frozen=True)
class Published:
    """A study's claims; `title` says what it compares, `data` the data set that it trains on."""

    study: str
    title: str
    data: str
    claims: tuple[Claim, ...]


def studies() -> list[str]:
    """The studies with a file of claims."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def published(study: str) -> Published:
    """The claims of `study`. Raises InputError for an unknown one."""
    import yaml

    entry = yaml.safe_load((FOLDER / f"{checked(study, studies(), 'study')}.yaml").read_text(encoding="utf-8"))
    return Published(study, entry["title"], entry["data"], tuple(map(_claim, entry["claims"])))


def _claim(entry: dict[str, Any]) -> Claim:
    bound = None if "untested" in entry else _bound(entry)
    return Claim(entry["claim"], entry["study"], bound, entry.get("untested", ""), entry.get("data"))


def _bound(entry: dict[str, Any]) -> Bound:
    epoch = entry.get("epoch")
    (bound,) = (name for name in BOUNDS if name in entry)
    ends = [float(end) for end in (entry[bound] if bound == "between" else [entry[bound]])]  # YAML takes 1.2e6 for text
    if bound == "logged":
        ends = [round(ends[0] + side * entry["within"], _DIGITS) for side in (-1, 1)]
    low = float("-inf") if bound in ("at_most", "below") else ends[0]
    high = float("inf") if bound in ("at_least", "above") else ends[-1]
    compared_to = entry.get("compared_to")
    return Bound(
        quantity=_quantity(entry, epoch),
        compared_to=_quantity(compared_to, epoch) if compared_to else None,
        low=low,
        high=high,
        strict=bound in ("above", "below"),
        logged=bound == "logged",
    )


def _quantity(entry: dict[str, Any], epoch: int | None) -> Quantity:
    parts = {name: Figure.of(entry[name], epoch) for name in ("figure", "over", "minus") if name in entry}
    return Quantity(parts["figure"], parts.get("over"), parts.get("minus"))


class NotTestedError(Exception):
    """Why a claim cannot be decided by the runs that there are."""


@dataclass(frozen=True)
class Run:
    """A run of one of the study's networks; its metrics.csv and its record are read when they are needed.

    `costs` are by TOTALS, `most_epochs` those after which training would have ended, had it not stopped early, `last`
    is what the row says of the last epoch.
    """

    label: Label
    metrics_file: Path
    cell_id: str
    status: str
    data: str | None
    seed: int
    costs: Mapping[str, float]
    most_epochs: float
    last: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Mapping[str, Any], label: Label, metrics_file: Path) -> Run:
        """The run of a row of a table of runs."""
        costs = {name: row[name] for name in TOTALS if row.get(name) is not None}
        most_epochs = row["stop.target"] if row.get("stop.by") == "epochs" else row["epochs"]
        last = {name: row[name] for name in _LAST if row.get(name) is not None}
        return cls(
            label, metrics_file, row["cell_id"], row["status"], row["data"], row["seed"], costs, most_epochs, last
        )

    @property
    def model(self) -> str | None:
        """The network's name in the study."""
        return self.label.model

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """The rows of metrics.csv. Raises NotTestedError where there are none."""
        rows = []
        if self.metrics_file.exists():
            with self.metrics_file.open(encoding="utf-8", newline="") as file:
                rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        if not rows:
            raise NotTestedError(f"no course of training is kept of {self.model}, seed {self.seed}")
        return rows

    @cached_property
    def record(self) -> Record:
        """Its result.json, with the cell of its row."""
        folder = self.metrics_file.parent
        return replace(record(folder.parent.parent, folder.name), cell_id=self.cell_id)

    def at_epoch(self, figure: Figure) -> float:
        """The figure's metric at its epoch. Where training stopped early before it, the last epoch counts.

        `epochs` are how many were run until then. Raises NotTestedError where fewer were asked for.
        """
        assert figure.epoch is not None
        if figure.epoch > self.most_epochs:
            raise NotTestedError(f"{figure.model} was trained for {self.most_epochs:g} epochs, not {figure.epoch}")
        if figure.epoch >= self.last.get("epochs", math.inf) and figure.metric in self.last:
            return float(self.last[figure.metric])
        until = self.history[: figure.epoch]
        if figure.metric == "epochs":
            return len(until)
        if figure.metric == "best_val_acc":
            return max(row["val_acc"] for row in until)
        return until[-1][figure.metric]


def study_runs(study: str, table: pd.DataFrame, outputs: Path) -> list[Run]:
    """The runs of `study` in a table of runs, whose folders lie under `outputs`."""
    return [
        Run.of(row, label, outputs / "runs" / row["run_id"] / "metrics.csv")
        for row, label in zip(plain(table), labels(table), strict=True)
        if label.study == study and label.model
    ]


def changed(labels: Iterable[Label]) -> list[str]:
    """The labels of changed recipes in words, each once."""
    return sorted({str(label) for label in labels if label.modified})


def of_model(model: str, runs: Sequence[Run], statuses: Sequence[str]) -> list[Run]:
    """The runs of a model's only variant that ended in one of `statuses`. Raises NotTestedError."""
    own = [run for run in runs if run.model == model and run.status in statuses]
    variants = {run.cell_id for run in own}
    if not own:
        raise NotTestedError(f"no finished run of {model}")
    if len(variants) > 1:
        raise NotTestedError(f"{len(variants)} variants of {model} were trained; name a sweep with one of them")
    return own
