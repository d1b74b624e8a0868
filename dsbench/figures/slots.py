"""What each slot of an architecture loses in accuracy and saves in costs where it is separable: a row a slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsbench.figures.forest import Difference, draw_margin_and_interval
from dsbench.figures.style import FAINT, FAMILIES, FULL, INK, SMALL, canvas, settle, styled
from dsbench.numerals import difference_points, points, short
from dsbench.quantities import QUANTITIES, Quantity
from dsbench.verdict.slots import Sensitivity, SlotEffect

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.5  # inches
_SHOWN = ("params", "macs", "acts", "train_step_ms", "latency_ms")
_TITLES = {"acts": "activations", "train_step_ms": "step time", "latency_ms": "latency"}
_PLAIN, _SEPARABLE = FAMILIES["cnn"], FAMILIES["dwsep"]


@styled
def draw(found: Sensitivity) -> Figure | None:
    """Accuracy lost with its interval over the band of the margin, and what is saved of each cost; None without either.

    Bars of slots that the proposed hybrid has separable are those of the separable family, the others of the plain one.
    """
    slots = found.slots
    costs = [QUANTITIES[name] for name in _SHOWN if any(name in slot.costs for slot in slots) and name != found.budget]
    if not costs or not any(slot.accuracy for slot in slots):
        return None
    proposed = found.proposal.pattern if found.proposal else (False,) * len(slots)
    figure = canvas(FULL, 0.9 + ROW * len(slots), "What each slot loses and saves", _caption(found), _seen(found))
    ratios = [2.2, *(1.0 for _ in costs)]
    first, *others = figure.subplots(1, 1 + len(costs), sharey=True, width_ratios=ratios)
    for row, slot in enumerate(slots):
        draw_margin_and_interval(first, row, _difference(slot, found.margin))
    first.axvline(0, color=INK, linewidth=1.0, zorder=1)
    first.set_ylim(len(slots) - 0.4, -0.6)
    first.set_yticks(
        range(len(slots)),
        [
            f"slot {slot.number}" + ("" if found.untimed else ", separable" if own else ", plain")
            for slot, own in zip(slots, proposed, strict=True)
        ],
    )
    first.set_title("accuracy lost on validation")
    first.set_xlabel("percentage points")
    first.margins(x=0.08)
    for panel, cost in zip(others, costs, strict=True):
        _bars(panel, slots, proposed, cost, found.predicted[cost.name], len(costs))
    for panel in (first, *others):
        panel.tick_params(axis="y", length=0)
        panel.grid(visible=False, axis="y")
        for row in range(1, len(slots)):
            panel.axhline(row - 0.5, color=FAINT, linewidth=0.8, zorder=0)
    settle(figure)
    return figure


def _difference(slot: SlotEffect, margin: float) -> Difference:
    """What the slot loses, in percentage points."""
    if slot.accuracy is None:
        return Difference("", float("nan"), None, None, 100 * margin, "", ())
    interval = slot.accuracy.interval
    low, high = (-100 * interval.high, -100 * interval.low) if interval else (None, None)
    return Difference("", -100 * slot.accuracy.mean, low, high, 100 * margin, str(slot.answer), ())


def _bars(
    panel: Axes, slots: Sequence[SlotEffect], proposed: Sequence[bool], cost: Quantity, whole: float, others: int
) -> None:
    """What each slot saves, with its interval where it has one and its share of the `whole` in words.

    The panel is one of `others`, which leave the less room for words the more they are.
    """
    from matplotlib.ticker import MaxNLocator

    saved = [-slot.costs[cost.name].mean if cost.name in slot.costs else 0.0 for slot in slots]
    intervals = [change.interval for slot in slots if (change := slot.costs.get(cost.name)) and change.interval]
    ends = [end for interval in intervals for end in (-interval.low, -interval.high)]
    reach = max(0.0, *saved, *ends), min(0.0, *saved, *ends)
    for row, (slot, value, own) in enumerate(zip(slots, saved, proposed, strict=True)):
        style = _SEPARABLE if own else _PLAIN
        panel.barh(row, value, height=0.52, color=style.color, edgecolor="white", hatch=style.hatch, linewidth=0)
        interval = slot.costs[cost.name].interval if cost.name in slot.costs else None
        if interval:
            panel.plot([-interval.low, -interval.high], [row, row], color=INK, linewidth=1.8, solid_capstyle="butt")
        furthest = max(value, -interval.low if interval else value, 0.0)
        panel.annotate(
            f"{round(100 * value / whole)} %".replace("-", "\N{MINUS SIGN}"),
            (furthest, row),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
        )
    spread = reach[0] - reach[1] or abs(whole) * 0.01 or 1.0
    panel.set_xlim(reach[1] - 0.06 * spread, reach[0] + (0.35 + 0.06 * others) * spread)
    panel.axvline(0, color=INK, linewidth=1.0)
    panel.set_title(f"{_TITLES.get(cost.name, cost.wording)} saved")
    panel.set_xlabel(cost.unit or f"of {short(float(f'{whole:.3g}'))}")
    panel.xaxis.set_major_locator(MaxNLocator(3, prune="upper"))
    panel.xaxis.set_major_formatter(lambda value, _: short(value).replace("-", "\N{MINUS SIGN}"))


def _caption(found: Sensitivity) -> str:
    if found.proposal:
        hybrid = "Slots called separable are so in the hybrid that is proposed"
    elif found.untimed:
        hybrid = f"No hybrid is chosen yet: the {QUANTITIES[found.cost].wording} is not measured"
    else:
        hybrid = "No hybrid is proposed: all slots stay plain"
    sentences = [
        "Separable less plain, in the mean over the other slots",
        f"Diamond: accuracy lost, line: its interval, which all hold together at 95 %, band: the margin of "
        f"{points(found.margin)} points",
        "Bars: what is saved, of what the plain network costs; times in milliseconds",
        hybrid,
    ]
    return ". ".join(sentences) + "."


def _seen(found: Sensitivity) -> str:
    rows = [
        f"slot {slot.number} loses {difference_points(-slot.accuracy.mean, slot.accuracy.mean)} points, {slot.answer}"
        for slot in found.slots
        if slot.accuracy
    ]
    return "; ".join(rows)
