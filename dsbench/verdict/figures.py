"""How the figures of a verdict are written, in sentences and in tables."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.statistics.paired import Interval


def points(share: float) -> str:
    """A difference of shares in percentage points, without a sign, to the second digit that is not 0 if it is small."""
    value = abs(100 * share)
    return f"{value:.2f}" if value >= 0.005 or value == 0 else f"{value:.1g}"


def signed(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{'-' if share < 0 else '+'}{points(share)}"


def percent(mean: float, high: float | None, n: int) -> str:
    """A mean share in percent, with half the width of its interval where it has one, and its number of seeds."""
    half = "" if high is None else f" ± {points(high - mean)}"
    return f"{100 * mean:.2f}{half} % (n {n})"


def interval(found: Interval) -> str:
    """An interval of a difference of shares."""
    return f"{signed(found.low)} to {signed(found.high)}"


def p_value(p: float) -> str:
    """A p to two digits."""
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def p_equals(p: float) -> str:
    """A p as a sentence has it: p = 0.0078."""
    return f"p {p_value(p)}" if p < 1e-4 else f"p = {p_value(p)}"


def times(ratio: float) -> str:
    """A ratio to three digits."""
    return f"{ratio:.3g}" if ratio < 1000 else f"{ratio:,.0f}"


def quantity(value: float | None) -> str:
    """A count in full, a time to three digits."""
    if value is None:
        return "?"
    return f"{value:,.0f}" if isinstance(value, int) or value >= 1000 else f"{value:.3g}"


def counted(number: int, noun: str) -> str:
    """1 seed, 2 seeds."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(items: Sequence[object]) -> str:
    """a, b and c."""
    texts = [str(item) for item in items]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
