"""Whether the width that a budget was solved to is one that costs time on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from dsbench.budget.solver import counted_knob, fine_widths, in_multiples
from dsbench.config.network import frame
from dsbench.network.cost import cost
from dsbench.network.description import Network
from dsbench.run.plan import Plan
from dsbench.run.record import width

MULTIPLE = 8  # channels of fp32 that a register of AVX2 holds; one of AVX-512 holds 16
SLOW = 1.15  # times as long as is to be expected, from which on it is said
TRIED = 4  # networks at the most, about half a second each on a machine that does nothing else
SECONDS = 0.2  # of each of the two that take turns
_MOST_MACS = 1e9  # of a forward pass that takes well below that


@dataclass(frozen=True)
class OddWidth:
    """A width, the nearest one in multiples, and how many times as long as that lets expect a pass of it takes."""

    width: str
    nearest: str
    times: float


def odd_widths(plans: Iterable[Plan]) -> str | None:
    """What is to be said of the solved widths of `plans`: a line, None where none is known to cost time.

    The first few that are no multiples are measured on a CPU, each against the nearest that is, and kept.
    """
    candidates = {}
    for plan in plans:
        other = _nearest(plan) if plan.requested and plan.place.kind == "cpu" and plan.cost.macs <= _MOST_MACS else None
        if other:
            candidates[plan.config.width, plan.config.arch.fine_width, repr(plan.network)] = plan, *other
    tried = [*candidates.values()][:TRIED]
    slow = [odd for odd in (_measured(*each) for each in tried) if odd.times >= SLOW]
    if not slow:
        return None
    which = ", ".join(f"{odd.width} takes {odd.times:.1f} times what {odd.nearest} lets expect" for odd in slow)
    some = f"; {len(tried)} of {len(candidates)} such widths tried" if len(tried) < len(candidates) else ""
    return (
        f"odd widths cost time here: {which} (one image, one thread of torch{some}); "
        f"budget.multiple={MULTIPLE} solves to multiples of {MULTIPLE}"
    )


def _nearest(plan: Plan) -> tuple[Network, str] | None:
    """The network of the nearest width whose channels are all multiples, and that width; None where its own are."""
    skeleton, own, fine = frame(plan.composed), plan.config.width, plan.config.arch.fine_width
    knob = in_multiples(counted_knob(skeleton, "macs"), skeleton, MULTIPLE)
    if knob.cost(own, fine) is not None:
        return None
    for near in sorted(range(1, 2 * own + 4 * MULTIPLE), key=lambda near: (abs(near - own), -near)):
        if not knob.fits(near):
            continue
        shape = knob.shape(near)
        if fine is not None:
            shape = near, min(fine_widths(knob, near), key=lambda value: abs(value - fine), default=None)
        if knob.cost(*shape) is not None:
            return skeleton.network(*shape), width(*shape)
    return None


def _measured(plan: Plan, other: Network, named: str) -> OddWidth:
    """By turns. A wider network is expected to take no less time, a narrower one no less than its share of MACs."""
    from dsbench.measure.bench import forward_undisturbed
    from dsbench.measure.store import Store

    store = Store(Path(plan.config.outputs).absolute() / "latency" / "widths")
    own, nearest = forward_undisturbed([plan.network, other], plan.place.compute(), SECONDS, store)
    ratio = median(a / b for a, b in zip(own.rounds_ms, nearest.rounds_ms, strict=True))
    shape = width(plan.config.width, plan.config.arch.fine_width)
    return OddWidth(shape, named, ratio / max(1.0, plan.cost.macs / cost(other).macs))
