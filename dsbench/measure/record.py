"""Measurements as a run's record holds them: nested for JSON, flat for tables and trackers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dsbench import provenance

if TYPE_CHECKING:  # whoever only reads records needs nothing that measures
    from dsbench.measure.bench import Measured
    from dsbench.measure.timing import Timing
    from dsbench.training.device import Compute

FIGURES = ("latency_ms", "train_step_ms", "peak_memory_bytes", "compile_seconds", "onnx")  # for tables and trackers
KEYS = (*FIGURES, "roofline")  # all that is measured
PLACE = ("device", "threads", "precision", "memory_format", "versions")  # of measured_on: what times depend on
PARTS = ("total", "forward", "backward", "optimizer")  # of a training step


def record(measured: Measured, compute: Compute, load_average: float | None) -> dict[str, Any]:
    """Latencies by batch size and backend, the training step with its parts, its memory, the ONNX files, and where.

    A time is its median and interquartile range in milliseconds, the rounds that they are of in their order, whether
    it settled, and the session in which it took turns with other networks: joined with what was measured before, it
    keeps its own. The backends torch and compiled are in the precision of `compute`, torch_fp32 and onnx in fp32,
    onnx_int8 in int8. `load_average` tells how busy the machine was with other things just before.
    """
    forward, step = measured.forward, measured.step
    latency = {
        f"batch_{batch}": {backend: _plain(timing, measured.session) for backend, timing in backends.items()}
        for batch, backends in forward.latency.items()
    }
    seconds = {f"batch_{batch}": value for batch, value in forward.compile_seconds.items()}
    return {
        "latency_ms": latency,
        "train_step_ms": {"batch_size": step.batch_size}
        | {part: _plain(getattr(step, part), measured.session) for part in PARTS},
        "peak_memory_bytes": measured.peak_memory_bytes,
        **({"compile_seconds": seconds} if seconds else {}),
        **({"onnx": measured.onnx} if measured.onnx else {}),
        "measured_on": {
            "device": compute.name,
            "threads": compute.threads,
            "precision": compute.precision,
            "memory_format": "channels_last",
            "load_average": load_average,
            "versions": provenance.versions(),
            "time": provenance.now(),
        },
    }


def flat(measured: Mapping[str, Any], spread: bool = False) -> dict[str, Any]:
    """The medians and other numbers of a record by keys such as latency_ms/batch_1/torch and onnx/int8/bytes.

    With `spread` each median has its interquartile range beside it, and whether it settled.
    """
    out: dict[str, Any] = {}
    for key, value in _leaves({key: measured[key] for key in FIGURES if key in measured}):
        if isinstance(value, Mapping):
            out[key] = value["median"]
            if spread:
                out |= {f"{key}/iqr": value["iqr"], f"{key}/settled": value["settled"]}
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


def _plain(timing: Timing, session: str) -> dict[str, Any]:
    return {
        "median": timing.median_ms,
        "iqr": timing.iqr_ms,
        "rounds_ms": [float(f"{value:.4g}") for value in timing.rounds_ms],
        "settled": timing.settled,
        "session": session,
    }
