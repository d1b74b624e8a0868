"""What holds over all groups, in a sentence for each question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress

from dsbench.numerals import counted, listed, signed_points, times
from dsbench.verdict.answers import Answer, Measure
from dsbench.verdict.better_words import evidence, settled
from dsbench.verdict.groups import WIDTH
from dsbench.verdict.judge import Judged, Pair
from dsbench.verdict.naming import UNITS
from dsbench.verdict.overall import InGroup, Overall, Trainings, across

FEW = 3  # groups that have a clause each
_QUESTIONS = {  # what yes and no are called
    "lighter": ("lighter", "heavier"),
    "faster": ("faster", "slower"),
    "better": ("better", "worse"),
}


def overall_sentences(one: Overall, groups: Sequence[Judged]) -> list[str]:
    """Lighter, faster and better in a sentence each: of few groups a clause each, of many a clause a kind of group.

    `groups` are those of the verdict. Failures of training, and too few seeds, stand beside the last.
    """
    pairs = {of.name: list(compress(of.pairs, across(of.group, one.reference, one.candidate))) for of in groups}
    three = [
        _sentence(one, "lighter", lambda of: of.lighter, lambda of: _costs("lighter", of.lighter, pairs[of.group])),
        _sentence(one, "faster", lambda of: of.faster, lambda of: _costs("faster", of.faster, pairs[of.group])),
        _sentence(one, "better", lambda of: [of.answer], _better),
    ]
    seeds = max(len(of.tested.seeds) for of in one.groups)
    too_few = settled(seeds, len(one.groups), one.smallest_adjusted_p, one.seeds_to_settle)
    return [*three[:-1], " ".join([three[-1], *failures(one), *filter(None, [too_few])])]


def failures(one: Overall) -> list[str]:
    """A sentence on each family of which runs have failed, and whether counting them would change an answer."""
    trainings = ((one.candidate, one.trained_candidate), (one.reference, one.trained_reference))
    said = [_failed(family, found) for family, found in trainings if found.lost]
    if all(of.with_failures == of.tested for of in one.groups):
        return said
    changed = [of for of in one.groups if of.with_failures.answer is not of.answer]
    what = [f"that at {of.group} to {_word('better', of.with_failures.answer)}" for of in changed]
    count = "Counting those that collapsed or diverged, at what they ended with or at guessing,"
    return [*said, f"{count} would change {listed(what or ['no answer'])}."]


def _failed(family: str, found: Trainings) -> str:
    kinds = listed([f"{number} {status}" for status, number in found.lost.items()])
    return f"{family} failed in {sum(found.lost.values())} of {counted(found.runs, 'run')} ({kinds})."


def _sentence(
    one: Overall, question: str, answers: Callable[[InGroup], Sequence[Answer]], clause: Callable[[InGroup], str]
) -> str:
    if len(one.groups) <= FEW:
        said = [f"at {of.group}{_differ(of)}: {clause(of)}" for of in one.groups]
    else:
        kinds: dict[str, list[InGroup]] = {}
        for of in one.groups:
            kinds.setdefault(_kind(of), []).append(of)
        said = [f"at {kind}: {_counts(question, some, answers)}" for kind, some in kinds.items()]
    over = f" (p adjusted over {counted(len(one.groups), 'group')})" if question == "better" else ""
    text = "; ".join(said)
    return f"Is {one.candidate} {question} than {one.reference}{over}? {text[0].upper()}{text[1:]}."


def _costs(question: str, answers: Sequence[Answer], pairs: Sequence[Pair]) -> str:
    """The answer to one pair with its figures, or how many of several have which answer."""
    if len(pairs) != 1:
        return listed([f"{_word(question, answer)} in {answers.count(answer)}" for answer in dict.fromkeys(answers)])
    measures: Sequence[Measure] = pairs[0].lighter if question == "lighter" else pairs[0].faster
    shown = [one for one in measures if one.counts and one.answer is not Answer.EQUAL]
    figures = [f"{one.unit if question == 'lighter' else one.name} x {times(one.ratio)}" for one in shown if one.ratio]
    return f"{_word(question, answers[0])}{f' ({listed(figures)})' if figures else ''}"


def _better(of: InGroup) -> str:
    test = of.tested.paired
    if test is None:
        return "cannot tell, no seed is done in all"
    found = f"{signed_points(test.mean)} pp ({evidence(test, of.tested.adjusted_p, asked=of.asked)})"
    return f"{_word('better', of.answer)}, {found}"


def _counts(question: str, some: Sequence[InGroup], answers: Callable[[InGroup], Sequence[Answer]]) -> str:
    """How often which answer; of accuracies with the range of their mean differences and of their numbers of seeds."""
    found: dict[Answer, list[InGroup]] = {}
    for of in some:
        for answer in answers(of):
            found.setdefault(answer, []).append(of)
    said = listed(
        [
            f"{_word(question, answer)} in {len(where)}{_range(where) if question == 'better' else ''}"
            for answer, where in found.items()
        ]
    )
    if question != "better":
        return said
    seeds, asked = sorted({len(of.tested.seeds) for of in some}), max(of.asked for of in some)
    n = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    return f"{said}, n = {n}{f' of {asked}' if seeds[0] < asked else ''} seeds"


def _range(some: Sequence[InGroup]) -> str:
    means = sorted(of.tested.paired.mean for of in some if of.tested.paired)
    ends = dict.fromkeys(signed_points(mean) for mean in (*means[:1], *means[-1:]))
    return f" ({' to '.join(ends)} pp)" if ends else ""


def _word(question: str, answer: Answer) -> str:
    yes, no = _QUESTIONS[question]
    words = {Answer.YES: yes, Answer.NO: no, Answer.IN_PART: f"{yes} in part", Answer.REFUSED: "not comparable"}
    return words.get(answer, str(answer))


def _kind(of: InGroup) -> str:
    return f"equal widths{_differ(of)}" if of.by == WIDTH else f"equal {UNITS[str(of.measure)]}"


def _differ(of: InGroup) -> str:
    return " (budgets differ)" if of.by == WIDTH else ""
