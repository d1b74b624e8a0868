"""Is it lighter? Arithmetic on costs, which needs no p."""

from __future__ import annotations

from dsbench.verdict.answers import Answer, Measure
from dsbench.verdict.cells import TOLERANCE, Cell

MEASURES = {"params": "parameters", "macs": "MACs", "acts": "activations", "bytes": "bytes"}


def lighter(reference: Cell, candidate: Cell) -> tuple[Measure, ...]:
    """Parameters, MACs, activations and bytes of one image; equal where they are within the tolerance of a budget."""
    return tuple(_measure(name, unit, reference.costs[name], candidate.costs[name]) for name, unit in MEASURES.items())


def _measure(name: str, unit: str, before: int | None, after: int | None) -> Measure:
    if before is None or after is None:
        return Measure(name, unit, before, after, Answer.NOT_MEASURED, reason="not recorded")
    unequal = Answer.YES if after < before else Answer.NO
    answer = Answer.EQUAL if abs(after - before) <= TOLERANCE * before else unequal
    return Measure(name, unit, before, after, answer)
