"""Is it faster? Measurements by turns decide."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from dsbench.statistics.multiple import holm
from dsbench.verdict.answers import Answer, Measure
from dsbench.verdict.cells import Cell
from dsbench.verdict.times.comparison import DECIDING, NAMES, Comparison, apart
from dsbench.verdict.times.timings import STEP, Key, Records, timings

WANTED = (NAMES[STEP], "latency at batch 1", "latency at a large batch")  # without each of which none is faster


def measured(pairs: Sequence[tuple[Cell, Cell]], records: Records) -> list[tuple[Measure, ...]]:
    """For each pair (reference, candidate) its training step, epoch and latencies, as `dsbench bench` measured them.

    Times compare where they were measured in one place and by turns, the last of such. What disturbs a round disturbs
    both of a pair, so that their ratio, round by round, is what the test looks at: the sign-flip test of its logarithm,
    whose p is adjusted by Holm over the `pairs`, for each thing that is timed. Neighbouring rounds are alike, so that
    of more than 16 the test takes 16 blocks, in the order of time, each by its median. Faster and slower are said where
    the adjusted p is below .05 and where both the medians and the ratios by turns differ by more than 5 % as well,
    which is what two measurements of one network differ by. What was not measured of both alike stands among the rest
    as lacking.
    """
    ids = [(one.cell_id, other.cell_id) for one, other in pairs]
    found = {key: _comparisons(*pair, records) for key, pair in zip(ids, pairs, strict=True)}  # some are in two groups
    timed = dict.fromkeys(key for some in found.values() for key in some)
    adjusted = {
        key: dict(zip(found, holm([some[key].p if key in some else None for some in found.values()]), strict=True))
        for key in timed
    }
    return [
        tuple(one.measure(adjusted[key][both], len(found)) for key, one in sorted(found[both].items(), key=_order))
        + _lacking(pair, found[both], records)
        for both, pair in zip(ids, pairs, strict=True)
    ]


def _comparisons(reference: Cell, candidate: Cell, records: Records) -> dict[Key, Comparison]:
    """By what is timed, the last two times that compare, else the last two."""
    both = product(timings(reference, records), timings(candidate, records))
    found: dict[Key, Comparison] = {}
    for before, after in sorted(both, key=lambda pair: bool(apart(*pair))):
        for key in before.times.keys() & after.times.keys():
            found.setdefault(key, Comparison(key, before, after))
    return found


def _lacking(pair: tuple[Cell, Cell], found: dict[Key, Comparison], records: Records) -> tuple[Measure, ...]:
    """What is missing of what is wanted."""
    names = {_wanted(key) for key in found}
    unmeasured = [cell.label for cell in pair if not timings(cell, records)]
    reason = f"no measurement of {' and '.join(unmeasured)}" if unmeasured else "not measured of both alike"
    return tuple(
        Measure(name, "ms", None, None, Answer.NOT_MEASURED, reason=reason) for name in WANTED if name not in names
    )


def _wanted(key: Key) -> str:
    """Which of WANTED a time is; empty for those of other backends, which are shown alone."""
    if key in NAMES:
        return NAMES[key]
    return "" if key[-1] != DECIDING else WANTED[1] if key[1] == "batch_1" else WANTED[2]


def _order(item: tuple[Key, Comparison]) -> tuple[Any, ...]:
    """The step and its epoch, then torch's latencies, then those of others, each by batch."""
    key, _ = item
    if key in NAMES:
        return 0, list(NAMES).index(key)
    return 1 + (key[-1] != DECIDING), key[-1], int(key[1].rpartition("_")[2])
