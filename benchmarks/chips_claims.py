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
    same = [studies[name] for name in studies if name.endswith(("/dwsep", "/hybrid", "_same_width"))]
    small = [plain[key] for key in plain if key[0] == group_name("width", 3, 1) and key[1] == "dwsep"]
    small += [pair for name, pair in studies.items() if name == "mnist_7800/dwsep_same_width"]
    budget = [studies[name] for name in studies if name == "mnist_7800/dwsep_same_budget"]
    fc = [studies[name] for name in studies if name == "cifar10_fc/dwsep"]
    series = [studies[name] for name in studies if name == "cifar100_series/dwsep"]
    three_way = [studies[name] for name in studies if name.startswith("cifar10_three_way/")]
    separable = [studies[name] for name in studies if name == "cifar10_three_way/dwsep"]
    flash = [one for pair in fc for one in pair.measures if (one.chip, one.figure) == ("tflm", "flash_bytes")]
    pays = [(one, winner(one) > 0) for pair in same for one in pair.judged.values()]
    weights = f" (flash {span([one.ratio for one in flash if one.ratio])} times)" if flash else ""
    return [
        _decided("lighter: less memory at as many parameters", "mnist_7800", _cases(budget, MEMORY, _ahead)),
        _decided("faster at as many parameters", "mnist_7800", _cases(budget, SPEED, _ahead)),
        _decided(f"lower memory{weights}", "cifar10_fc", _cases(fc, MEMORY, _ahead)),
        _decided("faster inference", "cifar10_fc", _cases(fc, SPEED, _ahead)),
        _decided(
            "pays on mobile and edge devices: of as many channels it is ahead there (all studies)",
            "cifar10_fc",
            [(_place(one), one.ratio, held) for one, held in pays if one.ratio],
        ),
        _decided(
            "does not pay in small models of less than 1 M parameters (`plain`, and mnist_7800 of the same widths)",
            "cifar10_fc",
            _cases(small, (*SPEED, "arena_bytes"), lambda one: not _ahead(one)),
        ),
        _decided(
            "BothConv and SeparableConv almost halve the time (at most 0.6 times)",
            "cifar10_three_way",
            _cases(three_way, SPEED, lambda one: one.ratio is not None and one.ratio <= 0.6),
        ),
        _decided(
            "a depthwise convolution saves three quarters of the work (at most 0.25 times the time or cycles)",
            "cifar10_three_way",
            _cases(separable, SPEED, lambda one: one.ratio is not None and one.ratio <= 0.25),
        ),
        _decided("pays more in deeper models (see below)", "cifar10_vgg", _deeper(studies)),
        _decided("pays more with larger kernels (see below)", "cifar10_vgg", _larger(plain)),
        _decided(
            "much faster (at most half the time)",
            "cifar100_series",
            _cases(series, SPEED, lambda one: one.ratio is not None and one.ratio <= 0.5),
        ),
        Decided("trains 30 to 50 % faster; less time an epoch", "cifar10_fc, cifar10_vgg", "chips only infer", OPEN),
    ]


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
