"""Measurements as a run's record holds them: nested for JSON, flat for tables and trackers."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any

from dsbench import provenance

if TYPE_CHECKING:  # whoever only reads records needs nothing that measures
    from dsbench.measure.bench import Measured
    from dsbench.measure.timing import Timing
    from dsbench.training.device import Compute

# For tables and trackers; `chips` holds by name what dsbench.chips.measure.on_chips returns of a network. Records of
# earlier versions have ONNX Runtime in `onnx` and among the backends of `latency_ms`.
FIGURES = ("latency_ms", "train_step_ms", "peak_memory_bytes", "compile_seconds", "onnx", "chips")
KEYS = (*FIGURES, "roofline")  # all that is measured
PLACE = ("device", "identity", "threads", "precision", "memory_format", "versions")  # of measured_on: what times need
PARTS = ("total", "forward", "backward", "optimizer")  # of a training step
_BEYOND = 2**63  # what whole numbers of a table are below


def record(measured: Measured, compute: Compute, load_average: float | None) -> dict[str, Any]:
    """Latencies by batch size and backend, the training step with its parts, its memory, and where.

    `load_average` tells how busy the machine was with other things just before.
    """
    from dsbench.measure.identity import identity

    seconds = {f"batch_{batch}": value for batch, value in measured.forward.compile_seconds.items()}
    return {
        **times([measured]),
        "peak_memory_bytes": measured.peak_memory_bytes,
        **({"compile_seconds": seconds} if seconds else {}),
        "measured_on": {
            "device": compute.name,
            "identity": identity(compute.device.type),
            "threads": compute.threads,
            "precision": compute.precision,
            "memory_format": compute.memory_format,
            "load_average": load_average,
            "versions": provenance.versions(),
            "time": provenance.now(),
        },
    }


def new_session() -> str:
    """A unique name for networks that take turns; it begins with the time, and so sorts by it."""
    return f"{provenance.now()} {secrets.token_hex(4)}"


def times(repeats: Sequence[Measured]) -> dict[str, Any]:
    """The latencies and the training step of a network that was measured in one process or in several.

    A time is its median and interquartile range in milliseconds over the rounds of all, whether these settled, the
    session of the last, and `repeats`: for each process its session, in which it took turns with other networks, when
    that began, and the geometric mean of its rounds in milliseconds.
    """
    sessions, first = [measured.session for measured in repeats], repeats[0]
    return {
        "latency_ms": {
            f"batch_{batch}": {
                backend: time_of([measured.forward.latency[batch][backend] for measured in repeats], sessions)
                for backend in backends
            }
            for batch, backends in first.forward.latency.items()
        },
        "train_step_ms": {"batch_size": first.step.batch_size}
        | {part: time_of([getattr(measured.step, part) for measured in repeats], sessions) for part in PARTS},
    }


def time_of(timings: Sequence[Timing], sessions: Sequence[str]) -> dict[str, Any]:
    """A time that was measured in one process or in several, each with its session; see `times`."""
    pooled = timings[0].over(timings)
    return {
        "median": pooled.median_ms,
        "iqr": pooled.iqr_ms,
        "settled": pooled.settled,
        "session": sessions[-1],
        "repeats": [
            {"session": session, "at": session.partition(" ")[0], "ms": float(f"{timing.mean_ms:.6g}")}
            for session, timing in zip(sessions, timings, strict=True)
        ],
    }


def check(measured: Mapping[str, Any]) -> None:
    """Raise ValueError for what `measured`, a record of measurements as it was read, cannot be.

    A time is a number, or keys of which `median` is one; only these and where they were measured are looked into, for
    whoever reads another section does so by itself.
    """
    for section in ("latency_ms", "train_step_ms", "peak_memory_bytes"):
        if measured.get(section) is not None:
            _check_times(section, measured[section], keys=section != "peak_memory_bytes")
    chips = measured.get("chips")
    if chips is not None:
        _due("chips", chips, isinstance(chips, Mapping), "keys")
        for chip, section in chips.items():
            _due(f"chips/{chip}", section, isinstance(section, Mapping), "keys")
            for precision, said in section.items():
                if isinstance(said, Mapping) and said.get("latency_ms") is not None:
                    _check_times(f"chips/{chip}/{precision}/latency_ms", said["latency_ms"])
    place = measured.get("measured_on")
    if place is not None:
        _due("measured_on", place, isinstance(place, Mapping), "keys")
        for name, kind in (("device", str), ("precision", str), ("time", str), ("identity", Mapping)):
            _due(f"measured_on/{name}", place.get(name), isinstance(place.get(name), (kind, NoneType)), kind.__name__)
        for name in ("threads", "load_average"):
            _due(f"measured_on/{name}", place.get(name), place.get(name) is None or _is_size(place[name]), "a number")


def _check_times(path: str, value: Any, keys: bool = False) -> None:
    _due(
        path,
        value,
        isinstance(value, Mapping) if keys else isinstance(value, Mapping) or _is_size(value),
        "a time or keys",
    )
    if not isinstance(value, Mapping):
        return
    if "median" not in value:
        for key, inner in value.items():
            if inner is not None:
                _check_times(f"{path}/{key}", inner)
        return
    for name in ("median", "iqr"):
        _due(f"{path}/{name}", value.get(name, 0), _is_size(value.get(name, 0)), "a number")
    _due(f"{path}/session", value.get("session"), isinstance(value.get("session", ""), str), "a text")
    rounds, repeats = value.get("rounds_ms") or [], value.get("repeats") or []
    _due(f"{path}/rounds_ms", rounds, isinstance(rounds, list) and all(map(_is_size, rounds)), "numbers")
    _due(f"{path}/repeats", repeats, isinstance(repeats, list) and all(map(_is_repeat, repeats)), "repeats")


def _is_repeat(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and all(isinstance(value.get(name), str) for name in ("session", "at"))
        and _is_size(value.get("ms"))
    )


def _is_size(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0 and fits(value)


def fits(value: float) -> bool:
    """Whether a table can hold the number: a finite one, of 64 bits where it is whole."""
    return -_BEYOND <= value < _BEYOND if type(value) is int else math.isfinite(value)


def _due(path: str, value: Any, holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{path} is {repr(value)[:40]} and should be {what}")


def flat(measured: Mapping[str, Any], spread: bool = False) -> dict[str, Any]:
    """The medians and other numbers of a record by keys such as latency_ms/batch_1/torch.

    With `spread` each median has its interquartile range beside it, and whether it settled.
    """
    out: dict[str, Any] = {}
    for key, value in _leaves({key: measured[key] for key in FIGURES if key in measured}):
        if isinstance(value, Mapping):
            out[key] = value["median"]
            if spread:
                out |= {f"{key}/iqr": value.get("iqr"), f"{key}/settled": value.get("settled")}
        elif not isinstance(value, str):
            out[key] = value
    return out


def _leaves(measured: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Every time, number and text, by its path."""
    out: list[tuple[str, Any]] = []
    for key, value in measured.items():
        if isinstance(value, Mapping) and "median" not in value:
            out += _leaves(value, f"{prefix}{key}/")
        else:
            out.append((f"{prefix}{key}", value))
    return out
