"""The tables of a verdict, for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dsbench.numerals import counted, mean_percent, p_value, points, seconds, signed_points
from dsbench.quantities import QUANTITIES
from dsbench.tables import Column, Entry, Kind, Table, answers, filled, names, numbers, texts, written
from dsbench.verdict.better import Better, Factorial
from dsbench.verdict.chips import MOST_COMPARED, where, where_title
from dsbench.verdict.groups import Regimes
from dsbench.verdict.int8 import Change
from dsbench.verdict.lighter import MATCHED, Measure
from dsbench.verdict.reliable import Trainings
from dsbench.verdict.rule import Answer
from dsbench.verdict.verdict import Comparison, Judged, Verdict
from dsbench.verdict.words import along, brief_labels, changed, described, place, ratio, summary, trainings, within

_COSTS = "Costs of one image, as so many times the reference's, equal within 1 %; matched is what is held equal."
_TIMES = (
    "Times, as so many times the reference's, with the interval over repeats; in brackets what does not compare. "
    "Seconds as trained decide nothing."
)
_CHIPS = (
    "What a file takes on a chip, as so many times the reference's: times with the interval over repeats, counts equal "
    "within 1 %, estimates within the margin of times; matched is what is held equal. An estimate is the compiler's: "
    "no such processor ran."
)
_WHERE = (
    "What decides on each chip, as so many times the figure of the second of two names: below 1 the first is ahead. "
    "Times have an interval over repeats; cycles are the compiler's estimate; the arena is RAM. In brackets what may "
    "be as much on both sides; matched is what is held equal."
)
_CURVES = (
    "Which of two families is more accurate from which cost on, within what both reach; even is within the margin. "
    "Empty where they have no costs in common. Where a family has no network, its accuracy is taken to lie between the "
    "line that joins those beside it and the larger one of them, and a side is named only if it is ahead whatever it "
    "is there. Networks of one cost answer as the pair that they are, at the look that decided it; the other points of "
    "two curves along one cost share a chance of 5 % of a false claim."
)
_INT8 = (
    "What int8 changes the test accuracy by, each trained network against itself, in percentage points. Points: the "
    "mean of this one's changes less the other's, with the interval over new seeds on these test images; below 0 int8 "
    "costs this one more."
)
_ACCURACIES = (
    "Test accuracy: mean of the candidate's runs that are done less the reference's, in percentage points, with the "
    "one interval at the level of its family. p is that of this comparison alone, by Welch's t over seeds and, where "
    "they are known, images; beside it that of a permutation test. P(better): the chance that a run of one beats a "
    "run of the other. Standard errors: of new seeds, and of new images whatever the seeds."
)
_RELIABILITY = (
    "Trainings that collapsed or diverged, of all that ended, with the exact interval of the share (Clopper-Pearson) "
    "and p of Boschloo's test. One trained network costs so many trainings, and seconds of training."
)
_EFFECTS = "Contrasts of mean test accuracies in percentage points, each with the interval at the level of its family."
_REGIMES = "Test accuracy: mean of the n runs that are done, ± half of its 95 % interval (Student's t)."


def answer_table(verdict: Verdict, most: int | None = None) -> Table:
    """The verdict in one table: a row a comparison, a column a question, each a word, its figures and their interval.

    At most `most` rows, those of the headline first.
    """
    pairs = verdict.comparisons[:most]
    labels = [brief_labels(pair) for pair in pairs]
    rows = [f"{a}\nagainst {b}\n{place(pair).rstrip(' ,')}" for (a, b), pair in zip(labels, pairs, strict=True)]
    columns = [*names({"": rows}), *(_answers(question, pairs) for question in verdict.questions)]
    return Table("", tuple(columns))


def answer_lines(verdict: Verdict, most: int | None = None) -> Table:
    """The answers of many comparisons, a line each, with the difference in test accuracy.

    At most `most` lines; the note says how many more there are.
    """
    pairs = verdict.comparisons[:most]
    labels = [" against ".join(brief_labels(pair)) for pair in pairs]
    models = [" against ".join(str(cell.names["model"]) for cell in reversed(pair.cells)) for pair in pairs]
    groups = [place(pair).rstrip(" ,").removeprefix("at ").removeprefix("equal ") for pair in pairs]
    brief = models if len(set(zip(models, groups, strict=True))) == len(pairs) else [""] * len(pairs)
    columns = (
        Column("", tuple(Entry(label, brief=short) for label, short in zip(labels, brief, strict=True)), Kind.NAME),
        *(names({"at": groups}) if len(set(groups)) > 1 else []),
        *(_words(question, pairs) for question in verdict.questions),
        numbers("points", [pair.better.mean for pair in pairs], signed_points),
    )
    more = len(verdict.comparisons) - len(pairs)
    return Table("", columns, f"and {counted(more, 'more pair')}" if more else "")


def _words(question: str, pairs: Sequence[Comparison]) -> Column:
    """The answers to a question, in brief a dash where nothing was found or looked for."""
    words = (summary(pair, question)[0] for pair in pairs)
    quiet = (Answer.NO_DIFFERENCE, Answer.NOT_MEASURED)
    entries = (replace(Entry.said(word), brief="-" * (word.answer in quiet)) for word in words)
    return Column(question, tuple(entries), Kind.ANSWER)


def _answers(question: str, pairs: Sequence[Comparison]) -> Column:
    return Column(question, tuple(Entry.said(*summary(pair, question)) for pair in pairs), Kind.ANSWER)


def verdict_tables(verdict: Verdict) -> list[Table]:
    """The evidence of each group: costs, times, accuracies, reliability, effects; then accuracies by regime.

    A note stands below the first table of its kind.
    """
    out: list[Table] = []
    for judged in verdict.groups:
        out += [_accuracies(judged), _int8(judged), _reliability(judged), _costs(judged), _times(judged)]
        out += [_chips(judged)]
        if judged.factorial:
            out.append(_effects(judged.name, judged.factorial))
    if verdict.regimes:
        out.append(_regimes(verdict.regimes))
    noted: set[str] = set()
    tables = []
    for table in out:
        if len(table.columns) > 2:
            tables.append(table if table.note not in noted else table.without_note())
            noted.add(table.note)
    return tables


def _named(pairs: Sequence[Comparison]) -> list[Column]:
    return names({"this": [pair.candidate for pair in pairs], "against": [pair.reference for pair in pairs]})


def _costs(judged: Judged) -> Table:
    pairs = judged.comparisons
    measures = [{measure.name: measure for measure in pair.lighter} for pair in pairs]
    columns = [
        *_named(pairs),
        answers("lighter", [pair.answers["lighter"] for pair in pairs]),
        *(_ratios(name, [row.get(name) for row in measures]) for name in measures[0]),
    ]
    return Table(f"{judged.name}: costs", tuple(filled(columns)), _COSTS)


def _times(judged: Judged) -> Table:
    pairs = judged.comparisons
    measures = [{measure.name: measure for measure in (*pair.measured, *pair.trained)} for pair in pairs]
    names_of_measures = dict.fromkeys(name for row in measures for name in row)
    columns = [*_named(pairs), *(_ratios(name, [row.get(name) for row in measures]) for name in names_of_measures)]
    return Table(f"{judged.name}: times", tuple(filled(columns)), _TIMES)


def _chips(judged: Judged) -> Table:
    pairs = judged.comparisons
    measures = [{measure.name: measure for measure in pair.chips} for pair in pairs]
    all_names = dict.fromkeys(name for row in measures for name in row)
    columns = [*_named(pairs), *(_ratios(name, [row.get(name) for row in measures]) for name in all_names)]
    return Table(f"{judged.name}: on chips", tuple(filled(columns)), _CHIPS)


def where_it_wins(verdict: Verdict) -> Table | None:
    """A row a chip, a column a comparison: what the chip is judged by, as so many times the reference's.

    Of many comparisons it has the first, and its title says of how many. None where chips have nothing to tell.
    """
    pairs = verdict.comparisons[:MOST_COMPARED]
    found = where([(pair.measured, pair.chips) for pair in pairs])
    if found is None:
        return None
    columns = [*names({"chip": [chip for chip, _ in found.rows], "by": [what for _, what in found.rows]})]
    for pair, measures in zip(pairs, zip(*found.measures, strict=True), strict=True):
        columns.append(_ratios(described(pair), measures, (*_NOT_COMPARABLE, Answer.CANNOT_TELL, Answer.AS_FAST)))
    return Table(where_title(len(pairs), len(verdict.comparisons)), tuple(columns), _WHERE)


def overtaking(verdict: Verdict) -> Table | None:
    """A row two families, a column a cost: which is more accurate along it; None of families of one size."""
    found: dict[str, dict[str, str]] = {}
    for one in verdict.curves:
        row = ", ".join(filter(None, (f"{one.candidate} against {one.reference}", one.of)))
        found.setdefault(row, {})[one.cost] = along(one)
    if not found:
        return None
    columns = [
        *names({"": list(found)}),
        *(
            texts(f"by {QUANTITIES[cost].wording}", [row.get(cost, "") for row in found.values()])
            for cost in dict.fromkeys(one.cost for one in verdict.curves)
        ),
    ]
    return Table("Which is more accurate along each cost", tuple(columns), _CURVES)


def _int8(judged: Judged) -> Table:
    """A row a pair and runtime: the answer, then its evidence."""
    rows = [(pair, answer) for pair in judged.comparisons for answer in pair.int8]
    of = [answer for _, answer in rows]
    columns = [
        *_named([pair for pair, _ in rows]),
        texts("int8", [answer.what for answer in of]),
        answers("answer", [answer.answer for answer in of]),
        numbers("points", [answer.mean for answer in of], signed_points),
        written("interval", [within(answer.interval) if answer.interval else "" for answer in of]),
        numbers("level", [1 - answer.level for answer in of], "{:.4g}".format),
        numbers("margin", [answer.margin for answer in of], points),
        written("this changes by", [_change(answer.candidate) for answer in of]),
        written("other changes by", [_change(answer.reference) for answer in of]),
        written("n", [f"{answer.candidate.n}, {answer.reference.n}" for answer in of]),
        numbers("p", [answer.p for answer in of], p_value),
    ]
    return Table(f"{judged.name}: int8", tuple(filled(columns) if rows else ()), _INT8)


def _change(change: Change) -> str:
    return f"{changed(change)} {within(change.interval) if change.interval else ''}".rstrip()


_NOT_COMPARABLE = (Answer.NOT_COMPARABLE,)


def _ratios(name: str, measures: Sequence[Measure | None], unclear: Sequence[Answer] = _NOT_COMPARABLE) -> Column:
    """The ratios to the reference: `equal` or `matched` where that is so, in brackets what does not compare."""
    heading = QUANTITIES[name].wording if name in QUANTITIES else name
    entries = []
    for measure in measures:
        text = ratio(measure) if measure else ""
        if measure and text and measure.answer is Answer.EQUAL:
            left_over = f" ({100 * (measure.ratio - 1):+.2g} %)" if measure.ratio not in (None, 1.0) else ""
            text = f"{MATCHED if measure.matched else Answer.EQUAL}{left_over}"
        elif measure and text and (measure.answer in unclear or not measure.decides):
            text = f"({text})"
        entries.append(Entry(text, measure.ratio if measure else None))
    return Column(heading, tuple(entries), Kind.RATIO)


def _accuracies(judged: Judged) -> Table:
    """The answer, then its evidence."""
    pairs = judged.comparisons
    columns = [
        *_named(pairs),
        answers("better", [pair.better.answer for pair in pairs]),
        *_evidence([pair.better for pair in pairs]),
        numbers("permutation p", [pair.better.permutation_p for pair in pairs], p_value),
        numbers("P(better)", [pair.better.probability_of_improvement for pair in pairs], "{:.2f}".format),
        numbers("seeds that decide", [pair.better.seeds_to_decide for pair in pairs], "{:,}".format),
        texts("fragile", [pair.better.fragile for pair in pairs]),
    ]
    return Table(f"{judged.name}: accuracy", tuple(filled(columns)), _ACCURACIES)


def _evidence(rows: Sequence[Better]) -> list[Column]:
    """The difference, its interval and level, p, and the parts of its variance."""

    def error(variance: Callable[[Better], float | None]) -> list[float | None]:
        values = [variance(row) for row in rows]
        return [None if value is None else value**0.5 for value in values]

    return [
        numbers("points", [row.mean for row in rows], signed_points),
        written("interval", [within(row.interval) if row.interval else "" for row in rows]),
        numbers("level", [1 - row.level for row in rows], "{:.4g}".format),
        numbers("margin", [row.margin for row in rows], points),
        written("n", [", ".join(map(str, row.runs[::-1])) for row in rows]),
        numbers("p", [row.p for row in rows], p_value),
        numbers("se seeds", error(lambda row: sum(row.difference.seeds) if row.difference else None), points),
        numbers("se images", error(_images_alone), points),
    ]


def _images_alone(better: Better) -> float | None:
    return better.difference.images_alone if better.difference and better.over_images else None


def _reliability(judged: Judged) -> Table:
    rows = [pair.reliable for pair in judged.comparisons]
    both = [(row.candidate, row.reference) for row in rows]
    columns = [
        *_named(judged.comparisons),
        answers("reliable", [row.answer for row in rows]),
        written("failed", [trainings(candidate) for candidate, _ in both]),
        written("other failed", [trainings(reference) for _, reference in both]),
        numbers("p", [row.p for row in rows], p_value),
        texts("trainings a network", [" against ".join(map(_per_success, sides)) for sides in both]),
        texts("seconds a network", [" against ".join(seconds(one.seconds) or "?" for one in sides) for sides in both]),
    ]
    return Table(f"{judged.name}: reliability", tuple(filled(columns)), _RELIABILITY)


def _per_success(side: Trainings) -> str:
    if not side.n:
        return "?"
    return f"> {side.n}" if side.per_success is None else f"{side.per_success:.3g}"


def _effects(name: str, factorial: Factorial) -> Table:
    effects = factorial.effects
    columns = [
        *names({"effect": [effect.name for effect in effects], "on": [effect.what for effect in effects]}),
        answers("answer", [effect.better.answer for effect in effects]),
        *_evidence([effect.better for effect in effects]),
    ]
    return Table(f"{name}: block and topology apart", tuple(filled(columns)), _EFFECTS)


def _regimes(rows: Sequence[Regimes]) -> Table:
    """A column a regime."""
    columns = names({"network": [row.network for row in rows]})
    for index, regime in enumerate(rows[0].regimes):
        accuracies = [row.accuracies[index] for row in rows]
        entries = [
            Entry(mean_percent(accuracy.mean, accuracy.high, accuracy.n), accuracy.mean) if accuracy else Entry("")
            for accuracy in accuracies
        ]
        columns.append(Column(str(regime), tuple(entries), Kind.NUMBER))
    return Table("Test accuracy, side by side", tuple(filled(columns)), _REGIMES)
