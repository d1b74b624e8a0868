"""What the cells of a sweep cost when they run, measured once its runs have ended and nothing else is going on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from dsbench import torchvision_ops
from dsbench.bench.timing import LIMIT_SECONDS, MEASUREMENTS
from dsbench.run import facts

LEAST_SECONDS = 0.5  # of one measurement, below which it says too little

log = logging.getLogger("dsbench")


def seconds_each(cells: int, minutes: float) -> float | None:
    """The limit of each measurement of each of `cells` so that all take `minutes` at the most; None: too short."""
    each = min(LIMIT_SECONDS, 60 * minutes / (MEASUREMENTS * cells)) if cells else 0.0
    return each if each >= LEAST_SECONDS else None


def measure(outputs: Path, run_ids: Sequence[str], limit_seconds: float) -> None:
    """Measure finished runs by turns and keep it in their records, as `dsbench bench` does.

    Latency at batch 1 and at a large batch, the training step and its memory, each for `limit_seconds` a run at the
    most, in the precision and on the threads of its training. A failure is logged: the runs are done, whatever goes
    wrong here.
    """
    torchvision_ops.ensure()  # before Lightning imports torchvision
    from dsbench.bench.measure import bench
    from dsbench.bench.record import record
    from dsbench.bench.timing import BATCHES
    from dsbench.run.bench import keep
    from dsbench.run.load import load

    load_average = facts.load_average()
    try:
        runs = [load(outputs / "runs" / run_id) for run_id in run_ids]
        subjects = [run.subject() for run in runs]
        found = bench(subjects, BATCHES, limit_seconds)
        for run, subject, one in zip(runs, subjects, found, strict=True):
            keep(run, record(one, subject.compute, load_average), lambda *_: None)
    except Exception as error:
        log.warning("the cells could not be measured, so which is faster is not said: %s", error)
        log.debug("measuring ended with an error", exc_info=True)
