"""A verdict in three sentences: lighter, faster, better."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.verdict.better_words import failure_sentences
from dsbench.verdict.cells import Cell
from dsbench.verdict.judge import Judged, Pair, Verdict
from dsbench.verdict.overall import Overall
from dsbench.verdict.overall_words import failures, overall_sentences
from dsbench.verdict.words import block_sentence, pair_sentences, unfinished


def headline(verdict: Verdict) -> list[str]:
    """One sentence to each question, or one that says why there is none; one more where runs have no result.

    They say what the sweep says over all its groups, adjusted for all of them (see dsbench.verdict.overall): of one
    pair in one group what its pair says, of a factorial the effect of its block. What has failed to train, and whether
    that would change an answer, stands beside the last.
    """
    one = verdict.overall
    if one is None:
        nothing = "There is nothing to compare yet: no two families share data, recipe and a budget or a width."
        return [nothing, *unfinished(verdict)]
    groups = [judged for judged in verdict.groups if judged.name in {found.group for found in one.groups}]
    three = _of_one(one, groups[0]) if len(groups) == 1 else overall_sentences(one, groups)
    return [*three, *unfinished(verdict)]


def _of_one(one: Overall, judged: Judged) -> list[str]:
    two = [(pair, cells) for pair, cells in judged.compared if _are(one, cells)]
    if len(two) == 1:
        return _of_pair(judged.name, *two[0])
    three = overall_sentences(one, [judged])
    if judged.factorial and judged.factorial.seeds:
        three[-1] = " ".join([f"At {judged.name}, {block_sentence(judged.factorial)}", *failures(one)])
    return three


def _are(one: Overall, cells: Sequence[Cell]) -> bool:
    return [cell.names["model"] for cell in cells] == [one.reference, one.candidate]


def _of_pair(name: str, pair: Pair, cells: tuple[Cell, Cell]) -> list[str]:
    first, faster, better = pair_sentences(pair, *cells)[:3]
    clause = first[0].lower() + first[1:] if first.startswith(("What ", "Whether ")) else first
    return [f"At {name}, {clause}", faster, " ".join([better, *failure_sentences(*cells, pair.better)])]
