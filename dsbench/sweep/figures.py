"""How figures are written in tables; what is missing is an empty text."""

from __future__ import annotations


def percent(share: float | None, sign: str = "") -> str:
    """A share of 1 in percent, with `sign`="+" always signed."""
    return "" if share is None else f"{100 * share:{sign}.2f} %"


def interval(mean: float | None, high: float | None) -> str:
    """A mean in percent, with half the width of its interval where it has one."""
    if mean is None or high is None:
        return percent(mean)
    return f"{100 * mean:.2f} ± {100 * (high - mean):.2f} %"


def points(share: float | None) -> str:
    """A spread of shares in percentage points, without a sign."""
    return "" if share is None else f"{100 * share:.2f}"


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
    return "" if value is None else f"{value:.3g} ms"


def count(number: int | None) -> str:
    """A count in full."""
    return "" if number is None else f"{number:,}"


def rounded(number: int | None) -> str:
    """A count to three digits, with k, M, G or T from 1,000 on."""
    if number is None or number < 1000:
        return count(number)
    for size, unit in ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        if number < 999.5 * size:
            return f"{number / size:#.3g}".rstrip(".") + unit
    return count(number)
