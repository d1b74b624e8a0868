"""`dsbench map`: where a separable slot is faster than a plain one, on this machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dsbench.cli.options import OutputsIfGiven
from dsbench.cli.output import check_plot, print_csv, print_json, remark, show, write
from dsbench.config.compose import Composed, compose
from dsbench.config.overrides import key, lists_values
from dsbench.errors import InputError, choose
from dsbench.measure.explore import CHUNK_SECONDS, MINUTES, explore
from dsbench.measure.map import BATCHES, CHANNELS, KERNELS, SIDES, Area, Map, Where
from dsbench.measure.map_words import Words
from dsbench.measure.progress import Measuring
from dsbench.measure.slot_pairs import MATCHES, Fillings
from dsbench.measure.store import Store
from dsbench.measure.timing import THREADS

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
    slots = Fillings(match, vars(config.slots), vars(config.block))
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
    said = Words(found, composed.choices["block"])
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

        picture = draw(said)
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
