"""A verdict in three sentences: lighter, faster, better."""

from __future__ import annotations

from dsbench.verdict.cells import Cell
from dsbench.verdict.judge import Verdict
from dsbench.verdict.judged import Pair
from dsbench.verdict.words.better import failure_sentences
from dsbench.verdict.words.overall import overall_sentences
from dsbench.verdict.words.paragraphs import pair_sentences, unfinished


def headline(verdict: Verdict) -> list[str]:
    """One sentence to each question, or one that says why there is none; one more where runs have no result.

    They say what the sweep says over all its groups, adjusted for all of them (see dsbench.verdict.overall); of a group
    alone that is one pair what that pair says, which is the same. What has failed to train, and whether that would
    change an answer, stands beside the last.
    """
    one = verdict.overall
    if one is None:
        nothing = "There is nothing to compare yet: no two families share data, recipe and a budget or a width."
        return [nothing, *unfinished(verdict)]
    judged = one.groups[0].group
    alone = len(one.groups) == len(judged.pairs) == 1
    three = _of_pair(judged.name, *judged.compared[0]) if alone else overall_sentences(one)
    return [*three, *unfinished(verdict)]


def _of_pair(name: str, pair: Pair, cells: tuple[Cell, Cell]) -> list[str]:
    first, faster, better = pair_sentences(pair, *cells)[:3]
    clause = first[0].lower() + first[1:] if first.startswith(("What ", "Whether ")) else first
    return [f"At {name}, {clause}", faster, " ".join([better, *failure_sentences(*cells, pair.better)])]
