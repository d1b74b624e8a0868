"""Is it the recipe? What of a difference goes away where each network has a recipe of its own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dsbench.numerals import counted, difference_points, listed
from dsbench.statistics.means import Interval
from dsbench.verdict.better import Better, Correct, better
from dsbench.verdict.cells import Cell
from dsbench.verdict.groups import RECIPES, SHARED, TUNED
from dsbench.verdict.rule import Answer, Family, Rule
from dsbench.verdict.words import FEW, VERBS, brief_labels, described, name

if TYPE_CHECKING:
    from dsbench.verdict.verdict import Comparison, Judged


@dataclass(frozen=True)
class Recipe:
    """A pair under the shared recipe, and the same networks with each at its own, `own`.

    `change` is the difference of `own` less that of `shared`, over the cells that are not in both with the same sign:
    of a network that does best at the shared recipe the runs are the same and cancel. It is None where both networks
    do, and where there is no such pair of `own`.
    """

    shared: Comparison = field(metadata={"plain": False})
    own: Comparison | None = field(metadata={"plain": False})
    change: Better | None

    @property
    def pair(self) -> tuple[str, str]:
        """The labels of reference and candidate under the shared recipe."""
        return self.shared.reference, self.shared.candidate

    @property
    def unchanged(self) -> bool:
        """Whether both networks do best at the shared recipe."""
        return all(TUNED in cell.roles for cell in self.shared.cells)

    @property
    def accounted(self) -> tuple[float, Interval | None] | None:
        """By how much the difference is nearer to 0, or beyond, with own recipes: below 0 where it is farther off."""
        if self.change is None or self.change.mean is None or self.shared.better.mean is None:
            return None
        sign, interval = (-1.0 if self.shared.better.mean > 0 else 1.0), self.change.interval
        if interval is not None and sign < 0:
            interval = Interval(-interval.high, -interval.low)
        return sign * self.change.mean, interval


def recipes(groups: Sequence[Judged], rule: Rule, correct: Correct) -> list[Recipe]:
    """Each pair under the shared recipe beside that with own recipes, those of the headline where there are such.

    The changes share a level as the effects of a factorial do, spent over the looks of the sweep. Empty where no design
    has chosen recipes.
    """
    of = {
        role: [pair for judged in groups if judged.group.role == role for pair in judged.comparisons]
        for role in (SHARED, TUNED)
    }
    own = {_networks(pair): pair for pair in of[TUNED]}
    across = [pair for pair in of[SHARED] if pair.better.family is Family.HEADLINE] or of[SHARED]
    both = [(pair, own.get(_networks(pair)), _weights(pair, own.get(_networks(pair)))) for pair in across]
    number = sum(bool(weighted) for _, _, weighted in both)
    return [Recipe(shared, tuned, _change(weighted, number, rule, correct)) for shared, tuned, weighted in both]


def _weights(shared: Comparison, own: Comparison | None) -> list[tuple[Cell, float]]:
    """The cells of the contrast with their weights, those below 0 first; none where the pairs are the same."""
    if own is None:
        return []
    weights: dict[str, float] = {}
    cells = {cell.cell_id: cell for cell in (*shared.cells, *own.cells)}
    for pair, sign in ((own, 1.0), (shared, -1.0)):
        for cell, weight in zip(pair.cells, (-sign, sign), strict=True):
            weights[cell.cell_id] = weights.get(cell.cell_id, 0.0) + weight
    weighted = [(cells[cell_id], weight) for cell_id, weight in weights.items() if weight]
    return sorted(weighted, key=lambda one: one[1])


def _change(weighted: Sequence[tuple[Cell, float]], number: int, rule: Rule, correct: Correct) -> Better | None:
    if not weighted:
        return None
    cells, weights = zip(*weighted, strict=True)
    return better(cells, weights, Family.EFFECT, number, rule, rule.unplanned, correct)


def _networks(pair: Comparison) -> str:
    """The networks of a pair, whatever the recipes that they have of their own."""
    return json.dumps(
        [[_named(cell), [item for item in cell.network.items() if item[0] not in cell.own]] for cell in pair.cells]
    )


def _named(cell: Cell) -> dict[str, Any]:
    return {name: value for name, value in cell.names.items() if name != "study"}


def recipe_sentences(found: Sequence[Recipe]) -> list[str]:
    """In sentences, what the recipe accounts for where each network has its own, and whether the answer changes.

    Empty where none was tuned.
    """
    if not found:
        return []
    if all(recipe.unchanged for recipe in found):
        return ["Every network does best at the shared recipe: the answer is the same with each at its own."]
    changed = [recipe for recipe in found if recipe.own is not None and not recipe.unchanged]
    several = len(found) > 1
    out = [_recipe(recipe, several) for recipe in changed] if len(changed) <= FEW else [_recipe_counts(changed)]
    for recipe in found:
        pair = described(recipe.shared).removesuffix(f" {RECIPES[SHARED]}")
        if recipe.unchanged:
            out.append(f"Both networks of a pair do best at the shared recipe, its answer is the same: {pair}.")
        elif recipe.own is None:
            out.append(f"Own recipes match no pair, so what the recipe accounts for is open: {pair}.")
    pairs = {SHARED: [one.shared for one in changed], TUNED: [one.own for one in changed if one.own is not None]}
    failed = {role: _failed(own) for role, own in pairs.items()}
    if any(number for number, _ in failed.values()):
        texts = [f"{number} of {counted(runs, 'run')} {RECIPES[role]}" for role, (number, runs) in failed.items()]
        out.append(f"Trainings that failed: {listed(texts)}.")
    return out


def _failed(pairs: Sequence[Comparison]) -> tuple[int, int]:
    """How many of the runs of all cells of `pairs` failed to train, and how many have ended."""
    cells = {cell.cell_id: cell for pair in pairs for cell in pair.cells}.values()
    return sum(len(cell.untrained) for cell in cells), sum(cell.ended for cell in cells)


def _recipe(recipe: Recipe, several: bool) -> str:
    """What the recipe accounts for in one pair, by its labels where there are `several`, and the answers under both."""
    assert recipe.own is not None
    pair, first, second = recipe.shared, recipe.shared.better.answer, recipe.own.better.answer
    candidate, reference = brief_labels(pair) if several else (name(pair, 1), name(pair, 0))
    before, after = _verb(first, reference), _verb(second, reference)
    if first is second:
        both = f"both {RECIPES[SHARED]} and" if first in VERBS else f"{RECIPES[SHARED]}, nor"
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
    half = interval.half if interval else mean
    ends = sorted((sign * interval.low, sign * interval.high)) if interval else []
    size, *within = (difference_points(value, half, sign="") for value in (sign * mean, *ends))
    whole = difference_points(abs(shared.mean), shared.interval.half if shared.interval else shared.mean, sign="")
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
        return f"{VERBS[answer]} than {reference}"
    if answer in VERBS:
        return f"{VERBS[answer]} {'as' if answer is Answer.AS_GOOD else 'than'} {reference}"
    return f"cannot be told from {reference} in accuracy"


def _answer_changes(recipe: Recipe) -> str:
    assert recipe.own is not None
    answers = recipe.shared.better.answer, recipe.own.better.answer
    if not all(answer in VERBS for answer in answers):
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
