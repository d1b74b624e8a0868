"""A verdict in words: what it compared, and one sentence that answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from dsbench.numerals import counted, difference_points, listed, points, quantity, times
from dsbench.quantities import QUANTITIES
from dsbench.run.record import FINAL
from dsbench.statistics.means import FEWEST
from dsbench.verdict.cells import Cell
from dsbench.verdict.chips import where, winner
from dsbench.verdict.lighter import Measure
from dsbench.verdict.recipe import recipe_sentences
from dsbench.verdict.reliable import Reliable
from dsbench.verdict.rule import Answer
from dsbench.verdict.verdict import Comparison, Verdict, is_of_proposal
from dsbench.verdict.words import (
    FEW,
    VERBS,
    brief_labels,
    name,
    place,
    ratio,
    signed,
    sized,
    told_apart,
    would_decide,
)


def title(verdict: Verdict) -> str:
    """What was compared on what: "cnn and dwsep on cifar10, plain, 10 epochs"."""
    cells = verdict.cells
    models = listed(list(dict.fromkeys(str(cell.names["model"]) for cell in cells)))
    data = listed(sorted({str(cell.names["data"]) for cell in cells}))
    archs = list(dict.fromkeys(str(cell.names["arch"]) for cell in cells))
    ends = sorted({length for cell in cells if (length := _length(cell))})
    shown = [f"{models} on {data}", *(archs if len(archs) == 1 else []), *([listed(ends)] if len(ends) == 1 else [])]
    return ", ".join(shown)


def _length(cell: Cell) -> str:
    by, target = cell.recipe.get("stop.by"), cell.recipe.get("stop.target")
    if by is None or target is None:
        return ""
    words = {"epochs": "epoch", "seconds": "second", "train_macs": "training MAC"}
    return counted(int(target), words[by]) if by == "epochs" else f"{quantity(target)} {words[by]}s"


def headline(verdict: Verdict, with_others: bool = True) -> list[str]:
    """One sentence on the headline's pairs, and one more on the other pairs and where runs have no result."""
    pairs = verdict.headline
    if not pairs:
        nothing = "There is nothing to compare yet: no two cells share data, recipe and a budget or a width."
        return [nothing, *unfinished(verdict)]
    if is_of_proposal(pairs[0].cells):
        text = "; ".join(map(_proposed, pairs))
    else:
        text = _each(pairs) if len(pairs) <= FEW else _counts(pairs)
    rest = others(verdict, len(pairs)) if with_others else ""
    return [
        f"{text[0].upper()}{text[1:]}.",
        *([rest] if rest else []),
        *recipe_sentences(verdict.recipes),
        *unfinished(verdict),
    ]


def others(verdict: Verdict, leading: int) -> str:
    """What the pairs after the first `leading` come to in accuracy, family by family; empty where there is none."""
    by_families: dict[str, Counter[str]] = {}
    for pair in verdict.comparisons[leading:]:
        reference, candidate = (str(cell.names["model"]) for cell in pair.cells)
        by_families.setdefault(f"{candidate} against {reference}", Counter())[str(pair.better.answer)] += 1
    texts = [
        f"{families} {listed([f'{answer} in {number}' for answer, number in answers.items()])}"
        for families, answers in by_families.items()
    ]
    return f"Of the other pairs in test accuracy: {'; '.join(texts)}." if texts else ""


def _each(pairs: Sequence[Comparison]) -> str:
    """A clause a pair; the networks are named once where they are the same in all."""
    named = told_apart(pairs)
    clauses = []
    for index, (pair, (candidate, reference)) in enumerate(zip(pairs, named, strict=True)):
        subject = "it" if index and len(set(named)) == 1 else candidate
        where = "" if index and pair.group == pairs[index - 1].group else place(pair)
        clauses.append(f"{where}{subject} {_clause(pair, reference)}")
    return "; ".join(clauses)


def _clause(pair: Comparison, reference: str) -> str:
    """The accuracy, then the training step: "is more accurate by 3.7 points (3.3 to 4.2) and takes ..."."""
    if pair.better.mean is None:
        return f"cannot be compared with {reference} in accuracy: {_without_result(pair)}"
    return listed([_accuracy(pair, reference), *_step(pair), *_failing(pair.reliable)])


def _proposed(pair: Comparison) -> str:
    """What came of a hybrid that was proposed: "the hybrid [plain,separable] lost 0.9 points (...) and saves ..."."""
    pattern = str(pair.cells[1].network.get("model.pattern") or "")
    for digit, word in (("0", "plain"), ("1", "separable")):  # what a design has listed, to be read
        pattern = pattern.replace(digit, word) if pattern.startswith("[") else pattern
    hybrid = f"the hybrid {pattern}" if pattern else "the hybrid, of which every slot is separable,"
    reference, where = name(pair, 0), place(pair).rstrip(" ,")
    if pair.better.mean is None:
        return f"{hybrid} {_clause(pair, reference)}, {where}"
    costs = sorted(pair.lighter, key=lambda cost: cost.name != "macs")
    saves = {cost.name: 1 - cost.ratio for cost in costs if cost.ratio is not None and cost.answer is not Answer.EQUAL}
    clauses = [_kept(pair, reference), *saved("saves", saves), *_step(pair), *_failing(pair.reliable)]
    return f"{hybrid} {listed(clauses)}, {where}"


def _kept(pair: Comparison, reference: str) -> str:
    """The accuracy of what was to lose no more than the margin."""
    better = pair.better
    fragile = " (fragile)" * bool(better.fragile)
    if better.answer in (Answer.AS_GOOD, Answer.NO_WORSE):
        return f"kept the accuracy of {reference} to within {points(better.margin)} points ({signed(better)}){fragile}"
    if better.answer is Answer.BETTER:
        return f"gained {sized(better)}{fragile} against {reference}"
    if better.answer is not Answer.WORSE or better.interval is None:
        return _accuracy(pair, reference)
    size = "less" if better.interval.low >= -better.margin else "more" if better.beyond else "perhaps more"
    beside = f", {size} than the margin of {points(better.margin)}," if better.margin else ""
    return f"lost {sized(better)}{fragile}{beside} against {reference}"


def saved(saves: str, shares: Mapping[str, float]) -> list[str]:
    """What is saved of costs, by name the share of each: "saves 42 % of the MACs, with 10 % more of the activations".

    Costs come in the order of `shares`, bytes aside, which go with the parameters. Empty where none changes by a
    percent.
    """
    by_percent = [(cost, round(100 * share)) for cost, share in shares.items() if cost != "bytes"]
    less = [f"{share} % of the {_noun(cost)}" for cost, share in by_percent if share > 0]
    more = [f"{-share} % more of the {_noun(cost)}" for cost, share in by_percent if share < 0]
    if not less:
        return [f"needs {listed(more)}"] if more else []
    return [f"{saves} {listed(less)}{f', with {listed(more)}' if more else ''}"]


def _noun(cost: str) -> str:
    return QUANTITIES[cost].wording.removesuffix(" at batch 1")


def _without_result(pair: Comparison) -> str:
    """How many of the runs of either are done."""
    counts = [f"{len(cell.done)} of {counted(len(cell.runs), 'run')} of {cell.label}" for cell in reversed(pair.cells)]
    return f"{listed(counts)} are done"


def _accuracy(pair: Comparison, reference: str) -> str:
    better = pair.better
    if better.answer is Answer.TOO_FEW:
        return f"differs from {reference} by {signed(better)} (too few runs to tell: {FEWEST} a side decide)"
    if better.answer is Answer.CANNOT_TELL:
        return f"cannot be told from {reference} in accuracy ({signed(better)}{would_decide(better)})"
    fragile = " (fragile)" * bool(better.fragile)
    if better.answer in (Answer.BETTER, Answer.WORSE):
        than = f" than {reference}" if reference == pair.reference else ""
        return f"{VERBS[better.answer]}{than} by {sized(better)}{fragile}"
    return f"{VERBS[better.answer]} to within {points(better.margin)} points ({signed(better)}){fragile}"


def _step(pair: Comparison) -> list[str]:
    """The training step, where it was measured."""
    step = next((measure for measure in pair.measured if measure.decides and measure.ratio is not None), None)
    if step is None or step.ratio is None or step.answer in (Answer.NOT_COMPARABLE, Answer.CANNOT_TELL):
        return []
    if step.answer is Answer.AS_FAST:
        return [f"takes as long a {step.name}"]
    return [f"takes {times(step.ratio)} times as long a {step.name}"]


def _failing(reliable: Reliable) -> list[str]:
    after, before = reliable.candidate, reliable.reference
    if not after.failed + before.failed:
        return []
    return [f"failed to train in {after.failed} of {counted(after.n, 'run')} against {before.failed} of {before.n}"]


def _counts(pairs: Sequence[Comparison]) -> str:
    """How often which answer, with the range of the differences."""
    by_answer: dict[Answer, list[float]] = {}
    for pair in pairs:
        by_answer.setdefault(pair.better.answer, []).append(pair.better.mean or 0.0)
    families = dict.fromkeys((name(pair, 1), name(pair, 0)) for pair in pairs)
    both = next(iter(families)) if len(families) == 1 else ("the second network", "the first")
    texts = [f"{answer} in {len(means)} ({_range(means)} points)" for answer, means in by_answer.items()]
    return f"test accuracy over {len(pairs)} comparisons, {both[0]} against {both[1]}: {listed(texts)}"


def _range(means: Sequence[float]) -> str:
    low, high = (difference_points(mean, mean) for mean in (min(means), max(means)))
    return low if low == high else f"{low} to {high}"


def winners(verdict: Verdict) -> list[str]:
    """A sentence a comparison on which network is ahead where, of a few; of many, in how many the winner changes."""
    pairs = verdict.comparisons
    found = where([(pair.measured, pair.chips) for pair in pairs])
    if found is None:
        return []
    if len(pairs) > FEW:
        both = sum(set(map(_ahead, column)) >= {1, -1} for column in zip(*found.measures, strict=True))
        return [f"The winner changes with the chip in {both} of {len(pairs)} comparisons."]
    return [
        sentence
        for pair, column in zip(pairs, zip(*found.measures, strict=True), strict=True)
        if (sentence := _winner(pair, [row for row, _ in found.rows], column))
    ]


def _ahead(measure: Measure | None) -> int | None:
    """See dsbench.verdict.chips.winner; None where nothing is known, and of what they are matched by."""
    return None if measure is None or measure.ratio is None or measure.matched else winner(measure)


def _winner(pair: Comparison, chips: Sequence[str], column: Sequence[Measure | None]) -> str:
    ahead: dict[int, list[str]] = {}
    for chip, measure in zip(chips, column, strict=True):
        side = _ahead(measure)
        if measure is not None and side is not None:
            ahead.setdefault(side, []).append(f"{chip} ({ratio(measure).partition(' (')[0]})")
    if not ahead:
        return ""
    families = len({str(cell.names["model"]) for cell in pair.cells}) > 1
    named = [name(pair, side) if families else brief_labels(pair)[1 - side] for side in (0, 1)]
    clauses = [f"{named[side > 0]} is ahead on {listed(ahead[side])}" for side in (1, -1) if side in ahead]
    clauses += [f"neither is on {listed(ahead[0])}"] if 0 in ahead else []
    changes = "the winner changes with the chip: " if {1, -1} <= ahead.keys() else ""
    return _capital(f"{place(pair)}{changes}{'; '.join(clauses)}.")


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


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
