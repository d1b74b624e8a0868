"""What holds over all groups, in a sentence for each two families."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dsbench.verdict.answers import Answer
from dsbench.verdict.better_words import settled
from dsbench.verdict.figures import listed
from dsbench.verdict.groups import BUDGET, WIDTH
from dsbench.verdict.overall import Overall

FEW = 3  # groups that a sentence names
_KINDS = {BUDGET: "of a matched budget", WIDTH: "of equal width"}


def overall_sentence(one: Overall) -> str:
    """Better, lighter and faster by how many groups, and what failed to train."""
    number = len(one.groups)
    better = _counts([(found.answer, found.group) for found in one.groups])
    costs = [
        f"{name}: {_counts([(answer, found.group) for found in one.groups for answer in answers(found)])}"
        for name, answers in (("lighter", lambda found: found.lighter), ("faster", lambda found: found.faster))
    ]
    kinds = Counter(found.by for found in one.groups)
    apart = f" ({listed([f'{of} {_KINDS[by]}' for by, of in kinds.items()])})" if len(kinds) > 1 else ""
    said = (
        f"Over {number} groups{apart}, {one.candidate} against {one.reference}. Better (p adjusted over them): {better}"
    )
    seeds = max(len(found.seeds) for found in one.groups)
    too_few = settled(seeds, number, one.smallest_adjusted_p, one.seeds_to_settle)
    trainings = ((one.candidate, one.trained_candidate), (one.reference, one.trained_reference))
    failed = [f"{family} failed to train in {of.failed} of {of.ended} runs" for family, of in trainings if of.failed]
    return " ".join(filter(None, ["; ".join([said, *costs, *failed]) + ".", too_few]))


def _counts(answers: Sequence[tuple[Answer, str]]) -> str:
    """How often which answer, with the groups where these are few."""
    of: dict[str, list[str]] = {}
    for answer, group in answers:
        of.setdefault(str(answer), []).append(group)
    some = [f"{answer} in {len(where)}{_where(where, len(of))}" for answer, where in of.items()]
    return listed(some)


def _where(groups: Sequence[str], answers: int) -> str:
    names = list(dict.fromkeys(groups))
    return f" ({'; '.join(names)})" if answers > 1 and len(names) <= FEW else ""
