"""What the cells of a sweep cost when they run, measured once its runs have ended and nothing else is going on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dsbench import torchvision_ops
from dsbench.bench.timing import LIMIT_SECONDS, MEASUREMENTS
from dsbench.roofline.rows import TOGETHER

LEAST_SECONDS = 0.5  # of one measurement, below which it says too little
ENOUGH_SECONDS = 4.0  # of one measurement, which gives slow steps too as many rounds as are needed
RATES_SECONDS = 10.0  # that a roofline takes to measure what the device attains

log = logging.getLogger("dsbench")


@dataclass(frozen=True)
class Share:
    """What there is time for: `seconds` of each measurement of each network at the most, and whether a roofline."""

    seconds: float
    roofline: bool

    @classmethod
    def of(cls, cells: int, minutes: float) -> Share | None:
        """The share of each of `cells` of `minutes` in all; None where it is too short to say anything.

        A roofline is of few networks, and where it leaves time enough for what decides.
        """
        if not cells:
            return None
        with_roofline = (60 * minutes - RATES_SECONDS) / ((MEASUREMENTS + 1) * cells)
        if cells <= TOGETHER and with_roofline >= ENOUGH_SECONDS:
            return cls(min(LIMIT_SECONDS, with_roofline), roofline=True)
        each = min(LIMIT_SECONDS, 60 * minutes / (MEASUREMENTS * cells))
        return cls(each, roofline=False) if each >= LEAST_SECONDS else None


def measure(outputs: Path, run_ids: Sequence[str], share: Share) -> None:
    """Measure finished runs by turns and keep it in their records, as `dsbench bench` does.

    Latency at batch 1 and at a large batch, the training step and its memory, as long as `share` says, in the precision
    and on the threads of its training; and the layers of the step against what the device attains. A failure is
    logged: the runs are done, whatever goes wrong here.
    """
    torchvision_ops.ensure()  # before Lightning imports torchvision
    from dsbench.run.bench import keep
    from dsbench.run.by_turns import running_costs
    from dsbench.run.load import load

    named = run_ids if share.roofline else None
    try:
        runs = [load(outputs / "runs" / run_id) for run_id in run_ids]
        found = running_costs(
            lambda: [run.subject() for run in runs], share.seconds, rooflines_of=named, refused=_no_roofline
        )
        for run, one in zip(runs, found, strict=True):
            keep(run, one.record, lambda *_: None)
    except Exception as error:
        log.warning("the cells could not be measured, so which is faster is not said: %s", error)
        log.debug("measuring ended with an error", exc_info=True)


def _no_roofline(error: Exception) -> None:
    log.info("no roofline is drawn: %s", error)
    log.debug("measuring rooflines ended with an error", exc_info=error)
