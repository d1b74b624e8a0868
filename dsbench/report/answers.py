"""The tables of a verdict, for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dsbench.numerals import interval_points, mean_percent, p_value, signed_points, times
from dsbench.report.table import Entry, Table, answer, number
from dsbench.statistics.paired import Paired
from dsbench.verdict.answers import Measure
from dsbench.verdict.better import Better, Factorial
from dsbench.verdict.groups import Regimes
from dsbench.verdict.verdict import Judged, Pair, Verdict

_HEADINGS = {"macs": "MACs", "acts": "activations", "params": "parameters"}
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
    names = dict.fromkeys(name for row in found for name in row)
    answers = {name: [answer(pair.answers[name]) for pair in judged.pairs] for name in ("lighter", "faster")}
    ratios = {_HEADINGS.get(name, name): [_ratio(row.get(name)) for row in found] for name in names}
    return Table.of(f"{judged.name}: lighter and faster", {**_named(judged.pairs), **answers, **ratios}, _COSTS)


def _accuracies(judged: Judged) -> Table:
    """The answer, then its evidence."""
    found = [pair.better for pair in judged.pairs]
    failed = [(len(one.failed_candidate), len(one.failed_reference)) for one in found]
    columns = {
        **_named(judged.pairs),
        "better": [answer(one.answer) for one in found],
        **_test([(one.tested.paired, one.tested.adjusted_p) for one in found]),
        "P(better)": [number(one.probability_of_improvement, "{:.2f}".format) for one in found],
        **_counted_in(found),
        "least p": [number(one.smallest_adjusted_p, p_value) for one in found],
        "seeds needed": [number(one.seeds_needed, "{:,}".format) for one in found],
        "failed to train": [Entry(f"{this} against {other}" if this or other else "") for this, other in failed],
    }
    return Table.of(f"{judged.name}: better", columns, _ACCURACIES)


def _counted_in(found: Sequence[Better]) -> dict[str, list[Entry]]:
    """P(better) with runs counted in that collapsed or diverged, where there are any."""
    if all(one.with_failures is None for one in found):
        return {}
    return {"failures counted": [number(one.probability_with_failures, "{:.2f}".format) for one in found]}


def _effects(name: str, found: Factorial) -> Table:
    columns = {
        "effect": [Entry(one.name) for one in found.effects],
        "on test accuracy": [Entry(one.what) for one in found.effects],
        **_test([(one.paired, one.adjusted_p) for one in found.effects]),
        "of seeds": [number(found.asked, str) for _ in found.effects],
    }
    return Table.of(f"{name}: block and topology apart", columns, _EFFECTS)


def _regimes(rows: Sequence[Regimes]) -> Table:
    """A column a regime."""
    columns = {
        str(regime): [
            Entry("") if one is None or one.mean is None else Entry(mean_percent(one.mean, one.high, one.n), one.mean)
            for one in (row.accuracies[index] for row in rows)
        ]
        for index, regime in enumerate(rows[0].regimes)
    }
    return Table.of(
        "Test accuracy, side by side", {"network": [Entry(row.network) for row in rows], **columns}, _REGIMES
    )


def _named(pairs: Sequence[Pair]) -> dict[str, list[Entry]]:
    return {"this": [Entry(pair.candidate) for pair in pairs], "against": [Entry(pair.reference) for pair in pairs]}


def _ratio(one: Measure | None) -> Entry:
    if one is None or one.ratio is None:
        return Entry("", None, "number")
    said = f"x {times(one.ratio)}"
    return Entry(said if one.counts else f"({said})", one.ratio, "number")


def _test(rows: Sequence[tuple[Paired | None, float | None]]) -> dict[str, list[Entry]]:
    """A row of figures for each test."""
    tests = [test for test, _ in rows]
    return {
        "pp": [number(test.mean if test else None, signed_points) for test in tests],
        "95 % (t)": [Entry(interval_points(test.t) if test and test.t else "") for test in tests],
        "95 % (BCa)": [Entry(interval_points(test.bca) if test and test.bca else "") for test in tests],
        "p": [number(test.p if test else None, p_value) for test in tests],
        "adjusted p": [number(p, p_value) for _, p in rows],
        "n": [number(test.n if test else 0, str) for test in tests],
    }
