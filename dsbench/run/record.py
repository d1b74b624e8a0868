"""The record of a run, result.json: what the run is, how it ended and what it came to."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from dsbench import provenance
from dsbench.budget.request import KINDS, ON_CHIPS, Requested
from dsbench.config.schema import STOP_UNITS
from dsbench.measure.record import KEYS, fits
from dsbench.measure.record import check as check_measured
from dsbench.network.cost import TOTALS
from dsbench.quantities import QUANTITIES
from dsbench.training.stop import Stop

# The sections of the configuration whose settings are the recipe's; the others describe the network.
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

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Label:
        """The label that result.json holds as `plain`, of older records in words alone."""
        modified = tuple(plain.get("modified") or ())
        for key in modified:
            _check({"modified": key}, {"modified": str})
        if "experiment" in plain:
            return cls(plain["experiment"], modified)
        return cls.read(plain.get("study"))

    @property
    def study(self) -> str | None:
        """The study that the experiment belongs to."""
        return self.experiment.partition("/")[0] if self.experiment else None

    @property
    def model(self) -> str | None:
        """What the study calls the network; None where the experiment belongs to no study."""
        return (self.experiment or "").partition("/")[2] or None

    def plain(self) -> dict[str, Any]:
        """As result.json has it, `study` being the whole in words."""
        return {"study": str(self) or None, "experiment": self.experiment, "modified": list(self.modified)}

    def __str__(self) -> str:
        if self.experiment is None:
            return ""
        return f"{self.experiment} (modified: {', '.join(self.modified)})" if self.modified else self.experiment


@dataclass(frozen=True)
class Result:
    """What a run came to. Accuracies are shares of 1; null is what a diverged run has none of.

    train_acc, train_loss, val_acc and val_loss are those of the last epoch, best_val_acc is that of `best_epoch`,
    counted from 1. test_class_acc is by true class, null for one without test images; test_balanced_acc is
    the mean of the others.
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
    test_class_acc: list[float | None] | None = None
    test_balanced_acc: float | None = None
    epochs: int | None = None
    train_seconds: float | None = None
    train_macs: int | None = None
    images_per_second: float | None = None


def short_label(
    run_id: str, model: str | None, width: int | None, fine_width: int | None, seed: int | None = None
) -> str:
    """What people call a run beside others, as `dwsep w8 s0` or `hybrid w31/69 s0`; without a seed, a cell.

    Other runs may be called the same. Without a model, as of an unreadable record, it is the run_id.
    """
    if model is None:
        return run_id
    widths = "/".join(str(width) for width in (width, fine_width) if width is not None)
    return " ".join((model, *([f"w{widths}"] if widths else []), *([] if seed is None else [f"s{seed}"])))


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
    class_names: list[str] | None = None  # in the order of their labels, where the set has names for them
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
    graph: bool | None = None  # whether its steps were captured as a CUDA graph
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
    fused: int | None = None  # runs trained as one program, this one included
    started: str | None = None  # ISO 8601 in UTC, of the first attempt
    finished: str | None = None
    error: str | None = None  # one line, of a run that ended without a result
    remark: str | None = None  # on a result that is not to be taken for what it looks like: undertrained

    result: Result | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)  # see dsbench.measure.record
    more: Mapping[str, Any] = field(default_factory=dict)  # what this version does not know, kept as it is

    @classmethod
    def of(cls, plain: Any) -> Record:
        """The record that result.json holds as `plain`.

        Raises ValueError where that is not the record of a run, and for a value of which a table, or a verdict, could
        make nothing: of another type than is written there, too large for 64 bits, no number.
        """
        if not isinstance(plain, Mapping) or not {"run_id", "status"} <= plain.keys():
            raise ValueError("not the record of a run")
        values = {}
        for name, form in _FORMS.items():
            given = {key: plain[key] for key in form.keys if key in plain}
            if given:
                _check(given, form.keys)
                values[name] = form.read(given)
        return cls(**values, more={key: value for key, value in plain.items() if key not in _KEYS})

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """The record in the text of result.json. Raises ValueError for any other text."""
        try:
            return cls.of(json.loads(text))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    def plain(self) -> dict[str, Any]:
        """As in result.json, in its order: facts, how it was made, its result, what was measured of it."""
        out: dict[str, Any] = {}
        for name, form in _FORMS.items():
            out |= form.write(getattr(self, name))
        return {**out, **self.more}

    def to_json(self) -> str:
        """The text of result.json; numbers that JSON does not have (nan, inf) become null."""
        return json.dumps(_finite(self.plain()), indent=2) + "\n"

    @property
    def short_label(self) -> str:
        """What people call it beside others (see short_label)."""
        return short_label(self.run_id, self.model, self.width, self.fine_width, self.seed)

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


@dataclass(frozen=True)
class _Form:
    """How a field of Record stands in result.json: its keys there with their types, and the way in and out.

    `read` is given what is there of the keys, one at least; `write` the value.
    """

    keys: Mapping[str, Any]
    read: Callable[[Mapping[str, Any]], Any]
    write: Callable[[Any], Mapping[str, Any]]


def _form(name: str, kind: Any) -> _Form:
    """A field of type `kind` as most are written: under its own name, named values as an object."""
    if is_dataclass(kind):
        return _Form(
            {name: Mapping},
            lambda given: None if given[name] is None else _part(kind, given[name]),
            lambda value: {name: None if value is None else asdict(value)},
        )
    return _Form({name: kind}, lambda given: given[name], lambda value: {name: value})


def _part(kind: Any, plain: Mapping[str, Any]) -> Any:
    """What `plain` holds of the fields of `kind`; None is what it does not say. Raises ValueError for what none are."""
    values = {name: plain.get(name) for name in _types(kind)}
    _check(values, _types(kind))
    return kind(**values)


@cache
def _types(kind: type) -> Mapping[str, Any]:
    """The type of each field of a dataclass, without its parameters and the None that stands beside it."""
    return {name: _class(hint) for name, hint in get_type_hints(kind).items()}


def _class(hint: Any) -> Any:
    others = [part for part in get_args(hint) if part is not NoneType]
    if NoneType in get_args(hint) and len(others) == 1:
        return _class(others[0])
    return get_origin(hint) or hint


def _measured(given: Mapping[str, Any]) -> dict[str, Any]:
    """Without the paragraph that older records have beside the numbers of a roofline."""
    check_measured(given)
    return {
        name: {key: number for key, number in value.items() if key != "verdict"}
        if name == "roofline" and isinstance(value, Mapping)
        else value
        for name, value in given.items()
    }


def _settings(given: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = given["settings"] or {}
    for name, value in settings.items():
        if type(value) in (int, float) and not fits(value):
            raise ValueError(f"settings: {name} is {value!r}, which is not a number that a table holds")
    return settings


def _requested(given: Mapping[str, Any]) -> Requested | None:
    requested = None if given["requested"] is None else _part(Requested, given["requested"])
    kinds = KINDS if requested is None or requested.chip is None else ON_CHIPS
    if requested is not None and (requested.kind not in kinds or requested.target is None):
        raise ValueError(f"requested is no budget: {requested.kind} {requested.target}")
    return requested


def _result(given: Mapping[str, Any]) -> Result:
    result = _part(Result, given)
    for number in result.test_class_acc or ():
        if number is not None:
            _check({"test_class_acc": number}, {"test_class_acc": float})
    return result


def _stop(given: Mapping[str, Any]) -> Stop | None:
    stop = None if given["stop"] is None else _part(Stop, given["stop"])
    if stop is not None and (stop.by not in STOP_UNITS or stop.target is None):
        raise ValueError(f"stop is no end of training: {stop.by} {stop.target}")
    return stop


def _unless_none(plain: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """Writes what `plain` makes of a value, and nothing of None."""
    return lambda value: {} if value is None else plain(value)


_LABEL = {"study": str, "experiment": str, "modified": list}
_COSTS = {name: int if QUANTITIES[name].whole else float for name in TOTALS}
_MEASURED = dict.fromkeys((*KEYS, "measured_on"))
# Of each field but `more`, in the order of result.json: by its type, but for those that are written in another way.
_FORMS = {name: _form(name, kind) for name, kind in _types(Record).items() if name != "more"} | {
    "label": _Form(_LABEL, Label.of, Label.plain),
    "class_names": _Form(
        {"class_names": list}, lambda given: given["class_names"], _unless_none(lambda value: {"class_names": value})
    ),
    "costs": _Form(_COSTS, dict, dict),
    "requested": _Form(
        {"requested": Mapping}, _requested, lambda value: {"requested": None if value is None else value.facts()}
    ),
    "stop": replace(_form("stop", Stop), read=_stop),
    "settings": _Form({"settings": Mapping}, _settings, lambda value: {"settings": value}),
    "status": _Form({"status": Status}, lambda given: Status(given["status"]), lambda value: {"status": str(value)}),
    "fused": _Form({"fused": int}, lambda given: given["fused"], _unless_none(lambda value: {"fused": value})),
    "error": _Form({"error": str}, lambda given: given["error"], _unless_none(lambda value: {"error": value})),
    "graph": _Form({"graph": bool}, lambda given: given["graph"], _unless_none(lambda value: {"graph": value})),
    "remark": _Form({"remark": str}, lambda given: given["remark"], _unless_none(lambda value: {"remark": value})),
    "result": _Form(_types(Result), _result, _unless_none(asdict)),
    "measured": _Form(_MEASURED, _measured, dict),
}
_KEYS = frozenset(key for form in _FORMS.values() for key in form.keys)


def _is_whole(value: Any) -> bool:
    return type(value) is int and fits(value)


def _is_kernel(value: Any) -> bool:
    """Whether it is one of a record, or one of a table of runs, where it is text."""
    return isinstance(value, str) or all(map(_is_whole, value if isinstance(value, list) else [value]))


_KINDS: dict[Any, tuple[Callable[[Any], bool], str]] = {
    int: (_is_whole, "a whole number"),
    float: (lambda value: type(value) in (int, float) and fits(value), "a number"),
    str: (lambda value: isinstance(value, str), "a text"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    list: (lambda value: isinstance(value, list), "a list"),
    Mapping: (lambda value: isinstance(value, Mapping), "keys"),
    UnionType: (_is_kernel, "a whole number or several"),
}


def _check(given: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Raise ValueError where a number, a text, a list or keys are due and something else is given."""
    for name, value in given.items():
        due = None if value is None else _KINDS.get(types[name])
        if due is not None and not due[0](value):
            raise ValueError(f"{name} is {_brief(value)} and should be {due[1]}")


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


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
