"""A map in words: from where on the separable slot is faster, and whether arithmetic or kernels explain it."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.measure.boundary import Column, Crossing, crossings, whole
from dsbench.measure.map import Map
from dsbench.measure.slot_pairs import (
    LAUNCHES,
    MATCHES,
    PHASES,
    ROOFLINE,
    Model,
    Predictions,
    predict,
    predictions,
    ratio_log,
)
from dsbench.numerals import counted, listed

_EXPLAINED = 0.9  # share of the points that a prediction names right, from which on it explains the boundary
_VERBS = {"training": "trains", "inference": "infers"}
_MATCHED = {"channels": "equal channels", "params": "equal parameters"}


class Words:
    """What a map says; `block` is the name of the one that is compared with a plain convolution."""

    def __init__(self, found: Map, block: str) -> None:
        self.found, self.match, self.block = found, found.slots.match, block
        self.columns: dict[tuple[tuple[int, int, int], str], Column] = {
            (column, phase): found.column(column, phase) for column in found.area.columns for phase in PHASES
        }
        self.predictions: dict[str, Predictions | None] = {
            phase: predictions(found.seen(phase)) if found.rates else None for phase in PHASES
        }

    @property
    def what(self) -> str:
        """The slots that are compared, and where."""
        compute = self.found.compute
        return (
            f"a plain slot and {self.block} at {_MATCHED[self.match]}, {compute.name}, precision {compute.precision}, "
            f"{counted(compute.threads, 'thread')}"
        )

    def sentence(self, phase: str) -> str:
        """From how many channels on it is faster, at the kernel, image and batches that one asks for first."""
        columns = self.found.area.columns
        kernel = min(columns)[0]
        sides = sorted({side for k, _, side in columns if k == kernel})
        side = 32 if 32 in sides else sides[len(sides) // 2]
        batches = sorted({batch for _, batch, _ in columns}, reverse=True)
        device = {"cpu": "CPU", "cuda": "GPU"}.get(self.found.compute.device.type, "device")
        equal = "" if self.match == MATCHES[0] else " of equal parameters"
        said = {batch: self._clause((kernel, batch, side), phase) for batch in batches}
        known = {batch: clause for batch, clause in said.items() if clause}
        what = f"a {kernel}x{kernel} separable convolution{equal} {_VERBS[phase]} faster"
        unknown = [str(batch) for batch in batches if batch not in known]
        if not known:
            return f"On this {device} at {side}x{side} it is not decided from how many channels on {what}."
        (first, clause), *rest = known.items()
        more = [f"; at batch {batch} {clause}" for batch, clause in rest]
        more += [f"; at batch {listed(unknown)} it is not decided"] if unknown else []
        return f"On this {device} at {side}x{side} and batch {first} {what} {clause}{''.join(more)}."

    def _clause(self, column: tuple[int, int, int], phase: str) -> str:
        """Where it is faster in a column; empty where that is not decided."""
        own = self.columns[column, phase]
        found = crossings(own)
        if not found:
            said = {-1: "at all widths measured", 1: "at none of the widths measured"}.get(whole(own))
            decided = [channels for channels, ratio in own.items() if ratio.sign]
            if not said:
                return ""
            ends = list(dict.fromkeys((min(decided), max(decided))))
            return f"{said} ({' to '.join(str(end) for end in ends)} channels, {counted(len(decided), 'point')})"
        return listed([_span(*span) for span in _spans(found)])

    def explained(self, phase: str) -> list[str]:
        """Where arithmetic explains what is faster, and where kernels do."""
        fit = self.predictions[phase]
        if not fit:
            return []
        seen = [one for one in self.found.seen(phase) if one.decided]
        launch = {LAUNCHES: fit.model.factors[LAUNCHES]}
        models = {
            "arithmetic and memory": ROOFLINE,
            "what each operation costs at any size": Model(launch),
            "how far kernels are from the roofline": Model({**fit.model.factors, LAUNCHES: 0.0}),
            "both kernels and what each operation costs": fit.model,
        }
        out = []
        for batch in sorted({one.point.batch for one in seen}):
            own = [one for one in seen if one.point.batch == batch]
            errors = predict({name: ratio_log(model) for name, model in models.items()}, own)
            right = {name: error.right or 0.0 for name, error in errors.items()}
            roofline, *_ = right.values()
            said = next(
                (name for name, share in right.items() if share >= _EXPLAINED), max(right, key=right.__getitem__)
            )
            more = "" if said == next(iter(right)) else f"; with it {right[said]:.0%}"
            out.append(
                f"{phase} at batch {batch}, best explained by {said}: the roofline names {roofline:.0%} of "
                f"{counted(len(own), 'decided point')} right{more}"
            )
        factors = sorted(fit.model.factors.items(), key=lambda one: -one[1])
        told = [f"{kind} {value:.1f}" for kind, value in factors if kind != LAUNCHES and value]
        each = 1e6 * fit.model.factors[LAUNCHES]
        return [*out, f"{phase}, times what the roofline allows: {', '.join(told)}; and {each:.0f} µs an operation"]


def _spans(found: Sequence[Crossing]) -> list[tuple[float | None, float | None]]:
    """From where to where separable is faster; None where an end is not reached."""
    out: list[tuple[float | None, float | None]] = []
    if not found[0].falls:
        out.append((None, found[0].channels))
    for number, crossing in enumerate(found):
        if crossing.falls:
            out.append((crossing.channels, found[number + 1].channels if number + 1 < len(found) else None))
    return out


def _span(start: float | None, end: float | None) -> str:
    if start is None:
        return f"up to {end:.0f} channels"
    return f"from {start:.0f} channels on" if end is None else f"from {start:.0f} to {end:.0f} channels"
