"""`dsbench bench`: what networks cost when they run, measured side by side, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dsbench.cli.benched import add_to_records, measured, objects, onnx_files, rooflines
from dsbench.cli.networks import ARGUMENTS, networks
from dsbench.cli.output import check_plot, print_csv, print_json, remark, write
from dsbench.errors import InputError
from dsbench.measure.timing import BATCHES, LIMIT_SECONDS
from dsbench.run.check import check, check_last_batch


def bench(
    arguments: Annotated[list[str] | None, typer.Argument(help=ARGUMENTS)] = None,
    onnx: Annotated[
        bool | None, typer.Option("--onnx/--no-onnx", help="Measure ONNX Runtime too; the default for runs alone.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the ONNX files in this folder.")] = None,
    roofline: Annotated[
        bool, typer.Option("--roofline", help="Say what bounds each layer of a training step.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(metavar="SVG", help="Draw the rooflines into this file.")] = None,
    large: Annotated[int, typer.Option(metavar="N", help="Images of the large batch.")] = BATCHES[1],
    seconds: Annotated[
        float, typer.Option(metavar="LIMIT", help="Seconds a network of each measurement, at the most.")
    ] = LIMIT_SECONDS,
    compile_too: Annotated[bool, typer.Option("--compile", help="Measure torch.compile's forward pass too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: an object, or a list of several.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a row a network.")] = False,
    config_dir: Annotated[str | None, typer.Option(metavar="DIR", help="A further folder of YAML files.")] = None,
) -> None:
    """Measure networks: latency at batch 1 and at a large batch, a training step and its parts, its peak memory.

    device, precision and threads are overrides as well; precision=32,bf16 compares the two, bf16 being autocast as in
    training. The networks and what computes them take turns, until the interquartile range of each measurement is
    within 5 % of its median, or for LIMIT seconds a network. Of a finished run the accuracy in ONNX Runtime is tested
    as well, and its result.json gets it all.
    """
    if large < 1:
        raise InputError(f"--large {large} is not a positive integer")
    if not 0 < seconds < float("inf"):
        raise InputError(f"--seconds {seconds} is not a positive number")
    if as_csv and roofline:
        raise InputError("--csv has no place for a roofline; take --json")
    if plot is not None:
        check_plot(plot)
    named = networks(arguments or [], config_dir)
    for one in named:
        check(one.composed.config)
        check_last_batch(one.composed.config, one.network)
    with onnx_files(named, onnx, keep) as files:
        found = measured(named, (BATCHES[0], large), seconds, compile_too, files, roofline or plot is not None)
    if as_json:
        print_json(objects(found))
    elif as_csv:
        from dsbench.measure.record import flat

        print_csv([one.name | flat(one.record, spread=True) for one in found])
    else:
        from dsbench.cli import bench_tables

        bench_tables.print_bench(found, seconds)
        bench_tables.print_rooflines(rooflines(found))
    if plot is not None:
        from dsbench.figures.roofline import draw
        from dsbench.figures.style import rendered

        write(plot, rendered(draw(rooflines(found)), "svg"))
        remark(f"drawn: {plot}")
    add_to_records(found)
