"""A verdict in words: what it compared, and one sentence that answers; each answer with its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from dsbench.numerals import counted, difference_points, listed, points, quantity, times
from dsbench.quantities import QUANTITIES
from dsbench.run.record import FINAL
from dsbench.statistics.means import FEWEST, Interval
from dsbench.tables import Line
from dsbench.verdict.better import Better
from dsbench.verdict.cells import Cell
from dsbench.verdict.chips import ChipMeasure, where, winner
from dsbench.verdict.faster import short
from dsbench.verdict.groups import AS_ASKED, RECIPES, SHARED, TUNED
from dsbench.verdict.int8 import Change, Int8
from dsbench.verdict.lighter import Measure, agreed
from dsbench.verdict.recipe import Recipe
from dsbench.verdict.reliable import Reliable, Trainings
from dsbench.verdict.rule import Answer
from dsbench.verdict.verdict import INT8, Comparison, Verdict, is_of_proposal

FEW = 3  # comparisons that the headline has a clause each for
_NOUNS = {"cnn": "the conventional network", "dwsep": "the separable network", "hybrid": "the hybrid"}
_OPEN = (Answer.CANNOT_TELL, Answer.NOT_MEASURED, Answer.NOT_COMPARABLE)  # of times
_VERBS = {
    Answer.BETTER: "is more accurate",
    Answer.WORSE: "is less accurate",
    Answer.AS_GOOD: "is as accurate",
    Answer.NO_WORSE: "is no less accurate",
}


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
    return [f"{text[0].upper()}{text[1:]}.", *([rest] if rest else []), *recipes(verdict), *unfinished(verdict)]


def recipes(verdict: Verdict) -> list[str]:
    """What the recipe accounts for where each network has one of its own, and whether the answer changes.

    Empty where none was tuned.
    """
    found = verdict.recipes
    if not found:
        return []
    if all(recipe.unchanged for recipe in found):
        return ["Every network does best at the shared recipe: the answer is the same with each at its own."]
    told = [recipe for recipe in found if recipe.own is not None and not recipe.unchanged]
    out = [_recipe(recipe) for recipe in told] if len(told) <= FEW else [_recipe_counts(told)]
    for recipe in found:
        pair = described(recipe.shared).removesuffix(f" {RECIPES[SHARED]}")
        if recipe.unchanged:
            out.append(f"Both networks of a pair do best at the shared recipe, its answer is the same: {pair}.")
        elif recipe.own is None:
            out.append(f"Own recipes match no pair, so what the recipe accounts for is open: {pair}.")
    pairs = {SHARED: [one.shared for one in told], TUNED: [one.own for one in told if one.own is not None]}
    failed = {role: _failed(own) for role, own in pairs.items()}
    if any(number for number, _ in failed.values()):
        texts = [f"{number} of {counted(runs, 'run')} {RECIPES[role]}" for role, (number, runs) in failed.items()]
        out.append(f"Trainings that failed: {listed(texts)}.")
    return out


def _failed(pairs: Sequence[Comparison]) -> tuple[int, int]:
    """How many of the runs of all cells of `pairs` failed to train, and how many have ended."""
    cells = {cell.cell_id: cell for pair in pairs for cell in pair.cells}.values()
    return sum(len(cell.untrained) for cell in cells), sum(cell.ended for cell in cells)


def _recipe(recipe: Recipe) -> str:
    """What the recipe accounts for in one pair, and the answers under both."""
    assert recipe.own is not None
    pair, first, second = recipe.shared, recipe.shared.better.answer, recipe.own.better.answer
    candidate, reference = name(pair, 1), name(pair, 0)
    before, after = _verb(first, reference), _verb(second, reference)
    if first is second:
        both = f"both {RECIPES[SHARED]} and" if first in _VERBS else f"{RECIPES[SHARED]}, nor"
        answers = f"{candidate} {before} {both} {RECIPES[TUNED]}"
    else:
        answers = f"{candidate} {before} {RECIPES[SHARED]}, and {after} {RECIPES[TUNED]}"
    return f"{_accounts(recipe)}, and {_answer_changes(recipe)}: {answers}."


def _accounts(recipe: Recipe) -> str:
    """What goes away with own recipes: "The recipe accounts for 4.7 of the 5.0 points (4.1 to 5.3)"."""
    found, shared, change = recipe.accounted, recipe.shared.better, recipe.change
    if found is None or change is None or shared.mean is None:
        return "What the recipe accounts for is open"
    mean, interval = found
    decided = change.answer in (Answer.BETTER, Answer.WORSE)
    farther = decided and mean < 0
    sign = -1 if farther else 1
    half = _half(interval) if interval else mean
    ends = sorted((sign * interval.low, sign * interval.high)) if interval else []
    size, *within = (difference_points(value, half, sign="") for value in (sign * mean, *ends))
    whole = difference_points(abs(shared.mean), _half(shared.interval) if shared.interval else shared.mean, sign="")
    over = f" ({' to '.join(within)})" if within else ""
    if farther:
        return f"With own recipes the difference of {whole} points is wider by {size}{over}"
    if decided and mean > abs(shared.mean):
        return f"The recipe accounts for all of the {whole} points and more, {size}{over}"
    accounts = f"{size} of the {whole} points{over}"
    if decided or change.answer is Answer.AS_GOOD:
        return f"The recipe accounts for {accounts}"
    return f"What the recipe accounts for is open: {accounts}"


def _verb(answer: Answer, reference: str) -> str:
    if answer in (Answer.BETTER, Answer.WORSE):
        return f"{_VERBS[answer]} than {reference}"
    if answer in _VERBS:
        return f"{_VERBS[answer]} {'as' if answer is Answer.AS_GOOD else 'than'} {reference}"
    return f"cannot be told from {reference} in accuracy"


def _answer_changes(recipe: Recipe) -> str:
    assert recipe.own is not None
    answers = recipe.shared.better.answer, recipe.own.better.answer
    if not all(answer in _VERBS for answer in answers):
        return "whether the answer changes is open"
    return "the answer stays" if answers[0] is answers[1] else "the answer changes"


def _recipe_counts(found: Sequence[Recipe]) -> str:
    """Of many pairs, in how many the recipe accounts for something, and in how many the answer changes."""
    decided = [recipe for recipe in found if recipe.change and recipe.change.answer in (Answer.BETTER, Answer.WORSE)]
    nearer = sum((recipe.accounted or (0.0, None))[0] > 0 for recipe in decided)
    counts = Counter(map(_answer_changes, found))
    answers = listed([f"{words} in {number}" for words, number in counts.items()])
    return (
        f"Of {len(found)} pairs, own recipes bring {nearer} nearer to no difference, {len(decided) - nearer} farther "
        f"from it, and of {len(found) - len(decided)} neither is shown; {answers}."
    )


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
    several = len({pair.group for pair in pairs}) < len(pairs)  # pairs of one group are told apart by their labels
    named = [brief_labels(pair) if several else (name(pair, 1), name(pair, 0)) for pair in pairs]
    clauses = []
    for index, (pair, (candidate, reference)) in enumerate(zip(pairs, named, strict=True)):
        subject = "it" if index and len(set(named)) == 1 else candidate
        where = "" if index and pair.group == pairs[index - 1].group else place(pair)
        clauses.append(f"{where}{subject} {_clause(pair, reference)}")
    return "; ".join(clauses)


def name(pair: Comparison, side: int) -> str:
    """The reference, 0, or the candidate, 1: its family in words where both differ in that, else its label."""
    models = [str(cell.names["model"]) for cell in pair.cells]
    labels = (pair.reference, pair.candidate)
    return _NOUNS.get(models[side], labels[side]) if models[0] != models[1] else labels[side]


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
    saves = {cost.name: 1 - cost.ratio for cost in costs if cost.ratio is not None and not _equal(cost)}
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


def place(pair: Comparison) -> str:
    """Where two networks were compared, before what is said of them: "at 7,800 parameters "."""
    return f"{pair.group}, " if pair.group.startswith(AS_ASKED) else f"at {pair.group} "


def _accuracy(pair: Comparison, reference: str) -> str:
    better = pair.better
    if better.answer is Answer.TOO_FEW:
        return f"differs from {reference} by {signed(better)} (too few runs to tell: {FEWEST} a side decide)"
    if better.answer is Answer.CANNOT_TELL:
        return f"cannot be told from {reference} in accuracy ({signed(better)}{would_decide(better)})"
    fragile = " (fragile)" * bool(better.fragile)
    if better.answer in (Answer.BETTER, Answer.WORSE):
        than = f" than {reference}" if reference == pair.reference else ""
        return f"{_VERBS[better.answer]}{than} by {sized(better)}{fragile}"
    return f"{_VERBS[better.answer]} to within {points(better.margin)} points ({signed(better)}){fragile}"


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


def sized(better: Better) -> str:
    """A difference without its sign, and its interval: 3.7 points (3.3 to 4.2)."""
    assert better.mean is not None
    if better.interval is None:
        return f"{points(better.mean)} points"
    ends = sorted((abs(better.interval.low), abs(better.interval.high)))
    half = (better.interval.high - better.interval.low) / 2
    size, low, high = (difference_points(value, half, sign="") for value in (abs(better.mean), *ends))
    return f"{size} points ({low} to {high})"


def signed(better: Better) -> str:
    """A difference with its sign, and its interval: -0.9 points (-1.5 to -0.2)."""
    assert better.mean is not None
    if better.interval is None:
        return f"{difference_points(better.mean, better.mean)} points"
    return f"{difference_points(better.mean, _half(better.interval))} points {within(better.interval)}"


def within(interval: Interval) -> str:
    """An interval of a difference: (-1.5 to -0.2)."""
    low, high = (difference_points(end, _half(interval)) for end in (interval.low, interval.high))
    return f"({low} to {high})"


def _half(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


def would_decide(better: Better) -> str:
    """What would decide: a number of seeds, or none on these images; empty where no number is known."""
    if better.images_cannot_tell:
        return f"; {better.images_cannot_tell:,} test images cannot tell, whatever the seeds"
    if better.seeds_to_decide is None:
        return ""
    return f"; about {better.seeds_to_decide:,} seeds a side would decide"


def summary(pair: Comparison, question: str) -> list[Line]:
    """The answer to a question, then its figures, a line each; where it is mixed in times, a line for each answer."""
    if question == "lighter":
        costs = [*pair.lighter, *(one for one in pair.chips if one.judged and not one.timed)]
        return _lines(pair.answers[question], [cost(measure) for measure in costs if not _equal(measure)])
    if question == "faster":
        return _faster(pair)
    if question == "better":
        return _lines(pair.better.answer, _better(pair.better))
    if question == INT8:
        return _lines(pair.int8[0].answer, _int8(pair.int8[0])) if pair.int8 else _lines(Answer.NOT_MEASURED, [])
    return _lines(pair.reliable.answer, _reliable(pair.reliable))


def _lines(answer: Answer, figures: Sequence[str]) -> list[Line]:
    return [Line.of(answer), *(Line.of(None, text) for text in figures)]


def _equal(measure: Measure) -> bool:
    return measure.answer is Answer.EQUAL


def cost(measure: Measure) -> str:
    """A cost against the reference's: acts x 4.4, tflm arena x 1.2, ethos_u55_128 cycles (estimate) x 1.4."""
    if isinstance(measure, ChipMeasure):
        what = f"{measure.chip} {QUANTITIES[measure.figure].heading}"
    else:
        what = QUANTITIES[measure.name].brief
    return f"{what} {ratio(measure) or measure.reason}"


def ratio(measure: Measure) -> str:
    """A ratio with its interval: x 2.57 (2.3 to 2.9)."""
    if measure.ratio is None:
        return ""
    ends = measure.interval
    return f"x {times(measure.ratio)}" + (f" ({times(ends.low)} to {times(ends.high)})" if ends else "")


def _faster(pair: Comparison) -> list[Line]:
    """Training step, latency of one image and of many, here and on chips that are timed.

    One answer where all agree, else mixed, what is open last.
    """
    deciding = [measure for measure in pair.times if measure.decides]
    told = [measure for measure in deciding if measure.ratio is not None]
    if not told:
        return _lines(Answer.NOT_MEASURED, [])
    answer = agreed(deciding)
    if answer is not Answer.MIXED:
        reasons = dict.fromkeys(measure.reason for measure in told if measure.reason)
        return _lines(answer, [*(f"{_brief(measure)} {ratio(measure)}" for measure in told), *reasons])
    by_answer: dict[Answer, list[str]] = {}
    for measure in sorted(deciding, key=lambda measure: measure.answer in _OPEN):
        by_answer.setdefault(measure.answer, []).append(f"{_brief(measure)} {ratio(measure) or measure.reason}")
    return [Line.of(answer), *(Line.of(each, ", ".join(figures)) for each, figures in by_answer.items())]


def _brief(measure: Measure) -> str:
    return measure.where if isinstance(measure, ChipMeasure) else short(measure.name)


def _int8(int8: Int8) -> list[str]:
    """The difference of the changes with its interval, then the change of each side."""
    half = _half(int8.interval) if int8.interval else int8.mean
    out = [f"{difference_points(int8.mean, half)} points"]
    out += [within(int8.interval)] if int8.interval else []
    return [*out, f"{changed(int8.candidate)} and {changed(int8.reference)}"]


def changed(change: Change) -> str:
    """What int8 changes the accuracy of a cell by, in points, to as many digits as its interval bears."""
    return difference_points(change.mean, _half(change.interval) if change.interval else change.mean)


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


def _better(better: Better) -> list[str]:
    if better.mean is None:
        return ["no run is done on a side"]
    half = better.interval and _half(better.interval)
    out = [f"{difference_points(better.mean, half or better.mean)} points"]
    out += [within(better.interval)] if better.interval else []
    if better.answer is Answer.TOO_FEW:
        return [*out, f"{FEWEST} runs a side decide"]
    if better.answer in (Answer.BETTER, Answer.WORSE) and better.margin:
        assert better.interval is not None
        inside = max(abs(better.interval.low), abs(better.interval.high)) < better.margin
        out += [f"by {'more' if better.beyond else 'less'} than {points(better.margin)}"] * (better.beyond or inside)
    if better.images_cannot_tell:
        out.append(f"{better.images_cannot_tell:,} images cannot tell")
    elif better.seeds_to_decide:
        out.append(f"about {better.seeds_to_decide:,} seeds would")
    return out + ["fragile"] * bool(better.fragile)


def _reliable(reliable: Reliable) -> list[str]:
    after, before = reliable.candidate, reliable.reference
    if not (after.n and before.n):
        return []
    out = [f"{after.failed} of {after.n} and {before.failed} of {before.n} failed"]
    highest = dict.fromkeys(f"{100 * side.interval.high:.0f} %" for side in (after, before) if side.interval)
    if reliable.answer is Answer.NO_DIFFERENCE:
        out.append(f"{'each ' * (len(highest) == 1)}below {' and '.join(highest)}")
    return out


def trainings(side: Trainings) -> str:
    """k of n with the interval of the share: 3 of 8 (9 to 76 %)."""
    if side.interval is None:
        return f"{side.failed} of {side.n}"
    low, high = (f"{100 * end:.0f}" for end in (side.interval.low, side.interval.high))
    return f"{side.failed} of {side.n} ({low} to {high} %)"


def described(pair: Comparison) -> str:
    """A comparison by its names and its group."""
    candidate, reference = brief_labels(pair)
    return f"{candidate} against {reference}, {place(pair)}".rstrip(" ,").replace(", at ", " at ")


def brief_labels(pair: Comparison) -> tuple[str, str]:
    """The labels of the candidate and of the reference, without what the name of their group says already."""

    def brief(label: str) -> str:
        parts = label.split(", ")
        return ", ".join([parts[0], *(part for part in parts[1:] if f" {part}," not in f" {pair.group},")])

    return brief(pair.candidate), brief(pair.reference)


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
