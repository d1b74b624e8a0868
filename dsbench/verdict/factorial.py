"""Two families in two topologies: the effect of the block apart from that of the topology."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dsbench.statistics.factorial import effects
from dsbench.statistics.multiple import holm
from dsbench.statistics.paired import Paired, paired
from dsbench.verdict.answers import Answer
from dsbench.verdict.better import Scores, answer, with_failures
from dsbench.verdict.cells import Cell, seeds_in_common


@dataclass(frozen=True)
class Effect:
    """One effect on test accuracy over the seeds that all four have; p is adjusted for the three effects.

    `what` says which difference it is, `by_seed` has it for each seed (shares of 1); `answer` is yes where its mean
    is above 0.
    """

    name: str
    what: str
    by_seed: tuple[float, ...]
    paired: Paired | None
    adjusted_p: float | None
    answer: Answer


@dataclass(frozen=True)
class Factorial:
    """The effects of the block, of the topology and their interaction.

    `seeds` are those in which all four are done, of `asked`. `with_failures`, where runs collapsed or diverged, has the
    effects with these counted in (see dsbench.verdict.better).
    """

    families: tuple[str, str]
    topologies: tuple[str, str]
    seeds: tuple[int, ...]
    asked: int
    effects: tuple[Effect, ...]
    with_failures: tuple[Effect, ...] | None


def factorial(cells: Sequence[Cell]) -> Factorial | None:
    """The factorial that the `cells` of a group are, the first family as reference; None where they are none.

    A topology is an architecture with its depth and kernel. The first is that with the fewer activations in the first
    family's network: of two networks with equal parameters the deeper one writes more.
    """
    found = {(str(cell.names["model"]), topology(cell)): cell for cell in cells}
    families, kinds = list(dict.fromkeys(one for one, _ in found)), list(dict.fromkeys(one for _, one in found))
    if (len(cells), len(found), len(families), len(kinds)) != (4, 4, 2, 2):
        return None
    kinds.sort(key=lambda kind: found[families[0], kind].costs["acts"] or 0)
    table = [[found[family, kind] for kind in kinds] for family in families]
    one, other = (_called(kind, kinds) for kind in kinds)
    names = (families[0], families[1]), (one, other)
    done = [[cell.scores for cell in row] for row in table]
    all_ = [[with_failures(cell) for cell in row] for row in table]
    return Factorial(
        *names,
        seeds=tuple(_common(done)),
        asked=len(seeds_in_common(cells)),
        effects=_effects(*names, done),
        with_failures=_effects(*names, all_) if any(cell.fallen for cell in cells) else None,
    )


def _common(table: Sequence[Sequence[Scores]]) -> list[int]:
    """The seeds that all of a table have."""
    return sorted(set.intersection(*(set(scores) for row in table for scores in row)))


def _effects(
    families: tuple[str, str], topologies: tuple[str, str], table: Sequence[Sequence[Scores]]
) -> tuple[Effect, ...]:
    """The effects in a row of scores a family and a column a topology."""
    one, other = topologies
    scores = np.array([[[cell[seed] for cell in row] for row in table] for seed in _common(table)]).reshape(-1, 2, 2)
    of = effects(scores)
    named = (
        ("block", f"{families[1]} - {families[0]}, mean over {one} and {other}", of.rows),
        ("topology", f"{other} - {one}, mean over {families[0]} and {families[1]}", of.columns),
        ("interaction", f"{families[1]} - {families[0]} in {other}, less that in {one}", of.interaction),
    )
    tests = [paired(values) for *_, values in named]
    adjusted = holm([test.p if test else None for test in tests])
    return tuple(
        Effect(name, what, tuple(map(float, values)), test, p, answer(test.mean if test else None, p))
        for (name, what, values), test, p in zip(named, tests, adjusted, strict=True)
    )


def topology(cell: Cell) -> tuple[str, ...]:
    """What of a network is neither its block nor its width."""
    return str(cell.names["arch"]), f"depth {cell.network.get('arch.depth')}", f"kernel {cell.names['kernel']}"


def _called(kind: tuple[str, ...], kinds: Sequence[tuple[str, ...]]) -> str:
    """What of a topology tells it from the other."""
    return " ".join(part for part, *others in zip(kind, *kinds, strict=True) if len(set(others)) > 1)
