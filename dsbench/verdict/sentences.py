"""A verdict in sentences: the headline, a paragraph a pair, what holds over all groups, and what is missing."""

from __future__ import annotations

import shlex
from collections import Counter
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
from dsbench.verdict.pair_sentences import (
    evidence,
    failure_sentences,
    pair_sentences,
    seeds_of,
    too_few_beside_others,
    too_few_seeds,
    would_change,
)
from dsbench.verdict.verdict import Compared, InGroup, Judged, Overall, Pair, Verdict

FEW = 3  # groups, or pairs in a group, that have a clause each
MOST = 12  # names or runs that a sentence lists
LONGER_SECONDS = 60  # of each measurement of each network, where those of a few seconds did not settle
BY = {BUDGET: "a matched budget", WIDTH: "matched in width alone, so that budgets differ", ASKED: "as asked"}
_QUESTIONS = {  # what yes and no are called
    "lighter": ("lighter", "heavier"),
    "faster": ("faster", "slower"),
    "better": ("better", "worse"),
}


def headline(verdict: Verdict) -> list[str]:
    """One sentence to each question, or one that says why there is none; one more where runs have no result.

    They say what the sweep says over all its groups, adjusted for all of them (see dsbench.verdict.verdict.Overall);
    of a group alone that is one pair what that pair says, which is the same. What has failed to train, and whether that
    would change an answer, stands beside the last.
    """
    overall = verdict.overall
    if overall is None:
        nothing = "There is nothing to compare yet: no two families share data, recipe and a budget or a width."
        return [nothing, *unfinished(verdict)]
    group = overall.groups[0].group
    if len(overall.groups) > 1 or len(group.pairs) > 1:
        return [*overall_sentences(overall), *unfinished(verdict)]
    ((pair, cells),) = group.compared
    lighter, faster, better = pair_sentences(pair, *cells)[:3]
    clause = lighter[0].lower() + lighter[1:] if lighter.startswith(("What ", "Whether ")) else lighter
    with_failures = " ".join([better, *failure_sentences(*cells, pair.better)])
    return [f"At {group.name}, {clause}", faster, with_failures, *unfinished(verdict)]


def paragraphs(verdict: Verdict, outputs: Path | str = "outputs", most: int | None = None) -> list[str]:
    """All that a verdict says: each group, a paragraph a pair, then what holds over all groups, then what is missing.

    At most `most` pairs are put into words, else all.
    """
    over = []
    if verdict.overall and len(verdict.overall.groups) > 1:
        text = " ".join(overall_sentences(verdict.overall))
        over.append(f"Over {len(verdict.overall.groups)} groups, {text[0].lower()}{text[1:]}")
    return [*group_paragraphs(verdict, most), *over, *unfinished(verdict), *missing(verdict, outputs)]


def group_paragraphs(verdict: Verdict, most: int | None = None) -> list[str]:
    """A paragraph a pair, group by group, of at most `most` pairs, and what so many seeds cannot settle."""
    out: list[str] = []
    left = sum(len(judged.pairs) for judged in verdict.groups)
    room = left if most is None else most
    for judged in verdict.groups:
        shown = judged.compared[:room]
        room, left = room - len(shown), left - len(shown)
        if shown:
            out += _group(judged, shown)
    return [*out, f"{counted(left, 'more pair')} in dsbench verdict."] if left else out


def _group(judged: Judged, shown: Sequence[Compared]) -> Iterator[str]:
    group = judged.group
    by = BY[group.by] + (" as built" if group.by == BUDGET and not group.requested else "")
    for pair, cells in shown:
        yield " ".join([f"{judged.name} ({by}):", *pair_sentences(pair, *cells)])
    if too_few := too_few_seeds(judged.seeds, len(judged.pairs)):
        yield f"{judged.name}: {too_few}"
    else:  # some pairs may have fewer seeds in common than others
        for pair in judged.pairs:
            if too_few := too_few_beside_others(pair.better):
                yield f"{judged.name}, {pair.candidate} against {pair.reference}: {too_few}"
    if judged.factorial:
        yield f"{judged.name}: {factorial_sentence(judged.factorial)}"


def factorial_sentence(factorial: Factorial) -> str:
    """The effects of block and topology, and whether so many seeds can settle them."""
    if not factorial.seeds:
        return "block and topology apart: there is no seed in which all four are done."
    seeds, effects = len(factorial.seeds), factorial.effects
    sentences = [
        f"block and topology apart ({seeds_of(seeds, factorial.asked)}): {'; '.join(map(_effect, effects))}.",
        too_few_seeds(seeds, len(effects)),
    ]
    if factorial.with_failures is not None:
        both = zip(effects, factorial.with_failures, strict=True)
        changed = [(f"on the {before.name}", after.answer) for before, after in both if before.answer != after.answer]
        sentences.insert(1, would_change(changed))
    return " ".join(filter(None, sentences))


def _effect(effect: Effect) -> str:
    assert effect.paired is not None
    spread = (
        [f"95 % interval {interval_points(effect.paired.t.low, effect.paired.t.high)} pp"] if effect.paired.t else []
    )
    p = [f"adjusted {p_equals(effect.adjusted_p)}"] if effect.adjusted_p is not None else []
    return f"{effect.name} {signed_points(effect.paired.mean)} pp ({', '.join([effect.what, *spread, *p])})"


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
    if names := verdict.unmatched:
        shown = [*names[:MOST], f"{len(names) - MOST} more"] if len(names) > MOST + 1 else names
        yield f"In no group: {'; '.join(shown)}."
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


def overall_sentences(overall: Overall) -> list[str]:
    """Lighter, faster and better in a sentence each: of few groups a clause each, of many a clause a kind of group.

    Failures of training, and too few seeds, stand beside the last.
    """
    lighter = _sentence(overall, "lighter", partial(_costs, "lighter"))
    faster = _sentence(overall, "faster", partial(_costs, "faster"))
    better = _sentence(overall, "better", _better)
    too_few = too_few_seeds(overall.seeds, len(overall.groups))
    return [lighter, faster, " ".join(filter(None, [better, *failures(overall), too_few]))]


def _sentence(overall: Overall, question: str, clause: Callable[[InGroup], str]) -> str:
    if len(overall.groups) <= FEW:
        clauses = [f"at {part.group.name}{_budgets_differ(part)}: {clause(part)}" for part in overall.groups]
    else:
        kinds: dict[str, list[InGroup]] = {}
        for part in overall.groups:
            kinds.setdefault(_kind(part), []).append(part)
        clauses = [f"at {kind}: {_counts(question, parts)}" for kind, parts in kinds.items()]
    several = question == "better" and len(overall.groups) > 1
    over = f" (p adjusted over {len(overall.groups)} groups)" if several else ""
    text = "; ".join(clauses)
    return f"Is {overall.candidate} {question} than {overall.reference}{over}? {text[0].upper()}{text[1:]}."


def _costs(question: str, part: InGroup) -> str:
    """The answer to each of few pairs with its figures, or how many of many have which answer."""
    answers = part.answers[question]
    if len(answers) > FEW:
        return listed([f"{_word(question, answer)} in {answers.count(answer)}" for answer in dict.fromkeys(answers)])
    several = len(answers) > 1
    return listed(
        [f"{pair.candidate} against {pair.reference} " * several + _cost(question, pair) for pair in part.pairs]
    )


def _cost(question: str, pair: Pair) -> str:
    lighter = question == "lighter"
    measures = pair.lighter if lighter else pair.by_turns
    shown = [measure for measure in measures if measure.counts and measure.answer is not Answer.EQUAL]
    figures = [
        f"{measure.unit if lighter else measure.name} x {times(measure.ratio)}" for measure in shown if measure.ratio
    ]
    return f"{_word(question, pair.answers[question])}{f' ({listed(figures)})' if figures else ''}"


def _better(part: InGroup) -> str:
    test = part.tested.paired
    if test is None:
        return "cannot tell, no seed is done in all"
    over = f"mean over {len(part.pairs)} pairs, " if len(part.pairs) > 1 else ""
    rests_on = evidence(test, part.tested.adjusted_p, asked=part.asked)
    return f"{_word('better', part.tested.answer)}, {signed_points(test.mean)} pp ({over}{rests_on})"


def _counts(question: str, parts: Sequence[InGroup]) -> str:
    """How often which answer; of accuracies with the range of their mean differences and of their numbers of seeds."""
    by_answer: dict[Answer, list[InGroup]] = {}
    for part in parts:
        for answer in part.answers[question]:
            by_answer.setdefault(answer, []).append(part)
    text = listed(
        [
            f"{_word(question, answer)} in {len(where)}{_range(where) if question == 'better' else ''}"
            for answer, where in by_answer.items()
        ]
    )
    if question != "better":
        return text
    seeds, asked = sorted({len(part.tested.seeds) for part in parts}), max(part.asked for part in parts)
    n = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    return f"{text}, n = {n}{f' of {asked}' if seeds[0] < asked else ''} seeds"


def _range(parts: Sequence[InGroup]) -> str:
    means = sorted(part.tested.paired.mean for part in parts if part.tested.paired)
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


def _kind(part: InGroup) -> str:
    group = part.group.group
    return (
        f"equal widths{_budgets_differ(part)}"
        if group.by == WIDTH
        else f"equal {QUANTITIES[str(group.measure)].wording}"
    )


def _budgets_differ(part: InGroup) -> str:
    return " (budgets differ)" if part.group.group.by == WIDTH else ""


def failures(overall: Overall) -> list[str]:
    """A sentence on each family of which runs have failed, and whether counting them would change an answer."""
    out = [sentence for side in (1, 0) if (sentence := _failed(overall, side))]
    if all(part.with_failures == part.tested for part in overall.groups):
        return out
    changed = [part for part in overall.groups if part.with_failures.answer is not part.tested.answer]
    answers = [(f"at {part.group.name}", _word("better", part.with_failures.answer)) for part in changed]
    return [*out, would_change(answers)]


def _failed(overall: Overall, side: int) -> str:
    """Of few groups with failures a clause each, of many what they come to; empty where none has failed."""
    by_group = {part.group.name: part.side(side) for part in overall.groups}
    lost = {f" at {name}" * (len(by_group) > 1): text for name, cells in by_group.items() if (text := _lost(cells))}
    if len(lost) > FEW and (total := _lost([cell for part in by_group.values() for cell in part])):
        lost = {f" over {len(by_group)} groups": total}
    clauses = [f"in {number}{where} ({kinds})" for where, (number, kinds) in lost.items()]
    return f"{(overall.reference, overall.candidate)[side]} failed {listed(clauses)}." if clauses else ""


def _lost(cells: Sequence[Cell]) -> tuple[str, str] | None:
    """How many of the runs of these cells ended without being done, and by status; None where none did."""
    known = {cell.cell_id: cell for cell in cells}.values()
    statuses = Counter(run.status for cell in known for run in (*cell.untrained, *cell.without_result))
    if not statuses:
        return None
    runs = sum(cell.ended + len(cell.without_result) for cell in known)
    kinds = listed([f"{number} {status}" for status, number in statuses.items()])
    return f"{statuses.total()} of {counted(runs, 'run')}", kinds
