"""Two networks' times of one thing: do they compare, and which is shorter?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dsbench.numerals import counted
from dsbench.statistics.paired import t_interval
from dsbench.statistics.power import ALPHA, smallest_adjusted_p
from dsbench.statistics.signflip import EXACT, sign_flip_p
from dsbench.verdict.answers import Answer, Measure
from dsbench.verdict.times.timings import EPOCH, STEP, Key, Timings

DECIDING = "torch"  # the backend that trains; the others are shown
SAME = 0.05  # of the reference: what two measurements of one network differ by
NAMES: dict[Key, str] = {STEP: "training step", EPOCH: "epoch of such steps"}  # of what is no latency


@dataclass(frozen=True)
class Comparison:
    """What is timed under `key`, of both."""

    key: Key
    before: Timings
    after: Timings

    @cached_property
    def refused(self) -> str:
        """Why the two times do not compare; empty where they do."""
        if self.key == STEP and self.before.batch_size != self.after.batch_size:
            sizes = f"steps of {self.before.batch_size} and of {self.after.batch_size} images"
            return apart(self.before, self.after) or sizes
        return apart(self.before, self.after)

    @cached_property
    def log_ratios(self) -> list[float]:
        """Of each block of rounds, the median logarithm of how many times as long the candidate takes."""
        one, other = (timings.times[self.key].rounds for timings in (self.before, self.after))
        if not one or len(one) != len(other):  # of records that do not keep them
            return []
        ratios = np.log(other) - np.log(one)
        return [float(np.median(block)) for block in np.array_split(ratios, min(EXACT, len(ratios)))]

    @cached_property
    def p(self) -> float | None:
        """That of the sign-flip test, not adjusted; None where the two do not compare."""
        return None if self.refused else sign_flip_p(self.log_ratios)

    def measure(self, adjusted_p: float | None, comparisons: int) -> Measure:
        """Both times with the answer, of `comparisons` that were made."""
        before, after = (timings.times[self.key] for timings in (self.before, self.after))
        unit, in_ms = ("s", 1000) if self.key == EPOCH else ("ms", 1)
        answer, reason = Answer.REFUSED, self.refused
        if not reason:
            ratios = after.median / before.median, math.exp(np.mean(self.log_ratios)) if self.log_ratios else 1.0
            answer, reason = _answer(ratios, adjusted_p, len(self.log_ratios), comparisons)
        interval = None if self.refused else t_interval(self.log_ratios)
        return Measure(
            name=_name(self.key),
            unit=unit,
            reference=before.median / in_ms,
            candidate=after.median / in_ms,
            answer=answer,
            reference_spread=before.iqr / in_ms,
            candidate_spread=after.iqr / in_ms,
            ratio_interval=None if interval is None else (math.exp(interval.low), math.exp(interval.high)),
            p=adjusted_p,
            n=min(len(before.rounds), len(after.rounds)),
            reason=reason,
            note=_where(self.before, self.after),
            decides=self.key == STEP or self.key[-1] == DECIDING,
        )


def apart(before: Timings, after: Timings) -> str:
    """Why times of two places, or of no common session, do not compare; empty where they do."""
    one, other = _flat(before.place), _flat(after.place)
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    if names:
        said = [f"{name} ({one.get(name)} and {other.get(name)})" for name in names]
        return f"measured with different {', '.join(said)}"
    return "" if before.session and before.session == after.session else "not measured by turns"


def _answer(ratios: Sequence[float], adjusted_p: float | None, blocks: int, comparisons: int) -> tuple[Answer, str]:
    """Whether the candidate takes less time, by all `ratios` of the two; and why that cannot be settled."""
    if adjusted_p is None:
        return Answer.UNSETTLED, "its rounds were not kept"
    if adjusted_p < ALPHA:
        if all(ratio < 1 - SAME for ratio in ratios):
            return Answer.YES, ""
        return (Answer.NO if all(ratio > 1 + SAME for ratio in ratios) else Answer.CANNOT_TELL), ""
    if smallest_adjusted_p(blocks, comparisons) < ALPHA or smallest_adjusted_p(EXACT, comparisons) >= ALPHA:
        return Answer.CANNOT_TELL, ""  # so many comparisons no number of rounds can settle
    return (
        Answer.UNSETTLED,
        f"{blocks} rounds cannot settle {'it' if comparisons == 1 else f'{comparisons} comparisons'}",
    )


def _name(key: Key) -> str:
    if key in NAMES:
        return NAMES[key]
    backend = "" if key[-1] == DECIDING else f", {key[-1]}"
    return f"latency at {key[1].replace('_', ' ')}{backend}"


def _where(before: Timings, after: Timings) -> str:
    place = before.place
    said = f"{place['device']}, precision {place['precision']}, {counted(place['threads'], 'thread')}"
    loads = [load for load in (before.load_average, after.load_average) if load is not None]
    return f"{said}, load average {max(loads):.1f} before" if loads else said


def _flat(place: dict[str, Any]) -> dict[str, Any]:
    versions = place.get("versions") or {}
    return {name: value for name, value in place.items() if name != "versions"} | versions
