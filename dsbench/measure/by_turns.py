"""Networks measured by turns: what they cost when they run, and why, as the records of runs hold it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench import provenance, torchvision_ops
from dsbench.measure.onnx_files import Files
from dsbench.measure.timing import BATCHES
from dsbench.process import wait_briefly

if TYPE_CHECKING:
    from dsbench.measure.bench import Measured
    from dsbench.measure.roofline_record import Roofline
    from dsbench.measure.subject import Subject
    from dsbench.training.device import Compute


@dataclass(frozen=True)
class RunningCosts:
    """Where a network computed and what was measured of it; `record` holds all of it as result.json does.

    `roofline` is None where it was not asked for, or could not be measured.
    """

    compute: Compute
    measured: Measured
    roofline: Roofline | None
    record: dict[str, Any]


def running_costs(
    subjects: Callable[[], Sequence[Subject]],
    limit_seconds: float,
    batches: Sequence[int] = BATCHES,
    compile_too: bool = False,
    onnx: Sequence[Files] = (),
    rooflines_of: Sequence[str] | None = None,
    refused: Callable[[Exception], None] | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> list[RunningCosts]:
    """Measure what `subjects` makes, once torch may be imported; see dsbench.measure.bench.bench for the rest.

    With `rooflines_of`, what the networks are called, the layers of their training steps are measured too. `refused` is
    told why that cannot be; without it, InputError is raised.
    """
    load_average = provenance.load_average()
    wait_briefly()  # before torch is imported
    torchvision_ops.ensure()  # before Lightning imports torchvision
    found = subjects()
    from dsbench.measure.bench import bench
    from dsbench.measure.record import record
    from dsbench.measure.roofline_record import section

    # First, since it can be refused, and what counts memory afterwards may slow down all that follows.
    lines = _rooflines(found, rooflines_of, limit_seconds, refused, say)
    computes = [subject.compute for subject in found]
    measured = bench(found, batches, limit_seconds, compile_too, onnx, say)
    return [
        RunningCosts(compute, one, line, record(one, compute, load_average) | section(line, one.session))
        for compute, one, line in zip(computes, measured, lines, strict=True)
    ]


def _rooflines(
    subjects: Sequence[Subject],
    names: Sequence[str] | None,
    seconds: float,
    refused: Callable[[Exception], None] | None,
    say: Callable[[str], None],
) -> Sequence[Roofline | None]:
    """A roofline of each of `subjects`, where they are called something and it can be measured."""
    none = [None] * len(subjects)
    if names is None:
        return none
    from dsbench.measure.roofline import measure_rooflines

    try:
        return measure_rooflines(subjects, names, seconds, say)
    except Exception as error:  # two devices or precisions, say, or a device without a clock for layers
        if refused is None:
            raise
        refused(error)
        return none
