"""Networks on chips two by two: what each chip is judged by, and which of both is ahead there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from chips import Network

from dsbench.quantities import QUANTITIES
from dsbench.statistics.means import ALPHA
from dsbench.verdict.chips import ChipMeasure, compared
from dsbench.verdict.lighter import counted_measure
from dsbench.verdict.rule import SPEED_MARGIN

_CHIPS = {
    "litert/fp32": "LiteRT fp32",
    "litert/int8": "LiteRT int8",
    "onnxruntime/fp32": "ORT fp32",
    "onnxruntime/int8": "ORT int8",
    "onnxruntime/int8_per_tensor": "ORT per tensor",
    "tflm/int8": "TFLM",
    "ethos_u55_128/int8": "U55",
    "ethos_u65_256/int8": "U65",
    "ethos_u85_256/int8": "U85",
}
_FIGURES = {"arena_head_bytes": " activations", "flash_bytes": " flash", "sram_bytes": " SRAM"}


class Place(NamedTuple):
    """A `figure` (a name of dsbench.quantities) of a chip in a precision: litert/int8."""

    chip: str
    figure: str

    @property
    def title(self) -> str:
        """What it is called on the page."""
        return f"{_CHIPS[self.chip]}{_FIGURES.get(self.figure, '')}"

    @property
    def on_cpu(self) -> bool:
        """Whether it is a time, all of which are of a CPU."""
        return self.figure == "latency_ms"

    @property
    def kind(self) -> str:
        """What is compared there."""
        return {"latency_ms": "time", "cycles": "cycles (estimate)"}.get(self.figure, "bytes")


_OF_TFLM = ("arena_head_bytes", "flash_bytes")  # the arena's tail is of this 64-bit machine
PLACES = tuple(  # what the page judges
    Place(chip, figure)
    for chip in _CHIPS
    for figure in (_OF_TFLM if chip.startswith("tflm") else ["cycles" if "ethos" in chip else "latency_ms"])
)
TIMES = tuple(place for place in PLACES if place.on_cpu)
CYCLES = tuple(place for place in PLACES if place.figure == "cycles")
COUNTED = tuple(place for place in PLACES if not place.on_cpu)


@dataclass(frozen=True)
class Pair:
    """Two networks that took turns, of which a chip is asked how the candidate compares to the reference."""

    reference: Network
    candidate: Network

    @cached_property
    def measures(self) -> dict[Place, ChipMeasure]:
        """All figures of all chips, and the arena's head; the interval of a time is at 95 %, of this pair alone."""
        before, after = self.reference.said, self.candidate.said
        every = compared(before, after, ALPHA, SPEED_MARGIN)
        found = {Place(f"{one.chip}/{one.precision}", one.figure): one for one in every}
        for place in PLACES:
            both = [said.figures.get(place.chip, {}).get(place.figure) for said in (before, after)]
            if place not in found and None not in both:
                chip, precision = place.chip.split("/")
                counted = vars(counted_measure(QUANTITIES[place.figure], *both))
                found[place] = ChipMeasure(**counted, chip=chip, precision=precision, figure=place.figure)
        return found

    @cached_property
    def judged(self) -> dict[Place, ChipMeasure]:
        """What the page judges."""
        return {place: self.measures[place] for place in PLACES if place in self.measures}

    @property
    def same_width(self) -> bool:
        """Whether only the convolutions were swapped."""
        shapes = [[each.names[key] for key in ("arch", "width", "fine_width")] for each in self._both]
        return shapes[0] == shapes[1]

    def off(self, cost: str) -> float:
        """By which share of the reference's cost the candidate's is off."""
        return self.candidate.costs[cost] / self.reference.costs[cost] - 1

    @property
    def _both(self) -> tuple[Network, Network]:
        return self.reference, self.candidate


def plain_pairs(known: Sequence[Network]) -> dict[tuple[str, str, int], Pair]:
    """The networks of `plain` against the conventional one, by group, family and width asked for."""
    plain = {(each.group, each.names["model"], each.width): each for each in known if not each.experiment}
    return {
        (group, model, width): Pair(plain[group, "cnn", width], each)
        for (group, model, width), each in plain.items()
        if model != "cnn"
    }


def study_pairs(known: Sequence[Network]) -> dict[str, Pair]:
    """Each network of a study against its conventional one, of its own architecture if there is one; by experiment."""
    out = {}
    for each in known:
        if each.experiment and each.names["model"] != "cnn":
            cnns = [other for other in known if (other.group, other.names["model"]) == (each.group, "cnn")]
            alike = [other for other in cnns if other.names["arch"] == each.names["arch"]]
            out[each.experiment] = Pair((alike or cnns)[0], each)
    return out
