"""What the studies say of mobile devices, memory and speed, held against what chips say of their networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chips import KERNELS, PLACES, Pair, group_name

from dsbench.numerals import times
from dsbench.verdict.cells import TOLERANCE
from dsbench.verdict.chips import ChipMeasure, winner
from dsbench.verdict.rule import Answer

HOLDS, FAILS, OPEN = "holds", "does not hold", "not tested"
MEMORY = ("arena_bytes", "sram_bytes")
SPEED = ("latency_ms", "cycles")
Plain = Mapping[tuple[str, str, int], Pair]
Studies = Mapping[str, Pair]
Case = tuple[str, float, bool]  # where, the ratio, whether the claim holds there


@dataclass(frozen=True)
class Decided:
    """A claim of `study` with what was measured and the answer."""

    claim: str
    study: str
    measured: str
    answer: str


def claims(plain: Plain, studies: Studies) -> list[Decided]:
    """Every claim, in the order of the table; one whose networks are not measured yet is not tested."""

    def of(*names: str) -> list[Pair]:
        return [studies[name] for name in names if name in studies]

    same = [name for name in studies if name.endswith(("/dwsep", "/hybrid", "_same_width"))]
    others = [name for name in same if not name.startswith("cifar10_three_way/")]
    budget, fc = of("mnist_7800/dwsep_same_budget"), of("cifar10_fc/dwsep")
    small = [plain[key] for key in plain if key[:2] == (group_name("width", 3, 1), "dwsep")]
    work = "a depthwise convolution saves three quarters of the work (at most 0.25 times the time or cycles)"
    judged = (
        ("lighter: less memory at as many parameters", "mnist_7800", _cases(budget, MEMORY, _ahead)),
        ("faster at as many parameters", "mnist_7800", _cases(budget, SPEED, _ahead)),
        (f"lower memory{_flash(fc)}", "cifar10_fc", _cases(fc, MEMORY, _ahead)),
        ("faster inference", "cifar10_fc", _cases(fc, SPEED, _ahead)),
        (
            "pays on mobile and edge devices: at as many channels it is ahead there (the networks of all studies)",
            "cifar10_fc",
            _cases(of(*same), (*SPEED, "arena_bytes"), _ahead),
        ),
        (
            "does not pay in small models of less than 1 M parameters (`plain`, and mnist_7800, at equal width)",
            "cifar10_fc",
            _cases([*small, *of("mnist_7800/dwsep_same_width")], (*SPEED, "arena_bytes"), lambda one: not _ahead(one)),
        ),
        (
            "BothConv and SeparableConv almost halve the time (at most 0.6 times)",
            "cifar10_three_way",
            _cases(of("cifar10_three_way/hybrid", "cifar10_three_way/dwsep"), SPEED, _at_most(0.6)),
        ),
        (work, "cifar10_three_way", _cases(of("cifar10_three_way/dwsep"), SPEED, _at_most(0.25))),
        ("the same in the other studies", "cifar10_three_way", _cases(of(*others), SPEED, _at_most(0.25))),
        ("pays more in deeper models (see above)", "cifar10_vgg", _deeper(studies)),
        ("pays more with larger kernels (see above)", "cifar10_vgg", _larger(plain)),
        (
            "much faster (at most half the time)",
            "cifar100_series",
            _cases(of("cifar100_series/dwsep"), SPEED, _at_most(0.5)),
        ),
    )
    training = Decided(
        "trains 30 to 50 % faster; less time an epoch", "cifar10_fc, cifar10_vgg", "chips only infer", OPEN
    )
    return [*(_decided(*one) for one in judged), training]


def _flash(pairs: Sequence[Pair]) -> str:
    """What the file comes to, which is no memory that a claim is of."""
    own = [one.ratio for pair in pairs for one in pair.measures if (one.chip, one.figure) == ("tflm", "flash_bytes")]
    return f" (flash {span([ratio for ratio in own if ratio])} times)" if own else ""


def _at_most(limit: float) -> Callable[[ChipMeasure], bool]:
    return lambda one: one.ratio is not None and one.ratio <= limit


def _place(measure: ChipMeasure) -> str:
    return PLACES[f"{measure.chip}/{measure.precision}"]


def _ahead(measure: ChipMeasure) -> bool:
    return winner(measure) > 0


def _cases(pairs: Sequence[Pair], figures: Sequence[str], holds: Callable[[ChipMeasure], bool]) -> list[Case]:
    """A case for each of these figures of each chip."""
    return [
        (_place(one), one.ratio, holds(one))
        for pair in pairs
        for one in pair.measures
        if one.figure in figures and one.ratio is not None and one.answer is not Answer.NOT_COMPARABLE
    ]


def _deeper(studies: Studies) -> list[Case]:
    """Whether the ratio is below that of the shallow network, chip by chip, at as many parameters."""
    both = [studies.get(f"matched_7800/dwsep_{depth}") for depth in ("shallow", "deep")]
    return _falling([pair for pair in both if pair is not None], 2)


def _larger(plain: Plain) -> list[Case]:
    """Whether the ratio falls from kernel to kernel, chip by chip, at each equal width."""
    widths = sorted({width for _, _, width in plain})
    out = []
    for width in widths:
        keys = [(group_name("width", kernel, 1), "dwsep", width) for kernel in KERNELS]
        out += _falling([plain[key] for key in keys if key in plain], len(KERNELS))
    return out


def _falling(pairs: Sequence[Pair], wanted: int) -> list[Case]:
    """On each chip the ratio of the last pair as a multiple of the first's, and whether it falls from pair to pair."""
    if len(pairs) < wanted:
        return []
    out = []
    for place in pairs[0].judged:
        measures = [one for pair in pairs if (one := pair.judged.get(place)) is not None and one.ratio]
        if len(measures) == wanted:
            change = (measures[-1].ratio or 0.0) / (measures[0].ratio or 1.0)
            out.append((PLACES[place], change, all(_falls(*both) for both in pairwise(measures))))
    return out


def _falls(before: ChipMeasure, after: ChipMeasure) -> bool:
    """Whether the second ratio is below the first: that of a time by its interval, that of a count by 1 %."""
    if before.interval and after.interval:
        return after.interval.high < before.interval.low
    return bool(before.ratio and after.ratio and after.ratio < (1 - TOLERANCE) * before.ratio)


def _decided(claim: str, study: str, cases: Sequence[Case]) -> Decided:
    """The answer of all cases: where they differ, on how many it holds."""
    if not cases:
        return Decided(claim, study, "not measured", OPEN)
    held = [case for case in cases if case[2]]
    if len(held) in (0, len(cases)):
        return Decided(claim, study, _told(cases), HOLDS if held else FAILS)
    missed = [case for case in cases if not case[2]]
    measured = f"holds on {_told(held)}; does not on {_told(missed)}"
    return Decided(claim, study, measured, f"holds in {len(held)} of {len(cases)}")


def _told(cases: Sequence[Case]) -> str:
    """By chip the range of ratios."""
    by_place: dict[str, list[float]] = {}
    for place, ratio, _ in cases:
        by_place.setdefault(place, []).append(ratio)
    return ", ".join(f"{place} {span(ratios)}" for place, ratios in by_place.items())


def span(ratios: Sequence[float]) -> str:
    """The least and the greatest: 0.2 to 0.9."""
    low, high = times(min(ratios)), times(max(ratios))
    return low if low == high else f"{low} to {high}"
