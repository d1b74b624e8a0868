"""`dsbench map`: where a separable slot is faster than a plain one, on this machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from dsbench.cli.options import OutputsIfGiven
from dsbench.cli.output import check_plot, print_csv, print_json, remark, show, write
from dsbench.config.compose import Composed, compose
from dsbench.config.overrides import key, lists_values
from dsbench.errors import InputError, choose
from dsbench.measure.boundary import Column, crossings, whole
from dsbench.measure.explore import CHUNK_SECONDS, MINUTES, MOST_SHARE, explore
from dsbench.measure.map import BATCHES, CHANNELS, KERNELS, SIDES, Area, Map, Where
from dsbench.measure.map_words import Words
from dsbench.measure.progress import Measuring
from dsbench.measure.slot_pairs import (
    MATCHES,
    PHASES,
    ROOFLINE,
    Point,
    Slots,
    ratio_log,
)
from dsbench.measure.store import Store
from dsbench.measure.timing import THREADS
from dsbench.numerals import counted, duration, memory
from dsbench.tables import Column as TableColumn
from dsbench.tables import Table, names, numbers, written

_KEYS = ("device", "precision", "threads", "block", "slots", "outputs")
_DIGITS = 4  # of a number of channels, pixels or images


def _listed(numbers: Sequence[int]) -> str:
    """As an option takes them."""
    return ",".join(str(number) for number in numbers)


def map(
    arguments: Annotated[
        list[str] | None, typer.Argument(help=f"Overrides of {', '.join(_KEYS)}: precision=bf16 block=keras.")
    ] = None,
    minutes: Annotated[
        float, typer.Option(metavar="N", help="Measure for so long at the most; 0 draws what is there.")
    ] = MINUTES,
    kernels: Annotated[str, typer.Option(metavar="LIST", help="Kernel sizes.")] = _listed(KERNELS),
    batches: Annotated[str, typer.Option(metavar="LIST", help="Images.")] = _listed(BATCHES),
    sides: Annotated[str | None, typer.Option(metavar="LIST", help=f"Pixels a side; else {_listed(SIDES)}.")] = None,
    channels: Annotated[str, typer.Option(metavar="LIST", help="The grid of channels.")] = _listed(CHANNELS),
    match: Annotated[
        str, typer.Option(metavar="|".join(MATCHES), help="What both slots have alike; a map of its own each.")
    ] = MATCHES[0],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw into this SVG or PNG; else OUTPUTS/map/*.svg.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: an object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a row a point.")] = False,
    outputs: OutputsIfGiven = None,
    config_dir: Annotated[str | None, typer.Option(metavar="DIR", help="A further folder of YAML files.")] = None,
) -> None:
    """Map where a separable convolution is faster than a plain one: by channels, image side, kernel and batch.

    Single slots are measured by turns in three fresh processes or more, forward and forward with backward, first
    coarsely, then where the ratio crosses 1. What is measured is kept below the folder of results: the same command
    goes on where it was stopped. Measured on one thread unless threads=N says otherwise.
    """
    choose("--match", match, MATCHES)
    if not 0 <= minutes < math.inf:
        raise InputError(f"--minutes {minutes} is not 0 or more")
    if plot is not None:
        _check_kind(plot)
        check_plot(plot)
    area = _area(kernels, batches, sides, channels)
    composed = _composed(arguments or [], config_dir)
    config = composed.config
    slots = Slots(match, vars(config.slots), vars(config.block))
    where = Where(config.device, config.precision, config.threads or THREADS)
    folder = (outputs or Path(config.outputs)).absolute()
    found = Map.read(area, slots, where, Store(folder / "latency" / "map"))
    if minutes:
        steps = 1 + math.ceil(60 * minutes / CHUNK_SECONDS)
        with Measuring(steps, 60 * minutes) as say:
            explore(found, minutes, say)
    if not found.measured:
        raise InputError(
            f"nothing is measured of this map in {folder} after --minutes {minutes:g}; {MINUTES:g} is the default"
        )
    said = _Shown(found, composed.choices["block"])
    if as_json:
        print_json([said.plain()])
    elif as_csv:
        print_csv(said.rows())
    else:
        show(*said.sections())
    if plot is None and not (as_json or as_csv):
        plot = folder / "map" / f"{found.compute.device.type}-{found.compute.precision}-{match}.svg"
    if plot is not None:
        from dsbench.figures.map import draw
        from dsbench.figures.style import rendered

        picture = draw(found, said.what, said.sentence("training"))
        write(plot, rendered(picture, plot.suffix.lstrip(".").lower()), folder_too=True)
        remark(f"drawn: {plot}")


def _check_kind(plot: Path) -> None:
    from dsbench.figures.style import FORMATS

    if plot.suffix.lstrip(".").lower() not in FORMATS:
        raise InputError(f"--plot {plot}: a picture is a file .{' or .'.join(FORMATS)}")


def _area(kernels: str, batches: str, sides: str | None, channels: str) -> Area:
    """The area that the options name. Sides that are given have room for every kernel."""
    lists = {"kernels": kernels, "batches": batches, "sides": sides or _listed(SIDES)}
    own = {name: _numbers(name, text) for name, text in {**lists, "channels": channels}.items()}
    largest, smallest = max(own["kernels"]), min(own["sides"])
    if sides is not None and largest > smallest:
        raise InputError(f"kernel {largest} is larger than the {smallest}x{smallest} image; leave one of them out")
    return Area.of(**own)


def _numbers(name: str, text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) <= _DIGITS and int(part) > 0 for part in parts):
        raise InputError(f"--{name} {text!r} is not a list of positive integers such as 8,16, below 10,000")
    return [int(part) for part in parts]


def _composed(overrides: Sequence[str], config_dir: str | None) -> Composed:
    for override in overrides:
        if key(override).partition(".")[0] not in _KEYS or "=" not in override:
            raise InputError(
                f"{override} is nothing that a map takes: overrides of {', '.join(_KEYS)}; kernels, batches, sides and "
                "channels are options"
            )
        if lists_values(override):
            raise InputError(f"{override}: a map is of one value; map one after the other")
    return compose(overrides, config_dir)


class _Shown(Words):
    """A map as tables and plain data."""

    def sections(self) -> list[Table | str]:
        """All that the terminal shows."""
        found = self.found
        points = counted(len(found.measured), "point")
        total = sum(1 for _ in found.area.points())
        sections: list[Table | str] = [f"{self.what}: {points} of {total:,} measured"]
        sections += [self._crossovers(phase) for phase in PHASES]
        sections.append(
            "in brackets: from where to where one cannot tell, the interval of the ratio over processes containing 1; "
            "≤ or >: faster at all points measured, or at none, the fewest or the most channels of which these are; "
            "below: faster below, not above; ?: not decided"
        )
        sections += [self._errors()] if any(self.predictions.values()) else []
        sections += [text for phase in PHASES for text in self.explained(phase)]
        sections += self._left_out()
        return [*sections, *(self.sentence(phase) for phase in PHASES)]

    def _crossovers(self, phase: str) -> Table:
        columns = self.found.area.columns
        rows = sorted({column[:2] for column in columns})
        sides = sorted({side for _, _, side in columns})
        shown = [*names({"kernel": [f"{k}x{k}" for k, _ in rows], "batch": [str(b) for _, b in rows]})]
        for side in sides:
            texts = [_brief(self.columns.get(((*row, side), phase))) for row in rows]
            shown.append(written(f"{side}x{side}", texts))
        return Table(f"{phase}: channels from which on separable is faster", tuple(shown))

    def _errors(self) -> Table:
        rows = [
            (phase, name, error) for phase, own in self.predictions.items() if own for name, error in own.errors.items()
        ]
        columns: list[TableColumn] = names({"phase": [row[0] for row in rows], "prediction": [row[1] for row in rows]})
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

    def _left_out(self) -> list[str]:
        found, out = self.found, []
        if found.too_long:
            most = max(found.too_long.values())
            out.append(
                f"left out: {counted(len(found.too_long), 'point')} that would take more than {MOST_SHARE:.0%} of the "
                f"time each, up to {duration(most)} ({_named(list(found.too_long))})"
            )
        if found.too_large:
            out.append(
                f"left out: {counted(len(found.too_large), 'point')} that would need "
                f"{memory(min(found.too_large.values()))} or more of memory ({_named(list(found.too_large))})"
            )
        return out

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
                own |= {"ratio": math.exp(ratio.log), "low": low, "high": high}
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
            "points": self.rows(),
            "too_long": [point._asdict() | {"seconds": value} for point, value in found.too_long.items()],
            "too_large": [point._asdict() | {"bytes": value} for point, value in found.too_large.items()],
        }

    def _of_column(self, column: tuple[int, int, int], phase: str) -> dict[str, Any]:
        own, found = self.columns[column, phase], self.found
        return {
            "crossings": [asdict(crossing) for crossing in crossings(own)],
            "everywhere": {-1: "separable", 1: "plain"}.get(whole(own)) if own else None,
            "measured": list(own),
            "roofline": found.predicted(column, phase, ROOFLINE) if found.rates else None,
        }


def _brief(column: Column | None) -> str:
    """What a table says of a column."""
    if not column:
        return ""
    found = crossings(column)
    if not found:
        decided = [channels for channels, ratio in column.items() if ratio.sign] or [0]
        return {-1: f"≤ {min(decided)}", 1: f"> {max(decided)}"}.get(whole(column), "?")
    texts = [f"{'' if one.falls else 'below '}{one.channels:.0f} ({one.low:.0f} to {one.high:.0f})" for one in found]
    return "; ".join(texts)


def _named(points: Sequence[Point]) -> str:
    """The points by the fewest channels that are left out, at the kernels and batches that have most."""
    first: dict[tuple[int, int, int], int] = {}
    for kernel, batch, side, channels in points:
        first.setdefault((kernel, batch, side), channels)
    told = [f"{k}x{k} at batch {b}, {s}x{s}: from {c} channels" for (k, b, s), c in first.items()]
    return "; ".join(told[:3]) + (f"; {counted(len(told) - 3, 'more column')}" if len(told) > 3 else "")
