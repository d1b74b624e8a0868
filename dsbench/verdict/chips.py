"""Where does it win? What chips count and time of two networks, and on which of them the winner is another."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dsbench.chips.chip import PRECISIONS, counted_in
from dsbench.quantities import JUDGED_ON_CHIP, LIGHTER_ON_CHIP, QUANTITIES
from dsbench.verdict.cells import TOLERANCE, Cell
from dsbench.verdict.faster import comparisons
from dsbench.verdict.lighter import Measure, counted_measure
from dsbench.verdict.rule import Answer
from dsbench.verdict.timings import CHIP, Records, Timings, chip_timings

MOST_COMPARED = 7  # comparisons that there is room for beside each other, the first of all
TORCH = "torch"  # the row of the runtime that trains
ESTIMATED = "cycles"  # by a compiler
_TIME = "latency_ms"


@dataclass(frozen=True, kw_only=True)
class ChipMeasure(Measure):
    """A figure of both networks on a chip, in a precision: `figure` is a name of dsbench.quantities.

    `judged` says whether it is the one that the chip is judged by where one figure is shown.
    """

    chip: str
    precision: str
    figure: str
    judged: bool = False

    @property
    def timed(self) -> bool:
        """Whether it is measured, and no count."""
        return self.figure == _TIME

    @property
    def estimated(self) -> bool:
        """Whether it is a compiler's estimate."""
        return self.figure == ESTIMATED

    @property
    def where(self) -> str:
        """The chip, with its precision where that is not int8 alone: litert fp32."""
        return f"{self.chip} {self.precision.replace('_', ' ')}"


@dataclass(frozen=True)
class Said:
    """What chips say of a network: `figures` by chip and precision (litert/int8) and name, and the repeats of times."""

    figures: Mapping[str, Mapping[str, float]]
    times: Sequence[Timings]


def on_chips(
    reference: Cell,
    candidate: Cell,
    records: Records,
    level: float,
    speed_margin: float,
    matched: tuple[str, str] | None,
) -> tuple[ChipMeasure, ...]:
    """What each chip says of both; see `compared`."""
    before, after = (Said(cell.chips, chip_timings(cell, records)) for cell in (reference, candidate))
    return compared(before, after, level, speed_margin, matched)


def compared(
    reference: Said, candidate: Said, level: float, speed_margin: float, matched: tuple[str, str] | None = None
) -> tuple[ChipMeasure, ...]:
    """What each chip says of both: first what it takes, by the rules of all times, then what is counted.

    An interval is at 1 - `level`, `speed_margin` is in percent. `matched` is the chip and its cost that both are
    matched by, if it is one; what is that cost in another unit is matched too. What a chip says of one network alone is
    left out, and so is the size of a file of which nothing else is known; a chip that counts its flash has it there.
    """
    timed = comparisons(reference.times, candidate.times)
    out: list[ChipMeasure] = []
    places = [place.split("/") for place in _ordered(reference.figures) if place in candidate.figures]
    for chip, precision in places:
        place = f"{chip}/{precision}"
        counted = precision == counted_in([other for name, other in places if name == chip])
        common = matched[1] if counted and matched and matched[0] == chip else None
        before, after = reference.figures[place], candidate.figures[place]
        own = []
        comparison = timed.get((CHIP, chip, precision))
        if comparison is not None:
            measure = comparison.measure(level, speed_margin)
            own.append(ChipMeasure(**vars(measure), chip=chip, precision=precision, figure=_TIME))
        costs = LIGHTER_ON_CHIP if comparison is None else (*LIGHTER_ON_CHIP, QUANTITIES["file_bytes"])
        for cost in costs:
            if cost.name in before and cost.name in after:
                equal = _same(common, cost.name, before, after)
                share = tolerance(cost.name, speed_margin)
                measure = counted_measure(cost, before[cost.name], after[cost.name], equal, share)
                named = vars(measure) | {"name": f"{chip} {precision} {cost.heading}"}
                own.append(ChipMeasure(**named, chip=chip, precision=precision, figure=cost.name))
        judged = next((name for name in JUDGED_ON_CHIP if any(one.figure == name for one in own)), None)
        out += [ChipMeasure(**vars(one) | {"judged": one.figure == judged}) for one in own]
    return tuple(out)


def tolerance(figure: str, speed_margin: float) -> float:
    """By which share of one two counts may differ and be equal: of an estimate as in times, for it is no count."""
    return speed_margin / 100 if figure == ESTIMATED else TOLERANCE


def _same(matched: str | None, cost: str, before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    """Whether a cost is the `matched` one or in proportion to it, as a compiler's cycles are to the time they take."""
    if matched is None or matched not in before or matched not in after:
        return False
    return math.isclose(before[cost] * after[matched], after[cost] * before[matched], rel_tol=1e-5)  # as rounded


def _ordered(places: Collection[str]) -> list[str]:
    """Chips with their precisions, fp32 first."""
    chips = list(dict.fromkeys(place.split("/")[0] for place in places))
    return [place for chip in chips for precision in PRECISIONS if (place := f"{chip}/{precision}") in places]


@dataclass(frozen=True)
class Where:
    """What chips are judged by: `measures` has, for each of `rows`, the figure of each of several comparisons.

    A row is a chip with its precision, and what is judged there; None is what is not known of both.
    """

    rows: tuple[tuple[str, str], ...]
    measures: tuple[tuple[Measure | None, ...], ...]


def where(pairs: Sequence[tuple[Sequence[Measure], Sequence[ChipMeasure]]]) -> Where | None:
    """The chips of comparisons, each with its times `measured` here and what it comes to on chips.

    torch on the machine that measured comes first. None without chips, and where these have nothing but what both
    networks are matched by.
    """
    rows: dict[tuple[str, str], list[Measure | None]] = {}
    for number, (measured, chips) in enumerate(pairs):
        judged = {_row(one): one for one in chips if one.judged}
        torch = next((one for one in measured if one.name == "latency at batch 1" and one.ratio is not None), None)
        entries: dict[tuple[str, str], Measure] = {
            **({(TORCH, JUDGED_ON_CHIP[_TIME]): torch} if torch else {}),
            **judged,
        }
        for row, measure in entries.items():
            rows.setdefault(row, [None] * len(pairs))[number] = measure
    told = (one for (chip, _), measures in rows.items() if chip != TORCH for one in measures)
    if all(one is None or one.matched for one in told):
        return None
    first = sorted(rows, key=lambda row: row[0] != TORCH)
    return Where(tuple(first), tuple(tuple(rows[row]) for row in first))


WHERE = "Where it wins"


def where_title(shown: int, of: int) -> str:
    """What a table or picture of so many of all comparisons is called."""
    return f"{WHERE}, in {shown} of {of} comparisons" if shown < of else WHERE


def _row(measure: ChipMeasure) -> tuple[str, str]:
    return measure.where, f"{JUDGED_ON_CHIP[measure.figure]}{' (estimate)' if measure.estimated else ''}"


def winner(measure: Measure) -> int:
    """1 where the candidate is ahead, -1 where the reference is, 0 where neither is or one cannot tell."""
    if measure.answer in (Answer.FASTER, Answer.LIGHTER):
        return 1
    return -1 if measure.answer in (Answer.SLOWER, Answer.HEAVIER) else 0
