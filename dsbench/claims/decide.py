"""Each claim against what was measured: holds, does not hold, cannot tell, not tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from dsbench.claims.measured import Measured, measured
from dsbench.claims.published import Claim, Published
from dsbench.claims.runs import NotTestedError, Run
from dsbench.statistics.paired import t_interval

HOLDS, FAILS, OPEN, UNTESTED = "holds", "does not hold", "cannot tell", "not tested"


@dataclass(frozen=True)
class Outcome:
    """A claim and what came of it; `measured` says the figure with its interval and n, or why there is none."""

    claim: Claim
    verdict: str
    measured: str

    def plain(self) -> dict[str, str]:
        """As JSON has it."""
        return {"claim": self.claim.text, "study": self.claim.study, "measured": self.measured, "verdict": self.verdict}


def decide(published: Published, runs: Sequence[Run]) -> list[Outcome]:
    """What `runs` say about each of the study's claims.

    With two seeds or more the 95 % interval of the mean (Student's t over seeds) decides: inside the claim's bounds it
    holds, outside it does not, across one of them it cannot be told. One seed decides by its value alone.
    """
    return [_outcome(claim, runs) for claim in published.claims]


def _outcome(claim: Claim, runs: Sequence[Run]) -> Outcome:
    try:
        found = measured(claim, runs)
    except NotTestedError as reason:
        return Outcome(claim, UNTESTED, str(reason))
    low, high = interval(found.values)
    inside = (low > claim.low, high < claim.high) if claim.strict else (low >= claim.low, high <= claim.high)
    outside = (high <= claim.low, low >= claim.high) if claim.strict else (high < claim.low, low > claim.high)
    verdict = HOLDS if all(inside) else FAILS if any(outside) else OPEN
    return Outcome(claim, verdict, _said(claim, found, mean(found.values), high))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean by Student's t; of one value that value alone."""
    found = t_interval(values)
    return (found.low, found.high) if found else (values[0], values[0])


def _said(claim: Claim, found: Measured, centre: float, high: float) -> str:
    """`96.4 ± 0.3 % (n = 8, 1 left out)`."""
    half = high - centre
    metric, quantity = claim.quantity.figure.metric, claim.quantity
    if quantity.over is not None:
        text = f"{centre:.3g}{f' ± {half:.2g}' if len(found.values) > 1 else ''} times"
    elif metric.endswith("_acc"):
        unit = "points" if quantity.minus or claim.compared_to else "%"
        text = f"{100 * centre:.2f}{f' ± {100 * half:.2f}' if len(found.values) > 1 else ''} {unit}"
    elif found.exact:
        return f"{centre:,.0f}, counted"
    else:
        text = f"{centre:.4g}{f' ± {half:.2g}' if len(found.values) > 1 else ''}"
    if found.exact:
        return f"{text}, counted"
    left_out = f", {found.left_out} collapsed or diverged left out" if found.left_out else ""
    return f"{text} (n = {len(found.values)}{left_out})"
