"""What the studies say of mobile devices, memory and speed, held against what chips say of their networks.

No study ran its networks on a chip: each claim is read as one of inference there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chips import KERNELS, group_name
from chips_pairs import COUNTED, CYCLES, PLACES, TIMES, Pair, Place, margin

from dsbench.numerals import times
from dsbench.verdict.chips import ChipMeasure, winner
from dsbench.verdict.rule import Answer

HOLDS, FAILS, OPEN = "holds", "does not hold", "not tested"
SPEED = (*TIMES, *CYCLES)
MEMORY = (Place("tflm/int8", "arena_head_bytes"), *(Place(place.chip, "sram_bytes") for place in CYCLES))
Plain = Mapping[tuple[str, str, int], Pair]
Studies = Mapping[str, Pair]
Case = tuple[str, float, int]  # where, the ratio, and 1 where the claim holds, -1 where the contrary does, else 0
_AHEAD = {1: "ahead", 0: "neither", -1: "behind"}
_TRUE = {1: "holds", -1: "does not"}


@dataclass(frozen=True)
class Decided:
    """A claim of `study`: what it `meant`, what it is `read` as here, what was measured and the answer."""

    claim: str
    study: str
    meant: str
    read: str
    measured: str
    answer: str


@dataclass(frozen=True)
class _Claim:
    """A claim with its cases; where it is one of being ahead, or of not being so, their counts are the answer."""

    claim: str
    study: str
    meant: str
    read: str
    cases: Sequence[Case]
    words: Mapping[int, str]
    contrary: bool = False

    @property
    def decided(self) -> Decided:
        """The answer of all cases: where they differ, how many there are of each."""
        told, answer = "not measured", OPEN
        if self.cases:
            sides = {side: [case for case in self.cases if case[2] == side] for side in self.words}
            found = {side: own for side, own in sides.items() if own}
            told = "; ".join(f"{self.words[side]}: {_told(own)}" for side, own in found.items())
            if list(found) in ([1], [-1]):
                told = _told(self.cases)
                answer = HOLDS if (1 in found) is not self.contrary else FAILS
            else:
                counts = [f"{self.words[side]} in {len(own)}" for side, own in found.items()]
                answer = ", ".join([f"{counts[0]} of {len(self.cases)}", *counts[1:]])
        return Decided(self.claim, self.study, self.meant, self.read, told, answer)


def claims(plain: Plain, studies: Studies) -> list[Decided]:
    """Every claim, in the order of the table; one whose networks are not measured yet is not tested."""

    def of(*names: str) -> list[Pair]:
        return [studies[name] for name in names if name in studies]

    three_way = of("cifar10_three_way/hybrid", "cifar10_three_way/dwsep")
    same = [pair for pair in studies.values() if pair.same_width]
    others = [pair for pair in same if pair.candidate.group != "study_cifar10_three_way"]
    budget, fc = of("mnist_7800/dwsep_same_budget"), of("cifar10_fc/dwsep")
    small = [plain[key] for key in plain if key[:2] == (group_name("width", 3, 1), "dwsep")]
    small += of("mnist_7800/dwsep_same_width")
    step, inference = "a training step", "time or cycles of inference"
    work = "a depthwise convolution saves three quarters of the work (at most 0.25 times)"
    judged = (
        _Claim("lighter", "mnist_7800", "MACs", "memory of inference", _cases(budget, MEMORY, winner), _AHEAD),
        _Claim("faster", "mnist_7800", step, inference, _cases(budget, SPEED, winner), _AHEAD),
        _Claim(
            "less memory",
            "cifar10_fc",
            "a training step's peak, not measured",
            "memory of inference",
            _cases(fc, MEMORY, winner),
            _AHEAD,
        ),
        _Claim(
            "faster inference", "cifar10_fc", "one image, not measured", inference, _cases(fc, SPEED, winner), _AHEAD
        ),
        _Claim(
            "pays on mobile and edge devices",
            "cifar10_fc",
            "no device, no figure",
            "TFLM and the Ethos-U, all studies' networks of equal width: activations, flash, estimated cycles",
            _cases(same, COUNTED, winner),
            _AHEAD,
        ),
        _Claim(
            "does not pay in small models of less than 1 M parameters",
            "cifar10_fc",
            "no such model",
            "`plain` and mnist_7800, of equal width: ahead nowhere",
            _cases(small, PLACES, winner),
            _AHEAD,
            contrary=True,
        ),
        _Claim(
            "BothConv and SeparableConv almost halve the time (at most 0.6 times)",
            "cifar10_three_way",
            step,
            inference,
            _cases(three_way, SPEED, _at_most(0.6)),
            _TRUE,
        ),
        _Claim(
            work,
            "cifar10_three_way",
            "arithmetic of one layer",
            f"{inference}, of the whole network",
            _cases(of("cifar10_three_way/dwsep"), SPEED, _at_most(0.25)),
            _TRUE,
        ),
        _Claim(
            "the same in the other studies",
            "cifar10_three_way",
            "arithmetic of one layer",
            f"{inference}, of whole networks of equal width",
            _cases(others, SPEED, _at_most(0.25)),
            _TRUE,
        ),
        _Claim("pays more in deeper models", "cifar10_vgg", "no other depth", "see above", _deeper(studies), _TRUE),
        _Claim("pays more with larger kernels", "cifar10_vgg", "no other kernel", "see above", _larger(plain), _TRUE),
        _Claim(
            "much faster (at most half the time)",
            "cifar100_series",
            step,
            inference,
            _cases(of("cifar100_series/dwsep"), SPEED, _at_most(0.5)),
            _TRUE,
        ),
        _Claim("trains 30 to 50 % faster; less time an epoch", "cifar10_fc, cifar10_vgg", step, "no inference", (), {}),
    )
    return [one.decided for one in judged]


def _at_most(limit: float) -> Callable[[ChipMeasure], int]:
    return lambda one: 1 if one.ratio is not None and one.ratio <= limit else -1


def _cases(pairs: Iterable[Pair], places: Sequence[Place], side: Callable[[ChipMeasure], int]) -> list[Case]:
    """A case for each of these places of each pair."""
    found = [(place, pair.measures[place]) for pair in pairs for place in places if place in pair.measures]
    return [
        (place.title, one.ratio, side(one))
        for place, one in found
        if one.ratio is not None and one.answer is not Answer.NOT_COMPARABLE
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
    out: list[Case] = []
    for place in pairs[0].judged:
        measures = [one for pair in pairs if (one := pair.judged.get(place)) is not None and one.ratio]
        if len(measures) == wanted:
            change = (measures[-1].ratio or 0.0) / (measures[0].ratio or 1.0)
            out.append((place.title, change, 1 if all(_falls(*both) for both in pairwise(measures)) else -1))
    return out


def _falls(before: ChipMeasure, after: ChipMeasure) -> bool:
    """Whether the second ratio is below the first: that of a time by its interval, else by the margin."""
    if before.interval and after.interval:
        return after.interval.high < before.interval.low
    return bool(before.ratio and after.ratio and (1 + margin(after)) * after.ratio < before.ratio)


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
