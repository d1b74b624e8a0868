"""Numbers in words, for sentences and tables; a missing number is an empty text."""

from __future__ import annotations

import math
from collections.abc import Sequence

_ROUNDING = 1e-12  # of shares of 1: what is left of a sum of shares that is 0; one image of a billion is more


def percent(share: float | None, sign: str = "") -> str:
    """A share of 1 in percent, with `sign`="+" always signed."""
    return "" if share is None else f"{100 * share:{sign}.2f} %"


def mean_percent(mean: float | None, high: float | None, n: int | None = None) -> str:
    """A mean share in percent, with half the width of its interval and its number of seeds where they are given.

    An interval that reaches beyond 0 or 100 % has its ends instead, cut off there.
    """
    if mean is None:
        return ""
    half = "" if high is None else f" ± {points(high - mean)}"
    if high is not None and (high > 1 or high > 2 * mean):
        low = "0" if high > 2 * mean else f"{100 * (2 * mean - high):.2f}"
        half = f" ({low} to {'100' if high > 1 else f'{100 * high:.2f}'})"
    seeds = "" if n is None else f" (n {n})"
    return f"{100 * mean:.2f}{half} %{seeds}"


def points(share: float | None) -> str:
    """A difference of shares in percentage points, without a sign, to the second digit that is not 0 if it is small."""
    return "" if share is None else difference_points(abs(share), 0.0, sign="")


def signed_points(share: float) -> str:
    """A difference of shares in percentage points, with its sign; 0.00 has none."""
    return difference_points(share, 0.0)


def difference_points(share: float, half: float, sign: str = "+") -> str:
    """A difference of shares in percentage points, to as many digits as an interval of that `half` width bears.

    What is 0, or left of it by rounding, has no sign.
    """
    digits = 1 if abs(half) >= 0.003 else 2
    if abs(share) < _ROUNDING:
        return f"{0:.{digits}f}"
    while not float(f"{100 * share:.{digits}f}"):
        digits += 1
    return f"{100 * share:{sign}.{digits}f}"


def p_value(p: float) -> str:
    """A p to two digits."""
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def times(ratio: float) -> str:
    """A ratio to three digits."""
    return _three_digits(ratio)


def seconds(value: float | None) -> str:
    """A length of time in seconds."""
    return "" if value is None else f"{value:,.1f} s" if value < 1000 else f"{value:,.0f} s"


def duration(seconds: float) -> str:
    """A length of time to two units: 50 s, 3 min 05 s, 2 h 10 min."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def milliseconds(value: float | None) -> str:
    """A latency, to three digits."""
    return "" if value is None else f"{_three_digits(value)} ms"


def quantity(value: float | None) -> str:
    """A count in full, a time to three digits."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else _three_digits(value)


def two_places(value: float | None) -> str:
    """A figure with two digits behind the point."""
    return "" if value is None else f"{value:,.2f}"


def mebibytes(value: int | None) -> str:
    """A number of bytes in MiB, without the unit."""
    return "" if value is None else f"{value / 2**20:,.1f}"


def memory(value: int) -> str:
    """A number of bytes to two digits or more: 0.9 GiB, 33 TiB."""
    amount, units = value / 2**20 if value < 2**70 else math.inf, ["MiB", "GiB", "TiB", "PiB"]
    while amount >= 999.5 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    if amount > 9999:
        return f"more than 9,999 {units[0]}"
    return f"{amount:.1f} {units[0]}" if amount < 9.95 else f"{amount:,.0f} {units[0]}"


def _three_digits(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def rounded(number: int | None) -> str:
    """A count to three digits, with k, M, G, T or P from 1,000 on."""
    if number is None or number < 1000:
        return quantity(number)
    value, prefix = _prefixed(number)
    return f"{value:#.3g}".rstrip(".") + prefix


def short(value: float) -> str:
    """A round number at a tick of an axis: as many digits as it has, with k, M, G, T or P: 7.765k."""
    value, prefix = _prefixed(value, digits=6)
    return f"{value:.6g}{prefix}"


def engineering(value: float, unit: str) -> str:
    """At most three digits with a prefix and a unit: 266 GFLOP/s."""
    value, prefix = _prefixed(value)
    return f"{value:.3g} {prefix}{unit}"


def _prefixed(value: float, digits: int = 3) -> tuple[float, str]:
    """A number in units of its prefix, after rounding to `digits`: with three, 999.9 thousand are 1 M."""
    size = abs(float(f"{value:.{digits}g}"))
    power = min(5, max(0, int(math.log10(size) // 3))) if size else 0
    return value / 1000**power, ("", "k", "M", "G", "T", "P")[power]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """1 seed, 2 seeds; `plural` where that is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def listed(items: Sequence[object]) -> str:
    """a, b and c."""
    texts = [str(item) for item in items]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
