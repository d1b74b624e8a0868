"""The record of a run, result.json: what the run is, how it ended and what it came to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, TypeVar

from dsbench import provenance
from dsbench.measure.record import KEYS
from dsbench.network.cost import TOTALS

# The sections of the configuration that a record's settings are of: those that describe the network, and the recipe.
NETWORK = ("model", "arch", "block", "slots")
RECIPE = ("optimizer", "schedule", "train", "stop", "data")


class Status(StrEnum):
    """How a run is or ended. The last two are of no record, only of a table of runs."""

    DONE = "done"
    COLLAPSED = "collapsed"  # trained to the end and no better than the answer of the largest class
    DIVERGED = "diverged"  # its loss is no number
    FAILED = "failed"  # ended by an error
    KILLED = "killed"  # its process is gone
    TIMEOUT = "timeout"  # ran longer than timeout= allows
    INTERRUPTED = "interrupted"  # asked to stop; goes on from its last checkpoint
    RUNNING = "running"
    MISSING = "missing"  # planned, without a record
    UNREADABLE = "unreadable"  # its result.json is damaged


FINAL = frozenset({Status.DONE, Status.DIVERGED, Status.COLLAPSED})  # results, which are not trained again
BROKEN = frozenset(
    {Status.FAILED, Status.KILLED, Status.TIMEOUT}
)  # ended without a result; trained again when asked for


@dataclass(frozen=True)
class Label:
    """The experiment that a run follows (`mnist_7800/cnn`), and the keys in which it departs from it."""

    experiment: str | None = None
    modified: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str | None) -> Label:
        """The label that is written as `text`, all that older records and plan.csv have of it."""
        experiment, _, keys = (text or "").removesuffix(")").partition(" (modified: ")
        return cls(experiment or None, tuple(keys.split(", ")) if keys else ())

    @property
    def study(self) -> str | None:
        """The study that the experiment belongs to."""
        return self.experiment.partition("/")[0] if self.experiment else None

    @property
    def model(self) -> str | None:
        """What the study calls the network; None where the experiment belongs to no study."""
        return (self.experiment or "").partition("/")[2] or None

    def __str__(self) -> str:
        if self.experiment is None:
            return ""
        return f"{self.experiment} (modified: {', '.join(self.modified)})" if self.modified else self.experiment


@dataclass(frozen=True)
class Requested:
    """The budget that the network was fitted to.

    `kind` is params, macs, acts, latency_ms or train_seconds_per_epoch, `target` and `actual` are in its unit,
    `residual` is (actual - target) / target, `scope` total or conv, `match` the family whose cost was the target.
    """

    kind: str | None = None
    scope: str | None = None
    match: str | None = None
    target: float | None = None
    actual: float | None = None
    residual: float | None = None


@dataclass(frozen=True)
class Stop:
    """When training ends: after `target` epochs, MACs of training, or seconds, as `by` says."""

    by: str | None = None
    target: float | None = None


@dataclass(frozen=True)
class Result:
    """What a run came to. Accuracies are shares of 1; null is what a diverged run has none of.

    train_acc, train_loss, val_acc and val_loss are those of the last epoch, best_val_acc is that of `best_epoch`,
    counted from 1. test_class_acc is by true class, test_balanced_acc its mean over the classes that have images.
    train_seconds are those of all epochs, train_macs the multiply-accumulates of all images' forward and backward
    passes. Of one epoch at the end of which training is cut short the part counts as one of `epochs`.
    """

    train_acc: float | None = None
    train_loss: float | None = None
    val_acc: float | None = None
    val_loss: float | None = None
    best_val_acc: float | None = None
    best_epoch: int | None = None
    test_acc: float | None = None
    test_loss: float | None = None
    test_class_acc: list[float] | None = None
    test_balanced_acc: float | None = None
    epochs: int | None = None
    train_seconds: float | None = None
    train_macs: int | None = None
    images_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """A run: what it is, in which environment it was made, and, once it has ended, what it came to.

    None is what does not apply, what is not known yet, and what an older record does not say.
    """

    run_id: str  # twelve hexadecimal digits, by all that decides the result
    cell_id: str | None = None  # the same for all seeds

    # What it is
    model: str | None = None
    arch: str | None = None
    block: str | None = None  # of the separable slots, where there is one
    data: str | None = None
    classes: int | None = None
    label: Label = Label()  # study, experiment and modified on disk
    width: int | None = None
    fine_width: int | None = None
    kernel: int | list[int] | None = None  # of the slots, a list where they differ
    seed: int | None = None
    costs: Mapping[str, int | float] = field(default_factory=dict)  # by TOTALS, for one image (see network.cost)
    split: str | None = None
    test_weights: str | None = None  # best or last: of which epoch the weights are that were tested
    precision: str | None = None
    memory_format: str | None = None
    device: str | None = None
    threads: int | None = None
    ranks: int | None = None  # processes that trained it together
    requested: Requested | None = None
    stop: Stop | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # keys of the configuration (optimizer.lr) that decide

    # How it was made
    status: Status
    attempts: int | None = None
    versions: Mapping[str, str] | None = None  # of Python and packages
    git_sha: str | None = None  # of dsbench, with + where the working tree was changed
    source_sha256: str | None = None  # of the code that computes
    n_jobs: int | None = None  # runs at once in the sweep that made it
    started: str | None = None  # ISO 8601 in UTC, of the first attempt
    finished: str | None = None
    error: str | None = None  # one line, of a run that ended without a result
    remark: str | None = None  # on a result that is not to be taken for what it looks like: undertrained

    result: Result | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)  # see dsbench.measure.record
    more: Mapping[str, Any] = field(default_factory=dict)  # what this version does not know, kept as it is

    @classmethod
    def of(cls, plain: Any) -> Record:
        """The record that result.json holds as `plain`. Raises ValueError where that is not the record of a run."""
        if not isinstance(plain, Mapping) or not {"run_id", "status"} <= plain.keys():
            raise ValueError("not the record of a run")
        _check(plain)
        if "experiment" in plain:
            label = Label(plain["experiment"], tuple(plain.get("modified") or ()))
        else:
            label = Label.read(plain.get("study"))
        measured = {name: plain[name] for name in _MEASURED if name in plain}
        if isinstance(measured.get("roofline"), Mapping):  # which older records have in words too
            measured["roofline"] = {key: value for key, value in measured["roofline"].items() if key != "verdict"}
        return cls(
            **{name: plain[name] for name in _SAME if name in plain},
            status=Status(plain["status"]),
            label=label,
            costs={name: plain[name] for name in TOTALS if name in plain},
            requested=_part(Requested, plain.get("requested")),
            stop=_part(Stop, plain.get("stop")),
            settings=plain.get("settings") or {},
            result=_part(Result, plain) if _RESULT & plain.keys() else None,
            measured=measured,
            more={name: plain[name] for name in plain if name not in _KNOWN},
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """The record in the text of result.json. Raises ValueError for any other text."""
        return cls.of(json.loads(text))

    def plain(self) -> dict[str, Any]:
        """As in result.json, in its order: facts, how it was made, its result, what was measured of it."""
        out: dict[str, Any] = {}
        for name in _ORDER:
            if name == "label":
                text = str(self.label) or None
                out |= {"study": text, "experiment": self.label.experiment, "modified": list(self.label.modified)}
            elif name == "costs":
                out |= self.costs
            elif name == "status":
                out[name] = str(self.status)
            else:
                value = getattr(self, name)
                out[name] = asdict(value) if isinstance(value, (Requested, Stop)) else value
        out |= {name: value for name in _RARE if (value := getattr(self, name)) is not None}
        out |= asdict(self.result) if self.result is not None else {}
        return {**out, **self.measured, **self.more}

    def to_json(self) -> str:
        """The text of result.json; numbers that JSON does not have (nan, inf) become null."""
        return json.dumps(_finite(self.plain()), indent=2) + "\n"

    @property
    def ending(self) -> str:
        """How it ended: its status, with the remark where there is one."""
        return f"{self.status}, {self.remark}" if self.remark else str(self.status)

    @property
    def stale(self) -> bool:
        """Whether other code than this made the record."""
        return self.source_sha256 != provenance.source_sha256()

    def is_replaced(self, force: bool, rerun: str) -> bool:
        """Whether the run is trained again from the start, instead of its result taken up or its training continued."""
        return (force and self.status in FINAL) or (rerun == "stale" and self.stale)

    def stays(self, force: bool, rerun: str) -> bool:
        """Whether it holds a result that is not trained again."""
        return self.status in FINAL and not self.is_replaced(force, rerun)

    def ended(self, status: Status, error: str) -> Record:
        """The same, ended now without a result."""
        return replace(self, status=status, error=error, finished=provenance.now())


_RARE = ("error", "remark")  # which a record has on disk where there is one
_ENDS = (*_RARE, "result", "measured", "more")
_ORDER = tuple(field.name for field in fields(Record) if field.name not in _ENDS)
_APART = {"label", "costs", "requested", "stop", "settings", "status"}
_SAME = (*(name for name in _ORDER if name not in _APART), *_RARE)
_RESULT = {field.name for field in fields(Result)}
_MEASURED = (*KEYS, "measured_on")
_KNOWN = {*_ORDER, *_RARE, "study", "experiment", "modified", *TOTALS, *_RESULT, *_MEASURED} - {"label", "costs"}

_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    **{name: ((int, float) if name == "intensity" else int, "a number") for name in TOTALS},
    **{
        part.name: (int, "a whole number") if part.type == "int | None" else ((int, float), "a number")
        for part in (*fields(Record), *fields(Result))
        if part.type in ("int | None", "float | None")
    },
    **dict.fromkeys(("requested", "stop", "settings", "measured_on", "latency_ms", "train_step_ms"), (Mapping, "keys")),
}


def _check(plain: Mapping[str, Any]) -> None:
    """Raise ValueError where a value is of another kind than its field."""
    for name, (kind, words) in _KINDS.items():
        value = plain.get(name)
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"{name} is {value!r} and should be {words}")


Part = TypeVar("Part", Requested, Stop, Result)


def _part(kind: type[Part], plain: Any) -> Part | None:
    """What `plain` holds of the fields of `kind`."""
    if plain is None:
        return None
    return kind(**{field.name: plain[field.name] for field in fields(kind) if field.name in plain})


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def width(width: int | None, fine_width: int | None) -> str:
    """A width in words, with the fine width where one was set: 16, or 31 (fine 69)."""
    return f"{width}" if fine_width is None else f"{width} (fine {fine_width})"
