"""What holds over all groups, in a sentence for each question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from dsbench.numerals import counted, listed, signed_points, times
from dsbench.verdict.answers import Answer
from dsbench.verdict.judged import Pair
from dsbench.verdict.matching.groups import WIDTH
from dsbench.verdict.matching.naming import UNITS
from dsbench.verdict.overall import InGroup, Overall, Trainings
from dsbench.verdict.words.better import evidence, settled, would_change

FEW = 3  # groups, or pairs in a group, that have a clause each
_QUESTIONS = {  # what yes and no are called
    "lighter": ("lighter", "heavier"),
    "faster": ("faster", "slower"),
    "better": ("better", "worse"),
}


def overall_sentences(one: Overall) -> list[str]:
    """Lighter, faster and better in a sentence each: of few groups a clause each, of many a clause a kind of group.

    Failures of training, and too few seeds, stand beside the last.
    """
    clauses = (("lighter", partial(_costs, "lighter")), ("faster", partial(_costs, "faster")), ("better", _better))
    three = [_sentence(one, question, clause) for question, clause in clauses]
    return [*three[:-1], " ".join(filter(None, [three[-1], *failures(one), settled(one.seeds, len(one.groups))]))]


def failures(one: Overall) -> list[str]:
    """A sentence on each family of which runs have failed, and whether counting them would change an answer."""
    said = [said for side in (1, 0) if (said := _failed(one, side))]
    if all(of.with_failures == of.tested for of in one.groups):
        return said
    changed = [of for of in one.groups if of.with_failures.answer is not of.tested.answer]
    return [*said, would_change([(f"at {of.group.name}", _word("better", of.with_failures.answer)) for of in changed])]


def _failed(one: Overall, side: int) -> str:
    """Of few groups with failures a clause each, of many what they come to; empty where none has failed."""
    family = (one.reference, one.candidate)[side]
    found = {of.group.name: Trainings.of(of.side(side)) for of in one.groups}
    lost = {f" at {name}" * (len(one.groups) > 1): trained for name, trained in found.items() if trained.lost}
    if len(lost) > FEW:
        lost = {f" over {len(found)} groups": Trainings.of(cell for of in one.groups for cell in of.side(side))}
    clauses = [f"in {_number(trained)}{where} ({_kinds(trained)})" for where, trained in lost.items()]
    return f"{family} failed {listed(clauses)}." if clauses else ""


def _number(trained: Trainings) -> str:
    return f"{sum(trained.lost.values())} of {counted(trained.runs, 'run')}"


def _kinds(trained: Trainings) -> str:
    return listed([f"{number} {status}" for status, number in trained.lost.items()])


def _sentence(one: Overall, question: str, clause: Callable[[InGroup], str]) -> str:
    if len(one.groups) <= FEW:
        said = [f"at {of.group.name}{_differ(of)}: {clause(of)}" for of in one.groups]
    else:
        kinds: dict[str, list[InGroup]] = {}
        for of in one.groups:
            kinds.setdefault(_kind(of), []).append(of)
        said = [f"at {kind}: {_counts(question, some)}" for kind, some in kinds.items()]
    several = question == "better" and len(one.groups) > 1
    over = f" (p adjusted over {len(one.groups)} groups)" if several else ""
    text = "; ".join(said)
    return f"Is {one.candidate} {question} than {one.reference}{over}? {text[0].upper()}{text[1:]}."


def _costs(question: str, of: InGroup) -> str:
    """The answer to each of few pairs with its figures, or how many of many have which answer."""
    answers = of.answers[question]
    if len(answers) > FEW:
        return listed([f"{_word(question, answer)} in {answers.count(answer)}" for answer in dict.fromkeys(answers)])
    several = len(answers) > 1
    named = [f"{pair.candidate} against {pair.reference} " * several for pair in of.pairs]
    return listed([name + _cost(question, pair) for name, pair in zip(named, of.pairs, strict=True)])


def _cost(question: str, pair: Pair) -> str:
    measures = pair.lighter if question == "lighter" else pair.by_turns
    shown = [one for one in measures if one.counts and one.answer is not Answer.EQUAL]
    figures = [f"{one.unit if question == 'lighter' else one.name} x {times(one.ratio)}" for one in shown if one.ratio]
    return f"{_word(question, pair.answers[question])}{f' ({listed(figures)})' if figures else ''}"


def _better(of: InGroup) -> str:
    test = of.tested.paired
    if test is None:
        return "cannot tell, no seed is done in all"
    over = f"mean over {len(of.pairs)} pairs, " if len(of.pairs) > 1 else ""
    found = f"{signed_points(test.mean)} pp ({over}{evidence(test, of.tested.adjusted_p, asked=of.asked)})"
    return f"{_word('better', of.tested.answer)}, {found}"


def _counts(question: str, some: Sequence[InGroup]) -> str:
    """How often which answer; of accuracies with the range of their mean differences and of their numbers of seeds."""
    found: dict[Answer, list[InGroup]] = {}
    for of in some:
        for answer in of.answers[question]:
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
    words = {
        Answer.YES: yes,
        Answer.NO: no,
        Answer.IN_PART: f"{yes} in part",
        Answer.NOT_IN_PART: f"{no} in part",
        Answer.MIXED: f"{yes} in part and {no} in part",
        Answer.REFUSED: "not comparable",
    }
    return words.get(answer, str(answer))


def _kind(of: InGroup) -> str:
    group = of.group.group
    return f"equal widths{_differ(of)}" if group.by == WIDTH else f"equal {UNITS[str(group.measure)]}"


def _differ(of: InGroup) -> str:
    return " (budgets differ)" if of.group.group.by == WIDTH else ""
