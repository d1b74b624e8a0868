"""A verdict in three sentences: lighter, faster, better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dsbench.verdict.answers import Answer
from dsbench.verdict.cells import Cell
from dsbench.verdict.figures import counted, listed
from dsbench.verdict.groups import BUDGET, WIDTH
from dsbench.verdict.judge import Judged, Pair, Verdict
from dsbench.verdict.words import pair_sentences, unfinished

_QUESTIONS = {  # what yes and no are called
    "lighter": ("lighter", "heavier"),
    "faster": ("faster", "slower"),
    "better": ("better", "worse"),
}
_AT = {BUDGET: "At an equal budget", WIDTH: "At equal widths (budgets differ)"}


def headline(verdict: Verdict) -> list[str]:
    """One sentence to each question, or one that says why there is none; one more where runs have no result.

    They are about the separable family against the conventional one, where the sweep has both, at an equal budget,
    where it has that. Of several pairs each sentence counts the answers. Failures of training stand beside the last.
    """
    of = {cell.label: cell for cell in verdict.cells}
    found = _pairs(verdict.groups, of)
    if not found:
        nothing = "There is nothing to compare yet: no two families share data, recipe and a budget or a width."
        return [nothing, *unfinished(verdict)]
    judged, pair = found[0]
    if len(found) == 1:
        first, *others = pair_sentences(pair, of[pair.reference], of[pair.candidate])[:3]
        clause = first[0].lower() + first[1:] if first.startswith(("What ", "Whether ")) else first
        three = [f"At {judged.name}, {clause}", *others]
    else:
        three = [_counted(question, found, of) for question in _QUESTIONS]
    three[-1] = " ".join([three[-1], *_failures(found, of)])
    return [*three, *unfinished(verdict)]


def _pairs(groups: Sequence[Judged], of: dict[str, Cell]) -> list[tuple[Judged, Pair]]:
    """The pairs that the sweep is about: of two families, the conventional and the fully separable if it has them."""
    for by in (BUDGET, WIDTH):
        across = [
            (judged, pair)
            for judged in groups
            for pair in judged.pairs
            if judged.group.by == by and _families(pair, of)[0] != _families(pair, of)[1]
        ]
        both = [one for one in across if _families(one[1], of) == ("cnn", "dwsep")]
        if across:
            return both or across
    return []


def _families(pair: Pair, of: dict[str, Cell]) -> tuple[str, str]:
    reference, candidate = (str(of[label].names["model"]) for label in (pair.reference, pair.candidate))
    return reference, candidate


def _counted(question: str, found: Sequence[tuple[Judged, Pair]], of: dict[str, Cell]) -> str:
    """How many pairs have which answer to one question."""
    yes, no = _QUESTIONS[question]
    words = {Answer.YES: yes, Answer.NO: no, Answer.IN_PART: f"{yes} in part", Answer.REFUSED: "not comparable"}
    counts = Counter(pair.answers[question] for _, pair in found)
    parts = [f"{words.get(answer, str(answer))} in {number}" for answer, number in counts.most_common()]
    families = {_families(pair, of) for _, pair in found}
    reference, candidate = families.pop() if len(families) == 1 else ("the less separable", "the more separable")
    seeds = max(judged.seeds for judged, _ in found)
    n = f" (n = {counted(seeds, 'seed')})" if question == "better" else ""
    how = _AT[found[0][0].group.by]
    return f"{how}, is {candidate} {yes} than {reference}? Of {counted(len(found), 'pair')}: {listed(parts)}{n}."


def _failures(found: Sequence[tuple[Judged, Pair]], of: dict[str, Cell]) -> list[str]:
    """A sentence on each family of these pairs of which runs have failed."""
    labels = dict.fromkeys(label for _, pair in found for label in (pair.candidate, pair.reference))
    out = []
    for family in dict.fromkeys(str(of[label].names["model"]) for label in labels):
        cells = [of[label] for label in labels if str(of[label].names["model"]) == family]
        lost = Counter(run.status for cell in cells for run in (*cell.fallen, *cell.broken))
        if lost:
            runs = counted(sum(cell.ended + len(cell.broken) for cell in cells), "run")
            kinds = listed([f"{number} {status}" for status, number in lost.items()])
            out.append(f"{family} failed in {lost.total()} of {runs} ({kinds}).")
    return out
