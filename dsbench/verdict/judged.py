"""A group with the answers of its pairs."""

from __future__ import annotations

from dataclasses import dataclass

from dsbench.statistics.power import seeds_to_settle, smallest_adjusted_p
from dsbench.verdict.answers import Answer, Measure, summed_up
from dsbench.verdict.better import Better
from dsbench.verdict.cells import Cell
from dsbench.verdict.factorial import Factorial
from dsbench.verdict.matching.groups import Group


@dataclass(frozen=True)
class Pair:
    """Whether `candidate` is lighter, faster and better than `reference`, both labels of cells.

    `by_turns` are times measured by turns, which decide; `trained` are seconds of training, which are shown beside.
    """

    reference: str
    candidate: str
    lighter: tuple[Measure, ...]
    by_turns: tuple[Measure, ...]
    trained: tuple[Measure, ...]
    better: Better

    @property
    def answers(self) -> dict[str, Answer]:
        """One answer to each question."""
        return {
            "lighter": summed_up(self.lighter),
            "faster": summed_up(self.by_turns),
            "better": self.better.answer,
        }


@dataclass(frozen=True)
class Judged:
    """A group with the answers of its pairs, in their order."""

    name: str
    group: Group
    pairs: tuple[Pair, ...]
    factorial: Factorial | None

    @property
    def compared(self) -> list[tuple[Pair, tuple[Cell, Cell]]]:
        """Each pair with its cells, reference first."""
        return list(zip(self.pairs, self.group.pairs, strict=True))

    @property
    def seeds(self) -> int:
        """The number of seeds of the pair that has most."""
        return max(len(pair.better.tested.seeds) for pair in self.pairs)

    @property
    def smallest_adjusted_p(self) -> float:
        """What these seeds can reach at the least among so many pairs."""
        return smallest_adjusted_p(self.seeds, len(self.pairs))

    @property
    def seeds_to_settle(self) -> int | None:
        """How many seeds can reach less than .05 among so many pairs."""
        return seeds_to_settle(len(self.pairs))

    @property
    def times(self) -> set[Answer]:
        """What the times that decide came to in the pairs both of which have a finished run, which can be measured."""
        can = (pair for pair, cells in self.compared if all(one.done for one in cells))
        return {one.answer for pair in can for one in pair.by_turns if one.decides}
