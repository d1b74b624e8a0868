"""Points of about the same value beside each other, so that each is seen."""

from __future__ import annotations

from collections.abc import Sequence

STEP, MOST = 0.1, 0.34  # of a row: between points beside each other, and how far they reach


def swarm(values: Sequence[float], near: float) -> list[float]:
    """How far each point stands from the middle of its row, in rows, so that those closer than `near` are apart.

    0, then by turns to one side and the other; always the same for the same values.
    """
    levels: dict[int, int] = {}
    for number in sorted(range(len(values)), key=lambda number: values[number]):
        taken = {level for other, level in levels.items() if abs(values[other] - values[number]) < near}
        levels[number] = next(level for level in range(len(values)) if level not in taken)
    furthest = (max(levels.values(), default=0) + 1) // 2
    step = min(STEP, MOST / furthest) if furthest else 0.0
    return [step * ((level + 1) // 2) * (1 if level % 2 else -1) for _, level in sorted(levels.items())]
