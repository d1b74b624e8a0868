"""Each claim against what was measured: holds, does not hold, cannot tell, not tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import le, lt

from dsbench.claims.measured import Measured, measured
from dsbench.claims.published import Bound, Claim, Published
from dsbench.claims.runs import NotTestedError, Run
from dsbench.numerals import listed
from dsbench.statistics.power import ALPHA

HOLDS, FAILS, OPEN, UNTESTED = "holds", "does not hold", "cannot tell", "not tested"
ONCE = " in one seed"  # what follows where another seed might say otherwise


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

    The range of what was measured decides (see dsbench.claims.measured): inside the claim's bounds it holds, outside it
    does not, across one of them it cannot be told. What compares two models over several seeds has to pass the
    verdict's sign-flip test too. One seed has no range, and the verdict says that it is one. Runs on another data set
    than the study's test nothing.
    """
    own = [run for run in runs if run.row["data"] == published.data]
    elsewhere = sorted({str(run.row["data"]) for run in runs}) if not own else []
    why = f"trained on {listed(elsewhere)}, not on {published.data}" if elsewhere else ""
    return [_outcome(claim, own, why) for claim in published.claims]


def _outcome(claim: Claim, runs: Sequence[Run], why: str) -> Outcome:
    if claim.bound is None or why:
        return Outcome(claim, UNTESTED, claim.untested or why)
    try:
        found = measured(claim.bound, runs)
    except NotTestedError as reason:
        return Outcome(claim, UNTESTED, str(reason))
    return Outcome(claim, _verdict(claim.bound, found), _said(claim.bound, found))


def _verdict(bound: Bound, found: Measured) -> str:
    within = lt if bound.strict else le
    if found.p is not None and found.p >= ALPHA:
        return OPEN
    if within(bound.low, found.low) and within(found.high, bound.high):
        verdict = HOLDS
    elif not within(bound.low, found.high) or not within(found.low, bound.high):
        verdict = FAILS
    else:
        return OPEN
    return verdict + (ONCE if found.seeds == 1 else "")


def _said(bound: Bound, found: Measured) -> str:
    """`96.40 ± 0.30 % (n = 8)`, `0.812 times, 0.78 to 0.86 (a CPU, ...)`, `7,800 (counted)`."""
    quantity, scale, digits, unit = bound.quantity, 1, ".4g", ""
    if quantity.over is not None:
        digits, unit = ".3g", " times"
    elif quantity.figure.metric.endswith("_acc"):
        scale, digits, unit = 100, ".2f", " points" if quantity.minus or bound.compared_to else " %"
    elif not found.seeds:
        digits = ",.0f"
    low, value, high = (f"{scale * one:{digits}}" for one in (found.low, found.value, found.high))
    if found.seeds > 1:
        text = f"{value} ± {scale * (found.high - found.value):{digits}}{unit}"
    elif found.low < found.high:
        text = f"{value}{unit}, {low} to {high}"
    else:
        text = f"{value}{unit}"
    return f"{text} ({found.source})"
