"""The tables of `dsbench verdict`, complete at any width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from dsbench.run.progress import terminal
from dsbench.statistics.paired import Paired
from dsbench.sweep.layout import Fitting, side_by_side, stacked
from dsbench.verdict.answers import Measure
from dsbench.verdict.factorial import Effect, Factorial
from dsbench.verdict.figures import interval, p_value, percent, signed, times
from dsbench.verdict.judge import Judged, Pair, Verdict
from dsbench.verdict.regimes import Regimes

Columns = Mapping[str, Sequence[str]]

_HEADINGS = {"macs": "MACs", "acts": "activations", "training step": "step"}
_LEGEND = (
    "x: how many times the other's; in brackets what decides nothing. Test accuracy: mean of the differences over n "
    "seeds in percentage points (pp), its 95 % intervals by Student's t and the BCa bootstrap, p of the sign-flip "
    "test, adjusted by Holm over the group; P(better): the chance that a run beats one of the other; least p: the "
    "smallest adjusted p that n seeds can reach; seeds needed: as many as would tell, if differences are as they seem."
)


def print_verdict(verdict: Verdict, said: Sequence[str]) -> None:
    """The tables of each group, accuracies by regime, and all of it in words."""
    console = terminal()
    for judged in verdict.groups:
        _print(console, f"{judged.name}: lighter and faster", _named(judged.pairs), _costs(judged.pairs))
        _print(console, f"{judged.name}: better", _named(judged.pairs), _accuracies(judged))
        if judged.factorial and judged.factorial.seeds:
            _print_effects(console, judged.factorial)
    if verdict.regimes:
        networks = {"network": [row.network for row in verdict.regimes]}
        _print(console, "test accuracy, side by side", networks, _regimes(verdict.regimes))
    if verdict.groups:
        console.print(Text(_LEGEND, style="dim"))
    for number, paragraph in enumerate(said):
        if number or verdict.groups:
            console.print()
        console.print(paragraph, soft_wrap=True, markup=False)


def _print(console: Console, title: str, names: Columns, figures: Columns) -> None:
    """A table side by side where that fits, else with the figures of a row under each other."""
    rows = zip(*figures.values(), strict=True)
    heap = ["\n".join(f"{name} {text}" for name, text in zip(figures, row, strict=True) if text) for row in rows]
    console.print(Text(title, style="italic"))
    console.print(Fitting((side_by_side(names, figures, {}), stacked(names, {"": heap}))))
    console.print()


def _named(pairs: Sequence[Pair]) -> dict[str, list[str]]:
    return {"this": [pair.candidate for pair in pairs], "against": [pair.reference for pair in pairs]}


def _costs(pairs: Sequence[Pair]) -> dict[str, list[str]]:
    """Lighter and faster: the answers, then a column a measure."""
    found = [{one.name: one for one in (*pair.lighter, *pair.faster)} for pair in pairs]
    names = list(dict.fromkeys(name for row in found for name in row))
    ratios = {_HEADINGS.get(name, name): [_ratio(row.get(name)) for row in found] for name in names}
    answers = {name: [str(pair.answers[name]) for pair in pairs] for name in ("lighter", "faster")}
    return answers | {name: texts for name, texts in ratios.items() if any(texts)}


def _ratio(one: Measure | None) -> str:
    if one is None or one.ratio is None:
        return ""
    return f"x {times(one.ratio)}" if one.counts else f"(x {times(one.ratio)})"


def _accuracies(judged: Judged) -> dict[str, list[str]]:
    """Better: the answer, then its evidence."""
    found = [pair.better for pair in judged.pairs]
    failed = [(len(one.failed_candidate), len(one.failed_reference)) for one in found]
    columns = {
        "better": [str(one.answer) for one in found],
        **_test([(one.tested.paired, one.tested.adjusted_p) for one in found]),
        "P(better)": [
            "" if one.probability_of_improvement is None else f"{one.probability_of_improvement:.2f}" for one in found
        ],
        "least p": [p_value(one.smallest_adjusted_p) for one in found],
        "seeds needed": ["" if one.seeds_needed is None else f"{one.seeds_needed:,}" for one in found],
        "failed to train": [f"{this} against {other}" if this or other else "" for this, other in failed],
    }
    return {name: texts for name, texts in columns.items() if any(texts)}


def _test(rows: Sequence[tuple[Paired | None, float | None]]) -> dict[str, list[str]]:
    """A row of figures for each test."""
    tests = [test for test, _ in rows]
    return {
        "pp": [signed(test.mean) if test else "" for test in tests],
        "95 % (t)": [interval(test.t) if test and test.t else "" for test in tests],
        "95 % (BCa)": [interval(test.bca) if test and test.bca else "" for test in tests],
        "p": [p_value(test.p) if test else "" for test in tests],
        "adjusted p": ["" if p is None else p_value(p) for _, p in rows],
        "n": [str(test.n if test else 0) for test in tests],
    }


def _print_effects(console: Console, found: Factorial) -> None:
    effects: Sequence[Effect] = found.effects
    names = {"effect": [one.name for one in effects], "on test accuracy": [one.what for one in effects]}
    _print(console, "block and topology apart", names, _test([(one.paired, one.adjusted_p) for one in effects]))


def _regimes(rows: Sequence[Regimes]) -> dict[str, list[str]]:
    """A column a regime."""
    return {
        str(regime): [
            "" if one is None or one.mean is None else percent(one.mean, one.high, one.n)
            for one in (row.accuracies[index] for row in rows)
        ]
        for index, regime in enumerate(rows[0].regimes)
    }
