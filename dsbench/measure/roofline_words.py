"""Rooflines in words: where the time of a step goes, and what makes one network slower than another.

Every clause follows from the numbers by a rule and a threshold that stand here.
"""

from __future__ import annotations

from dsbench.measure.roofline_record import KindRow, Roofline, Row
from dsbench.numerals import listed

WORTH = 0.10  # of the time, or of all changes: less is not mentioned
MOST = 3  # kinds that a paragraph mentions
LARGE = 0.25  # of the time: layers without MACs that take less together are not mentioned
BUSY = 0.9  # of the time: a process that has a core for less is disturbed
ALIKE = 0.10  # two times or ratios that differ by less count as alike
SUBJECTS = {
    "dense conv": "dense convolutions",
    "grouped conv": "grouped convolutions",
    "depthwise": "depthwise layers",
    "pointwise": "pointwise layers",
    "linear": "linear layers",
    "norm": "norms",
    "activation": "activations",
    "pool": "pooling layers",
    "dropout": "dropout layers",
    "sum": "residual sums",
    "gate": "gate products",
    "flatten": "flatten layers",
    "loss": "the loss",
    "optimizer": "the optimizer",
}


def verdict(roofline: Roofline) -> str:
    """One paragraph on where the time of a step goes and what bounds it.

    It mentions the MOST kinds that take longest, each WORTH of the time or more; layers without MACs where these take
    LARGE of it together; and a disturbance where the process had a core for less than BUSY of the time.
    """
    total = roofline.total
    sentences = [
        f"{roofline.name}: a step of {roofline.batch_size} images takes {ms(total.time_ms)}; at the best rates of this "
        f"device {ms(total.attainable_ms)} would do."
    ]
    longest = [row for row in roofline.kinds if row.share >= WORTH][:MOST]
    sentences += [f"{_capital(_shares(row))}: {_bound(row, roofline.rates.ridge)}." for row in longest]
    idle = sum(row.share for row in roofline.kinds if not row.macs)
    if idle >= LARGE:
        sentences.append(f"All that has no MACs takes {percent(idle)} of the time.")
    if roofline.busy is not None and roofline.busy < BUSY:
        sentences.append(f"It had a core for only {percent(roofline.busy)} of the time: these times are too long.")
    return " ".join(sentences)


def comparison(first: Roofline, second: Roofline) -> str:
    """One paragraph on why `second` is slower or faster than `first`: MACs against time, and where the time went.

    It mentions the MOST kinds that changed most, each WORTH of all changes or more, with what bounds those that take
    longer; kinds that take WORTH of the second's time and changed by less than ALIKE of theirs; and a disturbance where
    either had a core for less than BUSY of the time.
    """
    sentences = [_ratios(first, second)]
    before, after = ({row.kind: row for row in roofline.kinds} for roofline in (first, second))
    kinds = [kind for kind in SUBJECTS if kind in before or kind in after]
    changes = {kind: _time(after.get(kind)) - _time(before.get(kind)) for kind in kinds}
    least = WORTH * sum(abs(change) for change in changes.values())
    kinds.sort(key=lambda kind: -abs(changes[kind]))
    changed = [kind for kind in kinds if abs(changes[kind]) >= least][:MOST]
    if least:
        clauses = [
            f"{SUBJECTS[kind]} {_take(kind)} {ms(abs(changes[kind]))} {'more' if changes[kind] > 0 else 'less'}"
            for kind in changed
        ]
        sentences.append(f"{_capital(listed(clauses))}.")
    longer = [after[kind] for kind in changed if changes[kind] > 0]
    sentences += [f"In {second.name}, {_shares(row)}: {_bound(row, second.rates.ridge)}." for row in longer]
    same = [row for kind, row in after.items() if kind in before and abs(changes[kind]) < ALIKE * row.time_ms]
    sentences += [
        f"{_capital(SUBJECTS[row.kind])} {_take(row.kind)} about as long in both: {ms(row.time_ms)}, "
        f"{percent(row.share)} of the time of {second.name}."
        for row in same
        if row.share >= WORTH
    ]
    busy = min(1.0 if roofline.busy is None else roofline.busy for roofline in (first, second))
    if busy < BUSY:
        sentences.append(
            f"One of them had a core for only {percent(busy)} of the time, so this comparison may be wrong."
        )
    return " ".join(sentences)


def _ratios(first: Roofline, second: Roofline) -> str:
    macs, time = second.total.macs / first.total.macs, second.total.time_ms / first.total.time_ms
    head = f"{second.name} has {macs:.2f} times the MACs of {first.name} and takes {time:.2f} times its time"
    if first.step_ms[0] <= second.step_ms[2] and second.step_ms[0] <= first.step_ms[2]:
        head += ", though the middle halves of their steps overlap"
    each = f"a MAC takes {time / macs:.2f} times as long"
    if (macs < 1) != (time < 1) and macs != 1:
        return f"{head}: {'fewer MACs, yet slower' if macs < 1 else 'more MACs, yet faster'}; {each}."
    if abs(time / macs - 1) < ALIKE:
        return f"{head}: about what its MACs say."
    degree = "more" if (time < macs) == (time < 1) else "less"
    return f"{head}: {'faster' if time < 1 else 'slower'}, by {degree} than its MACs say; {each}."


def _shares(row: KindRow) -> str:
    subject = SUBJECTS[row.kind]
    if row.macs:
        return f"{subject} are {percent(row.mac_share)} of the MACs and {percent(row.share)} of the time"
    return f"{subject} {_take(row.kind)} {percent(row.share)} of the time, without a MAC"


def _bound(row: Row, ridge: float) -> str:
    """What bounds the row; `ridge` is the FLOP per byte from which on arithmetic is the limit."""
    if row.bound == "overhead":
        if not row.attainable_ms:
            return "with nothing to compute or to move, so all of it overhead"
        times = row.time_ms / row.attainable_ms
        return f"{times:.0f} times what arithmetic and memory need, so bound by overhead or slow kernels"
    if row.bound == "compute":
        return f"bound by arithmetic, at {percent(row.efficiency)} of the attainable rate"
    fast = "faster than memory allows, so mostly from a cache"
    speed = fast if row.efficiency > 1 else f"at {percent(row.efficiency)} of what memory allows"
    return f"bound by memory, {row.intensity:.1f} FLOP per byte where this device balances at {ridge:.1f}, {speed}"


def _take(kind: str) -> str:
    return "takes" if SUBJECTS[kind].startswith("the ") else "take"


def _time(row: KindRow | None) -> float:
    return row.time_ms if row else 0.0


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def ms(milliseconds: float) -> str:
    """Milliseconds with three significant digits or whole ones."""
    if milliseconds >= 100:
        return f"{milliseconds:,.0f} ms"
    return f"{milliseconds:.1f} ms" if milliseconds >= 10 else f"{milliseconds:.2f} ms"


def percent(share: float) -> str:
    """A share of 1 in percent, with a digit after the point where it is small."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"
