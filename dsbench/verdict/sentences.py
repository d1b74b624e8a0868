"""What holds over all groups, in a sentence for each question."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from dsbench.numerals import counted, interval_points, listed, p_equals, signed_points, times
from dsbench.quantities import QUANTITIES
from dsbench.run.record import FINAL
from dsbench.verdict.answers import Answer
from dsbench.verdict.better import Effect, Factorial
from dsbench.verdict.cells import Cell
from dsbench.verdict.groups import ASKED, BUDGET, WIDTH
from dsbench.verdict.overall import InGroup, Judged, Overall, Pair, Trainings
from dsbench.verdict.pair_sentences import (
    better_sentence,
    evidence,
    failure_sentences,
    faster_sentence,
    lighter_sentence,
    seeds_of,
    settled,
    settled_beside,
    training_sentence,
    would_change,
)
from dsbench.verdict.verdict import Verdict

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
    return f"equal widths{_differ(of)}" if group.by == WIDTH else f"equal {QUANTITIES[str(group.measure)].wording}"


def _differ(of: InGroup) -> str:
    return " (budgets differ)" if of.group.group.by == WIDTH else ""


MOST = 12  # names or runs that a sentence lists
LONGER_SECONDS = 60  # of each measurement of each network, where those of a few seconds did not settle
BY = {BUDGET: "a matched budget", WIDTH: "matched in width alone, so that budgets differ", ASKED: "as asked"}


def paragraphs(verdict: Verdict, outputs: Path | str = "outputs", most: int | None = None) -> list[str]:
    """All that a verdict says: each group, a paragraph a pair, then what holds over all groups, then what is missing.

    At most `most` pairs are put into words, else all.
    """
    over = []
    if verdict.overall and len(verdict.overall.groups) > 1:
        three = " ".join(overall_sentences(verdict.overall))
        over.append(f"Over {len(verdict.overall.groups)} groups, {three[0].lower()}{three[1:]}")
    return [*group_paragraphs(verdict, most), *over, *unfinished(verdict), *missing(verdict, outputs)]


def group_paragraphs(verdict: Verdict, most: int | None = None) -> list[str]:
    """A paragraph a pair, group by group, of at most `most` pairs, and what so many seeds cannot settle."""
    said: list[str] = []
    left = sum(len(judged.pairs) for judged in verdict.groups)
    room = left if most is None else most
    for judged in verdict.groups:
        shown = judged.compared[:room]
        room, left = room - len(shown), left - len(shown)
        if shown:
            said += _group(judged, shown)
    if left:
        said.append(f"{counted(left, 'more pair')} in dsbench verdict.")
    return said


def pair_sentences(pair: Pair, reference: Cell, candidate: Cell) -> list[str]:
    """Lighter, faster and better in a sentence each, then what belongs beside them."""
    three = [
        lighter_sentence(pair.reference, pair.candidate, pair.lighter),
        faster_sentence(pair.by_turns),
        better_sentence(pair.better),
    ]
    besides = [
        *failure_sentences(reference, candidate, pair.better),
        training_sentence(pair.trained, pair.better.comparisons),
    ]
    return [*three, *filter(None, besides)]


def factorial_sentence(found: Factorial) -> str:
    """The effects of block and topology, and whether so many seeds can settle them."""
    if not found.seeds:
        return "block and topology apart: there is no seed in which all four are done."
    n = seeds_of(len(found.seeds), found.asked)
    said = f"block and topology apart ({n}): {'; '.join(map(_effect, found.effects))}."
    return " ".join(filter(None, [said, _counted_in(found), settled(len(found.seeds), len(found.effects))]))


def _counted_in(found: Factorial) -> str:
    """Whether runs that collapsed or diverged, counted in, would change an answer; empty where there are none."""
    if found.with_failures is None:
        return ""
    both = zip(found.effects, found.with_failures, strict=True)
    return would_change([(f"on the {one.name}", again.answer) for one, again in both if one.answer is not again.answer])


def _group(judged: Judged, shown: Sequence[tuple[Pair, tuple[Cell, Cell]]]) -> Iterator[str]:
    group = judged.group
    by = BY[group.by] + (" as built" if group.by == BUDGET and not group.requested else "")
    for pair, cells in shown:
        yield " ".join([f"{judged.name} ({by}):", *pair_sentences(pair, *cells)])
    too_few = settled(judged.seeds, len(judged.pairs))
    if too_few:
        yield f"{judged.name}: {too_few}"
    else:
        yield from _fewer(judged)
    if judged.factorial:
        yield f"{judged.name}: {factorial_sentence(judged.factorial)}"


def _fewer(judged: Judged) -> Iterator[str]:
    """The pairs that have too few seeds in common where others have enough."""
    for pair in judged.pairs:
        too_few = settled_beside(pair.better)
        if too_few:
            yield f"{judged.name}, {pair.candidate} against {pair.reference}: {too_few}"


def _effect(one: Effect) -> str:
    assert one.paired is not None
    said = f"{one.name} {signed_points(one.paired.mean)} pp"
    spread = [f"95 % interval {interval_points(one.paired.t.low, one.paired.t.high)} pp"] if one.paired.t else []
    p = [f"adjusted {p_equals(one.adjusted_p)}"] if one.adjusted_p is not None else []
    return f"{said} ({', '.join([one.what, *spread, *p])})"


def unfinished(verdict: Verdict) -> list[str]:
    """One sentence on the runs without a result, where there are some."""
    if not verdict.unfinished:
        return []
    total = sum(verdict.statuses.values())
    kinds = listed([f"{number} {status}" for status, number in verdict.statuses.items() if status not in FINAL])
    if verdict.unfinished == total:
        return [f"None of {counted(total, 'run')} has a result ({kinds}): this is what their costs say."]
    has = "has" if verdict.unfinished == 1 else "have"
    return [
        f"{verdict.unfinished} of {counted(total, 'run')} {has} no result ({kinds}): this is the verdict on the others."
    ]


def missing(verdict: Verdict, outputs: Path | str = "outputs") -> Iterator[str]:
    """What a verdict lacks: groups, matched budgets, measurements; with the command that would add it."""
    if not verdict.groups:
        yield "No two cells share data, recipe and either a budget or a width: there is nothing to compare."
    if verdict.unmatched:
        yield f"In no group: {_some(verdict.unmatched)}."
    if verdict.to_measure:
        yield (
            "What is faster is measured by turns, best with nothing else running, by: "
            f"{_bench(verdict.to_measure, outputs)}"
        )
    if verdict.unsettled:
        yield (
            f"The times of {counted(len(verdict.unsettled), 'cell')} were measured, but not often enough to settle "
            "which is faster. More time would help: "
            f"{_bench(verdict.unsettled, outputs, LONGER_SECONDS)}"
        )


def _bench(run_ids: Sequence[str], outputs: Path | str, seconds: int | None = None) -> str:
    """The command that measures these runs; of many that of their sweep."""
    folders = [str(Path(outputs) / "runs" / run_id) for run_id in run_ids]
    if len(run_ids) > MOST:
        folders = [str(Path(outputs) / "sweeps" / "NAME")]
    longer = f"--seconds={seconds} " if seconds else ""
    return f"dsbench bench {longer}{shlex.join(folders)}"


def _some(names: Sequence[str]) -> str:
    """The names, of many the first."""
    return "; ".join([*names[:MOST], f"{len(names) - MOST} more"] if len(names) > MOST + 1 else names)


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
