"""Everything that is measured of several networks, side by side."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dsbench.bench.backend import Backend
from dsbench.bench.forward import Forward, forwards
from dsbench.bench.memory import peak_memory_bytes
from dsbench.bench.probes import StepProbe
from dsbench.bench.subject import Subject
from dsbench.bench.timing import BATCHES, LIMIT_SECONDS, Timing, interleaved
from dsbench.deploy.files import Files
from dsbench.run import facts
from dsbench.training.device import set_up_process


@dataclass(frozen=True)
class Step:
    """A training step of `batch_size` images: whole, and its parts between synchronised clocks.

    `forward` includes the loss, `optimizer` the clipping of gradients. On a GPU the parts add up to more than `total`,
    in which nothing waits for the device between them.
    """

    batch_size: int
    total: Timing
    forward: Timing
    backward: Timing
    optimizer: Timing


def new_session() -> str:
    """A name for what is measured by turns, that nothing else has; it begins with the time, and so sorts by it."""
    return f"{facts.now()} {secrets.token_hex(4)}"


@dataclass(frozen=True)
class Measured:
    """What was measured of one network; `onnx` is empty where it was not deployed.

    `peak_memory_bytes` is that of a training step (see dsbench.bench.memory), `onnx` a section of its record (see
    dsbench.bench.deployed). Networks that took turns share their `session`.
    """

    forward: Forward
    step: Step
    peak_memory_bytes: int | None
    onnx: dict[str, Any] = field(default_factory=dict)
    session: str = field(default_factory=new_session)


def bench(
    subjects: Sequence[Subject],
    batches: Sequence[int] = BATCHES,
    limit_seconds: float = LIMIT_SECONDS,
    compile_too: bool = False,
    onnx: Sequence[Files] = (),
    say: Callable[[str], None] = lambda message: None,
) -> list[Measured]:
    """Measure `subjects` by turns; each measurement takes `limit_seconds` a subject at the most, its warm-up aside.

    With `onnx`, where the files of each go, ONNX Runtime takes turns with torch. `say` is told what comes next. Raises
    InputError where a run's data or weights are not there.
    """
    set_up_process()
    if onnx:
        say("ONNX files and their accuracy")
    backends, sections = _deployed(subjects, onnx)
    forward = forwards(subjects, backends, list(dict.fromkeys(batches)), limit_seconds, compile_too, say)
    say("training step")
    steps = _steps(subjects, limit_seconds)
    say("peak memory")  # last, when libraries hold the memory that they keep, and the profiler can slow down nothing
    memory = [peak_memory_bytes(subject) for subject in subjects]
    session = new_session()
    return [Measured(*parts, session) for parts in zip(forward, steps, memory, sections, strict=True)]


def _deployed(
    subjects: Sequence[Subject], onnx: Sequence[Files]
) -> tuple[list[dict[str, Backend]], list[dict[str, Any]]]:
    """For each subject the backends beside torch, and its section of the record."""
    if not onnx:
        return [{} for _ in subjects], [{} for _ in subjects]
    from dsbench.bench.deployed import deploy  # the extra may not be installed

    deployed = [deploy(subject, files) for subject, files in zip(subjects, onnx, strict=True)]
    return [one.backends for one in deployed], [one.section for one in deployed]


def _steps(subjects: Sequence[Subject], limit_seconds: float) -> list[Step]:
    probes = [StepProbe(subject, limit_seconds) for subject in subjects]
    timings = interleaved(probes, limit_seconds)
    return [Step(subject.recipe.batch_size, *parts) for subject, parts in zip(subjects, timings, strict=True)]
