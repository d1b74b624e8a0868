"""The tables of a verdict, for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dsbench.numerals import interval_points, mean_percent, p_value, signed_points, times
from dsbench.quantities import QUANTITIES
from dsbench.statistics.paired import Interval, Paired
from dsbench.tables import Column, Entry, Kind, Table, answers, filled, names, numbers, texts, written
from dsbench.verdict.answers import Measure
from dsbench.verdict.better import Better, Factorial
from dsbench.verdict.groups import Regimes
from dsbench.verdict.verdict import Judged, Pair, Verdict

_COSTS = (
    "x: how many times the other's; in brackets what decides nothing or does not compare. Faster and slower are times "
    "whose medians differ by more than 5 % and whose p, by turns and adjusted over all pairs, is below .05."
)
_ACCURACIES = (
    "Test accuracy: mean of the differences over n seeds in percentage points (pp), its 95 % intervals by Student's t "
    "and the BCa bootstrap, each of that pair alone; p of the sign-flip test, adjusted by Holm over the group, so that "
    "an interval without 0 can stand beside an adjusted p above .05; P(better): the chance that a run beats one of the "
    "other, over all runs that are done, then with those counted in that failed to train; least p: the smallest "
    "adjusted p that n seeds can reach; seeds needed: as many, in which both are done, as would probably tell, if "
    "differences are as they seem."
)
_EFFECTS = "Differences in test accuracy in percentage points (pp), p adjusted by Holm over the effects."
_REGIMES = "Test accuracy: mean of the n runs that are done, ± half of its 95 % interval (Student's t)."


def verdict_tables(verdict: Verdict) -> list[Table]:
    """Lighter and faster, better, and the effects of block and topology of each group; then accuracies by regime.

    A note stands below the first table of its kind.
    """
    out: list[Table] = []
    for judged in verdict.groups:
        out += [_costs(judged), _accuracies(judged)]
        if judged.factorial and judged.factorial.seeds:
            out.append(_effects(judged.name, judged.factorial))
    if verdict.regimes:
        out.append(_regimes(verdict.regimes))
    notes = [table.note for table in out]
    return [replace(table, note="" if table.note in notes[:index] else table.note) for index, table in enumerate(out)]


def _costs(judged: Judged) -> Table:
    """The answers, then a column a measure."""
    measures = [
        {measure.name: measure for measure in (*pair.lighter, *pair.by_turns, *pair.trained)} for pair in judged.pairs
    ]
    names_of_measures = dict.fromkeys(name for row in measures for name in row)
    columns = [
        *_named(judged.pairs),
        *(answers(question, [pair.answers[question] for pair in judged.pairs]) for question in ("lighter", "faster")),
        *(_ratios(name, [row.get(name) for row in measures]) for name in names_of_measures),
    ]
    return Table(f"{judged.name}: lighter and faster", tuple(filled(columns)), _COSTS)


def _ratios(name: str, measures: Sequence[Measure | None]) -> Column:
    """The ratios to the reference, in brackets what does not compare."""
    heading = QUANTITIES[name].wording if name in QUANTITIES else name
    entries = []
    for measure in measures:
        ratio = measure.ratio if measure else None
        text = "" if ratio is None else f"x {times(ratio)}"
        entries.append(Entry(text if measure is None or measure.counts or not text else f"({text})", ratio))
    return Column(heading, tuple(entries), Kind.NUMBER)


def _accuracies(judged: Judged) -> Table:
    """The answer, then its evidence."""
    decisions = [pair.better for pair in judged.pairs]
    failed = [(len(decision.failed_candidate), len(decision.failed_reference)) for decision in decisions]
    columns = [
        *_named(judged.pairs),
        answers("better", [decision.answer for decision in decisions]),
        *_tests([(decision.tested.paired, decision.tested.adjusted_p) for decision in decisions]),
        numbers("P(better)", [decision.probability_of_improvement for decision in decisions], "{:.2f}".format),
        *_failures_counted(decisions),
        numbers("least p", [decision.smallest_adjusted_p for decision in decisions], p_value),
        numbers("seeds needed", [decision.seeds_needed for decision in decisions], "{:,}".format),
        texts("failed to train", [f"{this} against {other}" if this or other else "" for this, other in failed]),
    ]
    return Table(f"{judged.name}: better", tuple(filled(columns)), _ACCURACIES)


def _failures_counted(decisions: Sequence[Better]) -> list[Column]:
    """P(better) with the runs that collapsed or diverged, where there are any."""
    if all(decision.with_failures is None for decision in decisions):
        return []
    return [
        numbers("failures counted", [decision.probability_with_failures for decision in decisions], "{:.2f}".format)
    ]


def _effects(name: str, factorial: Factorial) -> Table:
    effects, on = [effect.name for effect in factorial.effects], [effect.what for effect in factorial.effects]
    columns = [
        *names({"effect": effects, "on test accuracy": on}),
        *_tests([(effect.paired, effect.adjusted_p) for effect in factorial.effects]),
        numbers("of seeds", [factorial.asked for _ in factorial.effects], str),
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


def _named(pairs: Sequence[Pair]) -> list[Column]:
    return names({"this": [pair.candidate for pair in pairs], "against": [pair.reference for pair in pairs]})


def _tests(rows: Sequence[tuple[Paired | None, float | None]]) -> list[Column]:
    """A row of figures for each test."""
    tests = [test for test, _ in rows]
    return [
        numbers("pp", [test.mean if test else None for test in tests], signed_points),
        intervals("95 % (t)", [test.t if test else None for test in tests]),
        intervals("95 % (BCa)", [test.bca if test else None for test in tests]),
        numbers("p", [test.p if test else None for test in tests], p_value),
        numbers("adjusted p", [p for _, p in rows], p_value),
        numbers("n", [test.n if test else 0 for test in tests], str),
    ]


def intervals(heading: str, values: Sequence[Interval | None]) -> Column:
    """A column of intervals of differences of shares, in percentage points."""
    return written(heading, [interval_points(interval.low, interval.high) if interval else "" for interval in values])
