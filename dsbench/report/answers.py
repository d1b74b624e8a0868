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

    What a note says stands below the first table of its kind.
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
    found = [{one.name: one for one in (*pair.lighter, *pair.by_turns, *pair.trained)} for pair in judged.pairs]
    measures = dict.fromkeys(name for row in found for name in row)
    columns = [
        *_named(judged.pairs),
        *(answers(question, [pair.answers[question] for pair in judged.pairs]) for question in ("lighter", "faster")),
        *(_ratios(name, [row.get(name) for row in found]) for name in measures),
    ]
    return Table(f"{judged.name}: lighter and faster", tuple(filled(columns)), _COSTS)


def _ratios(name: str, measures: Sequence[Measure | None]) -> Column:
    """How many times the other's each is, in brackets what does not compare."""
    heading = QUANTITIES[name].wording if name in QUANTITIES else name
    entries = []
    for one in measures:
        ratio = one.ratio if one else None
        text = "" if ratio is None else f"x {times(ratio)}"
        entries.append(Entry(text if one is None or one.counts or not text else f"({text})", ratio))
    return Column(heading, tuple(entries), Kind.NUMBER)


def _accuracies(judged: Judged) -> Table:
    """The answer, then its evidence."""
    found = [pair.better for pair in judged.pairs]
    failed = [(len(one.failed_candidate), len(one.failed_reference)) for one in found]
    columns = [
        *_named(judged.pairs),
        answers("better", [one.answer for one in found]),
        *_tests([(one.tested.paired, one.tested.adjusted_p) for one in found]),
        numbers("P(better)", [one.probability_of_improvement for one in found], "{:.2f}".format),
        *_failures_counted(found),
        numbers("least p", [one.smallest_adjusted_p for one in found], p_value),
        numbers("seeds needed", [one.seeds_needed for one in found], "{:,}".format),
        texts("failed to train", [f"{this} against {other}" if this or other else "" for this, other in failed]),
    ]
    return Table(f"{judged.name}: better", tuple(filled(columns)), _ACCURACIES)


def _failures_counted(found: Sequence[Better]) -> list[Column]:
    """P(better) with runs counted in that collapsed or diverged, where there are any."""
    if all(one.with_failures is None for one in found):
        return []
    return [numbers("failures counted", [one.probability_with_failures for one in found], "{:.2f}".format)]


def _effects(name: str, found: Factorial) -> Table:
    effects, on = [one.name for one in found.effects], [one.what for one in found.effects]
    columns = [
        *names({"effect": effects, "on test accuracy": on}),
        *_tests([(one.paired, one.adjusted_p) for one in found.effects]),
        numbers("of seeds", [found.asked for _ in found.effects], str),
    ]
    return Table(f"{name}: block and topology apart", tuple(filled(columns)), _EFFECTS)


def _regimes(rows: Sequence[Regimes]) -> Table:
    """A column a regime."""
    columns = names({"network": [row.network for row in rows]})
    for index, regime in enumerate(rows[0].regimes):
        found = [row.accuracies[index] for row in rows]
        entries = [Entry(mean_percent(one.mean, one.high, one.n), one.mean) if one else Entry("") for one in found]
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


def intervals(heading: str, found: Sequence[Interval | None]) -> Column:
    """A column of intervals of differences of shares, in percentage points."""
    return written(heading, [interval_points(one.low, one.high) if one else "" for one in found])
