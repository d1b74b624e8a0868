"""Learning-rate schedules as pure functions of progress; all but the exponential one stretch to where training ends."""

from __future__ import annotations

import math

from dsbench.config.schema import (
    CosineConfig,
    ExponentialConfig,
    MultistepConfig,
    OneCycleConfig,
    ScheduleConfig,
)
from dsbench.errors import InputError


def factor(schedule: ScheduleConfig, progress: float, epoch: int) -> float:
    """The factor on the peak learning rate at `progress` (0 at the first step, 1 at the last) in `epoch` (from 0).

    Cosine annealing is Loshchilov and Hutter's (2017), one-cycle Smith and Topin's (2018) with half-cosine ramps.
    """
    if isinstance(schedule, CosineConfig):
        return _ramp(1.0, schedule.end_factor, progress)
    if isinstance(schedule, OneCycleConfig):
        if progress < schedule.warmup:
            return _ramp(schedule.start_factor, 1.0, progress / schedule.warmup)
        return _ramp(1.0, schedule.end_factor, (progress - schedule.warmup) / (1 - schedule.warmup))
    if isinstance(schedule, MultistepConfig):
        return schedule.gamma ** sum(progress >= milestone for milestone in schedule.milestones)
    if isinstance(schedule, ExponentialConfig):
        return schedule.gamma**epoch
    return 1.0


def check(schedule: ScheduleConfig) -> None:
    """Raise InputError where a value of `schedule` makes no sense."""
    given = vars(schedule)
    for name in ("start_factor", "end_factor"):
        if not 0 <= given.get(name, 0) <= 1:
            raise InputError(f"schedule.{name} {given[name]} is not between 0 and 1")
    if not 0 <= given.get("warmup", 0) < 1:
        raise InputError(f"schedule.warmup {given['warmup']} is not a share from 0 up to, not including, 1")
    if not 0 < given.get("gamma", 1) < math.inf:
        raise InputError(f"schedule.gamma {given['gamma']} is not a positive number")
    if not all(0 < milestone < 1 for milestone in given.get("milestones", [])):
        raise InputError(f"schedule.milestones {given['milestones']} are not shares between 0 and 1")


def _ramp(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
