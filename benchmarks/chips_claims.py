"""What the studies say of mobile devices, memory and speed, held against what chips say of their networks.

No study ran its networks on a chip: each claim is read as one of inference there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from chips import KERNELS, group_name
from chips_pairs import COUNTED, CYCLES, PLACES, TIMES, Pair, Place

from dsbench.claims.published import Claim, published
from dsbench.numerals import times
from dsbench.verdict.chips import ChipMeasure, tolerance, winner
from dsbench.verdict.rule import SPEED_MARGIN, Answer

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
    """A `claim`, what it is `read` as here, what was measured and the answer."""

    claim: Claim
    study: str
    read: str
    measured: str
    answer: str


@dataclass(frozen=True)
class _Read:
    """The claim of `study` that begins so, read as something of chips: its cases, the counts of which are the answer.

    `contrary` says that it is one of not being ahead.
    """

    study: str
    begins: str
    read: str
    cases: Sequence[Case] = ()
    words: Mapping[int, str] = field(default_factory=dict)
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
        return Decided(_claim(self.study, self.begins), self.study, self.read, told, answer)


def claims(plain: Plain, studies: Studies) -> list[Decided]:
    """Every claim, in the order of the table; one whose networks are not measured yet is not tested."""

    def of(*names: str) -> list[Pair]:
        return [studies[name] for name in names if name in studies]

    same = [pair for pair in studies.values() if pair.same_width]
    budget, fc = of("mnist_7800/dwsep_same_budget"), of("cifar10_fc/dwsep")
    small = [plain[key] for key in plain if key[:2] == (group_name("width", 3, 1), "dwsep")]
    small += of("mnist_7800/dwsep_same_width")
    memory, speed = "memory of inference", "time or cycles of inference"
    devices = "TFLM and the Ethos-U, all studies' networks of equal width: activations, flash, estimated cycles"
    quarter = "at most 0.25 times the time or cycles of inference"
    three_way, vgg = "cifar10_three_way", "cifar10_vgg"
    three_quarters = "A depthwise convolution saves three quarters"
    read = (
        _Read("mnist_7800", "Lighter", memory, _cases(budget, MEMORY, winner), _AHEAD),
        _Read("mnist_7800", "Faster", speed, _cases(budget, SPEED, winner), _AHEAD),
        _Read("cifar10_fc", "Separable needs less memory", memory, _cases(fc, MEMORY, winner), _AHEAD),
        _Read("cifar10_fc", "Separable has the faster inference", speed, _cases(fc, SPEED, winner), _AHEAD),
        _Read("cifar10_fc", "Separable pays on mobile", devices, _cases(same, COUNTED, winner), _AHEAD),
        _Read(
            "cifar10_fc",
            "It does not pay in small models",
            "`plain` and mnist_7800, of equal width: ahead nowhere",
            _cases(small, PLACES, winner),
            _AHEAD,
            contrary=True,
        ),
        _at_most(three_way, "BothConv almost halves the time", of(f"{three_way}/hybrid")),
        _at_most(three_way, "SeparableConv almost halves the time", of(f"{three_way}/dwsep")),
        _Read(three_way, three_quarters, quarter, _cases(of(f"{three_way}/dwsep"), SPEED, _within(0.25)), _TRUE),
        _Read(vgg, "Separable pays more in deeper models", "see above", _deeper(studies), _TRUE),
        _Read(vgg, "It pays more with larger kernels", "see above", _larger(plain), _TRUE),
        _at_most("cifar100_series", "Much faster", of("cifar100_series/dwsep")),
        _Read("cifar10_fc", "Separable trains 30 to 50 % faster, read as so much less", "no inference"),
        _Read(vgg, "Separable takes less time per epoch", "no inference"),
    )
    return [one.decided for one in read]


def _claim(study: str, begins: str) -> Claim:
    """The published claim of a study that begins so."""
    (found,) = [claim for claim in published(study).claims if claim.text.startswith(begins)]
    return found


def _at_most(study: str, begins: str, pairs: Sequence[Pair]) -> _Read:
    """A claim of so many times the time of a training step, read as so many times that of inference."""
    bound = _claim(study, begins).bound
    assert bound is not None
    read = f"at most {bound.high:g} times the time or cycles of inference"
    return _Read(study, begins, read, _cases(pairs, SPEED, _within(bound.high)), _TRUE)


def _within(limit: float) -> Callable[[ChipMeasure], int]:
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
    return bool(
        before.ratio and after.ratio and (1 + tolerance(after.figure, SPEED_MARGIN)) * after.ratio < before.ratio
    )


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
