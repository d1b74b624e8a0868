"""What networks cost when they run, and why: measured by turns, in the form in which the records of runs hold it.

This module is light: what measures is imported when there is something to measure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench import provenance, torchvision_ops
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

    `roofline` is None where it was not asked for or could not be measured.
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
    rooflines_of: Sequence[str] | None = None,
    refused: Callable[[Exception], None] | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> list[RunningCosts]:
    """Measure what `subjects` returns, called once torch may be imported; see dsbench.measure.bench.bench for the rest.

    With `rooflines_of`, the names of the networks, the layers of their training steps are measured too. Where that
    fails, `refused` is called with the error; without `refused`, it is raised.
    """
    load_average = provenance.load_average()
    wait_briefly()  # before torch is imported
    torchvision_ops.ensure()  # before Lightning imports torchvision
    networks = subjects()
    from dsbench.measure.bench import bench
    from dsbench.measure.record import record
    from dsbench.measure.roofline_record import section

    # Rooflines come first: they can be refused, and the profiler that counts memory may slow down all that follows.
    rooflines = _rooflines(networks, rooflines_of, limit_seconds, refused, say)
    results = bench(networks, batches, limit_seconds, compile_too, say)
    return [
        RunningCosts(
            subject.compute,
            measured,
            roofline,
            record(measured, subject.compute, load_average) | section(roofline, measured.session),
        )
        for subject, measured, roofline in zip(networks, results, rooflines, strict=True)
    ]


def _rooflines(
    subjects: Sequence[Subject],
    names: Sequence[str] | None,
    seconds: float,
    refused: Callable[[Exception], None] | None,
    say: Callable[[str], None],
) -> Sequence[Roofline | None]:
    """A roofline of each of `subjects`, or None for each without `names` or where they cannot be measured."""
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
