"""A map in words, tables and plain data: where the separable slot is faster, and what explains it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dsbench.measure.map import Map
from dsbench.measure.slot_pairs import MATCHES, PHASES
from dsbench.measure.slot_times import (
    LAUNCHES,
    ROOFLINE,
    Model,
    Predictions,
    held_out,
    predict,
    predictions,
    ratio_log,
)
from dsbench.numerals import counted, listed
from dsbench.statistics.crossing import Along, Crossing, crossings, whole
from dsbench.tables import Column, Table, names, numbers, texts, written

_EXPLAINED = 0.9  # share of the points that a prediction names right, from which on it explains the boundary
_FASTER = {"training": "trains faster", "inference": "is faster in inference"}
_MATCHED = {"channels": "equal channels", "params": "equal parameters"}
_LEGEND = (
    "33 (16 to 64): faster from 33 channels on; between 16 and 64 one cannot tell",
    "below 17 (16 to 19): faster with fewer than 17 channels, not with more",
    "≤ 16: faster at all points decided, from 16 channels on; > 64: at none, up to 64; ?: not decided",
)


class Words:
    """What a map says; `block` is the name of the one that is compared with a plain convolution."""

    def __init__(self, found: Map, block: str) -> None:
        self.found, self.match, self.block = found, found.slots.match, block
        self.columns: dict[tuple[tuple[int, int, int], str], Along] = {
            (column, phase): found.column(column, phase) for column in found.area.columns for phase in PHASES
        }
        self.predictions: dict[str, Predictions | None] = {
            phase: predictions(found.seen(phase)) if found.rates else None for phase in PHASES
        }

    @property
    def what(self) -> str:
        """The slots that are compared, and where, with what decides the speed of a CPU."""
        found, compute = self.found, self.found.compute
        device = compute.name + (f" ({', '.join(found.features)})" if found.features else "")
        return (
            f"a plain slot and {self.block} at {_MATCHED[self.match]}, {device}, precision {compute.precision}, "
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
        what = f"a {kernel}x{kernel} separable convolution{equal} {_FASTER[phase]}"
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
            said = {-1: "at all widths decided", 1: "at none of the widths decided"}.get(whole(own))
            decided = [channels for channels, ratio in own.items() if ratio.sign]
            if not said:
                return ""
            ends = list(dict.fromkeys((min(decided), max(decided))))
            return f"{said} ({' to '.join(str(end) for end in ends)} channels, {counted(len(decided), 'point')})"
        return listed(_spans(found))

    def sections(self) -> list[Table | str]:
        """All that the terminal shows."""
        found = self.found
        points, total = counted(len(found.measured), "point"), sum(1 for _ in found.area.points())
        sections: list[Table | str] = [f"{self.what}: {points} of {total:,} measured"]
        sections += [self._crossovers(phase) for phase in PHASES]
        sections += _LEGEND
        if any(self.predictions.values()):
            sections += [self._errors(), self._explained(), *self._factors()]
        sections += self._left_out()
        return [*sections, *(self.sentence(phase) for phase in PHASES)]

    def _crossovers(self, phase: str) -> Table:
        columns = self.found.area.columns
        rows = sorted({column[:2] for column in columns})
        sides = sorted({side for _, _, side in columns})
        shown = [*names({"kernel": [f"{k}x{k}" for k, _ in rows], "batch": [str(b) for _, b in rows]})]
        shown += [
            written(f"{side}x{side}", [_brief(self.columns.get(((*row, side), phase))) for row in rows])
            for side in sides
        ]
        return Table(f"{phase}: channels from which on separable is faster", tuple(shown))

    def _errors(self) -> Table:
        rows = [
            (phase, name, error) for phase, own in self.predictions.items() if own for name, error in own.errors.items()
        ]
        columns: list[Column] = names({"phase": [row[0] for row in rows], "prediction": [row[1] for row in rows]})
        columns.append(numbers("ratio off by", [row[2].factor for row in rows], "{:.2f} times".format))
        columns.append(numbers("winner right", [row[2].right for row in rows], "{:.0%}".format))
        columns.append(numbers("points", [row[2].n for row in rows], str))
        columns.append(numbers("decided", [row[2].decided for row in rows], str))
        return Table(
            "predictions, on points held out",
            tuple(columns),
            "off by: the median; right: of the points that are decided; held out: every second column of channels. The "
            "roofline has nothing fitted: operations and bytes at the rates measured here. Fitted: a factor a kind of "
            "operation and a time for each operation",
        )

    def explained(self, phase: str) -> list[dict[str, Any]]:
        """By batch what explains which slot is faster: arithmetic or kernels, by the decided points held out.

        `roofline_right` and `right` are the shares at which the roofline, and it with what explains best, name the
        faster slot.
        """
        fit = self.predictions[phase]
        if not fit:
            return []
        models = {
            "arithmetic and memory": ROOFLINE,
            "what each operation costs at any size": Model({LAUNCHES: fit.model.factors[LAUNCHES]}),
            "how far kernels are from the roofline": Model({**fit.model.factors, LAUNCHES: 0.0}),
            "both kernels and what each operation costs": fit.model,
        }
        seen = [one for one in held_out(self.found.seen(phase))[1] if one.decided]
        out = []
        for batch in sorted({one.point.batch for one in seen}):
            own = [one for one in seen if one.point.batch == batch]
            errors = predict({name: ratio_log(model) for name, model in models.items()}, own)
            right = {name: error.right or 0.0 for name, error in errors.items()}
            enough = (name for name, share in right.items() if share >= _EXPLAINED)
            by = next(enough, max(right, key=right.__getitem__))
            out.append(
                {
                    "batch": batch,
                    "points": len(own),
                    "roofline_right": next(iter(right.values())),
                    "explained_by": by,
                    "right": right[by],
                }
            )
        return out

    def _explained(self) -> Table:
        rows = [(phase, row) for phase in PHASES for row in self.explained(phase)]
        columns = names({"phase": [phase for phase, _ in rows], "batch": [str(row["batch"]) for _, row in rows]})
        columns.append(numbers("points", [row["points"] for _, row in rows], str))
        columns.append(numbers("roofline right", [row["roofline_right"] for _, row in rows], "{:.0%}".format))
        columns.append(texts("best explained by", [row["explained_by"] for _, row in rows]))
        columns.append(numbers("with it right", [row["right"] for _, row in rows], "{:.0%}".format))
        return Table("why one is faster, on decided points held out", tuple(columns))

    def _factors(self) -> list[str]:
        """How many times its roofline each kind of operation takes."""
        out = []
        for phase, fit in self.predictions.items():
            if not fit:
                continue
            factors = sorted(fit.model.factors.items(), key=lambda one: -one[1])
            told = [f"{kind} {value:.1f}" for kind, value in factors if kind != LAUNCHES and value]
            each = 1e6 * fit.model.factors[LAUNCHES]
            out.append(f"{phase} takes, times its roofline: {', '.join(told)}; and {each:.0f} µs for each operation")
        return out

    def _left_out(self) -> list[str]:
        """One line, if anything is."""
        long, large = (counted(len(out), "point") for out in (self.found.too_long, self.found.too_large))
        parts = [f"{long} that would take too long (more minutes take in more)"] if self.found.too_long else []
        parts += [f"{large} too large for the memory"] if self.found.too_large else []
        return [f"left out: {listed(parts)}; --json names them"] if parts else []

    def rows(self) -> list[dict[str, Any]]:
        """A row for each point measured."""
        found = self.found
        seen = {phase: {one.point: one for one in found.seen(phase)} if found.rates else {} for phase in PHASES}
        ratios = {phase: found.ratios(phase) for phase in PHASES}
        out = []
        for point in ratios[PHASES[0]]:
            pair = found.pairs[point]
            row: dict[str, Any] = {**point._asdict(), "separable_channels": pair.separable.shape[0]}
            row |= {"params_ratio": pair.separable.params / pair.plain.params, "mac_ratio": pair.mac_ratio}
            row["repeats"] = len(found.repeats[point])
            for phase in PHASES:
                ratio, (plain, separable) = ratios[phase][point], found.seconds(point, phase)
                low, high = (math.exp(end) for end in ratio.limits) if ratio.interval else (None, None)
                fit, one = self.predictions[phase], seen[phase].get(point)
                own: dict[str, Any] = {"plain_ms": 1e3 * plain, "separable_ms": 1e3 * separable}
                own |= {"ratio": math.exp(ratio.mean), "low": low, "high": high}
                own["roofline_ratio"] = math.exp(ratio_log(ROOFLINE)(one)) if one else None
                own["fitted_ratio"] = math.exp(ratio_log(fit.model)(one)) if one and fit else None
                row |= {f"{phase}_{name}": value for name, value in own.items()}
            out.append(row)
        return out

    def plain(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        found = self.found
        return {
            "device": found.compute.name,
            "features": found.features,
            "precision": found.compute.precision,
            "threads": found.compute.threads,
            "block": self.block,
            "match": self.match,
            "sentences": {phase: self.sentence(phase) for phase in PHASES},
            "columns": [
                {
                    **dict(zip(("kernel", "batch", "side"), column, strict=True)),
                    **{phase: self._of_column(column, phase) for phase in PHASES},
                }
                for column in found.area.columns
            ],
            "rates": asdict(found.rates) if found.rates else None,
            "predictions": {phase: asdict(own) if own else None for phase, own in self.predictions.items()},
            "explained": {phase: self.explained(phase) for phase in PHASES},
            "points": self.rows(),
            "too_long": [point._asdict() | {"seconds": value} for point, value in found.too_long.items()],
            "too_large": [point._asdict() | {"bytes": value} for point, value in found.too_large.items()],
        }

    def _of_column(self, column: tuple[int, int, int], phase: str) -> dict[str, Any]:
        own, found = self.columns[column, phase], self.found
        return {
            "crossings": [
                {"channels": one.at, "low": one.low, "high": one.high, "falls": one.falls} for one in crossings(own)
            ],
            "everywhere": {-1: "separable", 1: "plain"}.get(whole(own)) if own else None,
            "measured": list(own),
            "roofline": found.predicted(column, phase, ROOFLINE) if found.rates else None,
        }


def _brief(column: Along | None) -> str:
    """What a table says of a column."""
    if not column:
        return ""
    found = crossings(column)
    if not found:
        decided = [channels for channels, ratio in column.items() if ratio.sign] or [0]
        return {-1: f"≤ {min(decided)}", 1: f"> {max(decided)}"}.get(whole(column), "?")
    return "; ".join(f"{'' if one.falls else 'below '}{_at(one)}" for one in found)


def _at(crossing: Crossing) -> str:
    return f"{crossing.at:.0f} ({crossing.low:.0f} to {crossing.high:.0f})"


def _spans(found: Sequence[Crossing]) -> list[str]:
    """From where to where separable is faster."""
    out = [] if found[0].falls else [f"up to {_at(found[0])} channels"]
    for number, crossing in enumerate(found):
        if crossing.falls:
            end = f"to {_at(found[number + 1])} channels" if number + 1 < len(found) else "channels on"
            out.append(f"from {_at(crossing)} {end}")
    return out
