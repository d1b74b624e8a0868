"""`dsbench bench`: what networks cost when they run, measured side by side, and why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dsbench.chips.measure import answered
from dsbench.cli.chips import asked, chips_shown, chosen, files_kept, settled
from dsbench.cli.options import NETWORKS
from dsbench.cli.output import check_plot, print_csv, print_json, remark, show, write
from dsbench.cli.times import times_shown
from dsbench.cli.times import timings as times_of
from dsbench.errors import InputError
from dsbench.measure.by_turns import RunningCosts, running_costs
from dsbench.measure.progress import ROOFLINE_STEPS, STEPS, Measuring
from dsbench.measure.record import flat
from dsbench.measure.repeats import repeated
from dsbench.measure.timing import (
    BATCHES,
    FEWEST_REPEATS,
    LIMIT_SECONDS,
    MIN_ROUNDS,
    REPEATS,
    SETTLED_IQR,
    THREADS,
)
from dsbench.network.cost import cost
from dsbench.process import wait_briefly
from dsbench.run.check import check, check_last_batch, check_memory
from dsbench.run.trained import subjects as subjects_of_runs
from dsbench.sweep.networks import (
    NamedNetwork,
    differing_keys,
    differing_values,
    names_of,
    networks,
    shared,
    short_titles,
)
from dsbench.tables import Column, Table, names
from dsbench.training.memory import limit_bytes, run_bytes
from dsbench.training.place import place

if TYPE_CHECKING:
    from dsbench.measure.bench import Measured
    from dsbench.measure.roofline_record import Roofline
    from dsbench.measure.subject import Subject

_BUSY = 0.5  # load average above which other processes are worth a word


@dataclass(frozen=True)
class Benched(NamedNetwork):
    """A network, what was measured of it in torch, if anything, and what chips say of it."""

    costs: RunningCosts | None
    chips: dict[str, Any]

    @property
    def name(self) -> dict[str, Any]:
        """The network's name, and where torch measured it: the device, precision and threads that it was asked for."""
        if self.costs is None:
            return super().name
        where = self.costs.compute
        return super().name | {"device": where.name, "precision": where.precision, "threads": where.threads}

    @property
    def measured(self) -> Measured:
        """What was measured in torch."""
        assert self.costs is not None
        return self.costs.measured

    @property
    def record(self) -> dict[str, Any]:
        """All of it as result.json holds it."""
        return (self.costs.record if self.costs else {}) | ({"chips": self.chips} if self.chips else {})


def bench(
    arguments: Annotated[list[str] | None, typer.Argument(help=NETWORKS)] = None,
    onnx: Annotated[
        bool | None, typer.Option("--onnx/--no-onnx", help="--chips onnxruntime, which is the default for runs.")
    ] = None,
    chips: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Ask chips of conf/chip too: litert,tflm,ethos_u55_128.")
    ] = None,
    only_chips: Annotated[
        bool, typer.Option("--only-chips", help="Ask chips alone; nothing is measured in torch.")
    ] = False,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the files of chips in this folder.")] = None,
    roofline: Annotated[
        bool, typer.Option("--roofline", help="Say what bounds each layer of a training step.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(metavar="SVG", help="Draw the rooflines into this file.")] = None,
    large: Annotated[int, typer.Option(metavar="N", help="Images of the large batch.")] = BATCHES[1],
    repeats: Annotated[
        int | None,
        typer.Option(
            metavar="N", help=f"Fresh processes that measure, {FEWEST_REPEATS} or more; {REPEATS} for several runs."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="LIMIT", help="Seconds a network of each measurement, all repeats, at the most.")
    ] = LIMIT_SECONDS,
    compile_too: Annotated[bool, typer.Option("--compile", help="Measure torch.compile's forward pass too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: an object, or a list of several.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a row a network.")] = False,
    config_dir: Annotated[str | None, typer.Option(metavar="DIR", help="A further folder of YAML files.")] = None,
) -> None:
    """Measure networks: latency at batch 1 and at a large batch, a training step and its parts, its peak memory.

    device, precision and threads are overrides as well; precision=32,bf16 compares the two, bf16 being autocast as in
    training. All are measured on one thread unless threads=N says otherwise, runs too. The networks take turns, until
    the interquartile range of each measurement is within 5 % of its median, or for LIMIT seconds a network. Several
    runs are measured in 5 fresh processes, over which the verdict decides. --chips asks each chip in processes of its
    own, and tests finished runs on it; --only-chips does nothing else. The result.json of a run gets it all.
    """
    if repeats is not None and repeats < FEWEST_REPEATS:
        raise InputError(
            f"--repeats {repeats} cannot tell which is faster; {FEWEST_REPEATS} is the fewest, {REPEATS} the default"
        )
    if large < 1:
        raise InputError(f"--large {large} is not a positive integer")
    if not 0 < seconds < float("inf"):
        raise InputError(f"--seconds {seconds} is not a positive number")
    if as_csv and roofline:
        raise InputError("--csv has no place for a roofline; take --json")
    for option, given in {"--roofline": roofline, "--plot": plot is not None, "--compile": compile_too}.items():
        if only_chips and given:
            raise InputError(f"{option} is of torch, which --only-chips leaves out; give one of the two")
    if plot is not None:
        check_plot(plot)
    threads, which = _threads(arguments or [])
    named = networks(which, config_dir)
    wait_briefly()  # before torch is imported
    for network in named:
        check(network.composed.config)
        if not only_chips:
            _check_measurable(network, threads)
    of_runs = named[0].run is not None
    on = chosen(chips, onnx, keep, of_runs, config_dir)
    if only_chips and not on:
        raise InputError("--only-chips asks chips alone, and there are none to ask; name some by --chips")
    several = REPEATS if len(named) > 1 and of_runs else 1
    costs: Sequence[RunningCosts | None] = [None] * len(named)
    with files_kept(keep) as files:
        sections = asked(named, on, files, seconds, repeats or several)
        if not only_chips:
            options = {"batches": (BATCHES[0], large), "compile_too": compile_too}
            options["rooflines_of"] = short_titles(named) if roofline or plot is not None else None
            costs = _measured(named, threads, repeats or several, seconds, options)
    benched = [
        Benched(**vars(network), costs=own, chips=said)
        for network, own, said in zip(named, costs, sections, strict=True)
    ]
    if as_json:
        print_json(_objects(benched))
    elif as_csv:
        print_csv([network.name | flat(network.record, spread=True) for network in benched])
    else:
        show(*_sections(benched, seconds))
        if _rooflines(benched):
            from dsbench.cli.rooflines import rooflines_shown

            show(*rooflines_shown(_rooflines(benched)))
    if plot is not None:
        from dsbench.figures.roofline import draw
        from dsbench.figures.style import rendered

        write(plot, rendered(draw(_rooflines(benched)), "svg"))
        remark(f"drawn: {plot}")
    _add_to_records(benched)


def _check_measurable(network: NamedNetwork, threads: int) -> None:
    """Raise InputError where a network cannot be measured in torch, on its device and in the memory that there is."""
    config = network.composed.config
    check_last_batch(config, network.network)
    if network.run is not None:
        network.run.place(threads)
        return
    there = place(config.device, config.precision, threads)
    need = run_bytes(network.network, cost(network.network, there.precision), config, there)
    check_memory(network.composed, there, need, limit_bytes(there), solved=network.requested is not None)


def _threads(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """The threads that runs are measured on, and the arguments without `threads=N` where they name folders of runs."""
    given = [argument for argument in arguments if argument.startswith("threads=")]
    if not given or not any(map(os.path.isdir, arguments)):
        return THREADS, list(arguments)
    value = given[-1].removeprefix("threads=")
    if not value.isdecimal() or not int(value):
        raise InputError(f"threads={value} is not a positive integer; runs are measured on one number of threads")
    return int(value), [argument for argument in arguments if argument not in given]


def _measured(
    named: Sequence[NamedNetwork], threads: int, repeats: int, seconds: float, options: dict[str, Any]
) -> Sequence[RunningCosts]:
    """Measure the networks side by side, in this process or `repeats` fresh ones, where their configurations say."""
    runs = [network.run.folder.path for network in named if network.run]
    subjects = partial(subjects_of_runs, runs, threads) if runs else partial(_subjects, named, threads)
    with Measuring(repeats * STEPS + (options["rooflines_of"] is not None) * ROOFLINE_STEPS) as say:
        if repeats == 1:
            return running_costs(subjects, seconds, **options, say=say)
        return repeated(subjects, seconds / repeats, repeats, **options, say=say)[0]


def _subjects(networks: Sequence[NamedNetwork], threads: int) -> list[Subject]:
    return [network.subject(threads) for network in networks]


def _rooflines(benched: Sequence[Benched]) -> list[Roofline]:
    rooflines = (network.costs.roofline for network in benched if network.costs)
    return [roofline for roofline in rooflines if roofline is not None]


def _objects(benched: Sequence[Benched]) -> list[dict[str, Any]]:
    """Each network's record for JSON; with its roofline in words, and why it is slower than the first's."""
    out = [network.name | network.record for network in benched]
    rooflines = _rooflines(benched)
    if rooflines:
        from dsbench.measure.roofline_words import comparison, verdict

        for number, (entry, roofline) in enumerate(zip(out, rooflines, strict=True)):
            words = {"verdict": verdict(roofline)}
            if number:
                words["comparison"] = comparison(rooflines[0], roofline)
            entry["roofline"] = entry["roofline"] | words
    return out


def _add_to_records(benched: Sequence[Benched]) -> None:
    """Add to the record of each run what was measured of it. Raises InputError where it was trained anew meanwhile."""
    for network in benched:
        if network.run is not None:
            from dsbench.run.bench import keep

            file = network.run.folder.result_file
            try:
                keep(
                    network.run,
                    network.record | ({"chips": answered(network.chips)} if network.chips else {}),
                    lambda path, owner: remark(f"{owner or 'another process'} has the run in {path}; waiting for it"),
                )
            except OSError as error:
                raise InputError(f"cannot write what was measured into {file}: {error.strerror}") from None
            remark(f"added to {file}")


def _sections(benched: Sequence[Benched], limit_seconds: float) -> list[Table | str]:
    """What was measured where, section by section, with what did not settle marked."""
    in_torch = benched[0].costs is not None
    versions = [f"torch {version('torch')}"] if in_torch else []
    sections: list[Table | str] = [", ".join(filter(None, [shared(names_of(benched)), *versions]))]
    sections += _in_torch(benched) if in_torch else []
    of_chips = [network.chips for network in benched]
    if any(of_chips):
        trained = [_test_acc(network) for network in benched]
        sections += chips_shown(of_chips, trained, partial(_distinctions, benched), short_titles(benched)[0])
    sections.append("median ± interquartile range over rounds, each the mean of a block of calls")
    if in_torch:
        from dsbench.measure.probes import PEAK_MEMORY

        sections[-1] = f"{sections[-1]}; peak: {PEAK_MEMORY}"
    timings = [timing for network in benched if in_torch for timing in times_of(network.measured).values()]
    if not all(timing.settled for timing in timings) or not settled(of_chips):
        sections.append(
            f"* did not settle: a range above {100 * SETTLED_IQR:.0f} % of the median, or fewer than {MIN_ROUNDS} "
            f"rounds, within {limit_seconds:g} s; --seconds gives it longer"
        )
    return [section for section in sections if section]


def _in_torch(benched: Sequence[Benched]) -> list[Table | str]:
    """Tables of what was measured in torch, below a remark where the machine was busy."""
    load_average = benched[0].record["measured_on"]["load_average"]
    busy = f"load average {load_average or 0:.1f} before the start: other processes are busy"
    measured, precisions = [network.measured for network in benched], [network.name["precision"] for network in benched]
    tables = times_shown(measured, precisions, partial(_distinctions, benched), short_titles(benched)[0])
    return [*([busy] if load_average and load_average > _BUSY else []), *tables]


def _test_acc(network: NamedNetwork) -> float | None:
    """What the run of a network recorded in its own test."""
    result = network.run.record.result if network.run else None
    return result.test_acc if result else None


def _distinctions(
    benched: Sequence[Benched], rows: Sequence[int] | None = None, **further: Sequence[str]
) -> list[Column]:
    """The columns in which networks differ; `rows` has the network's number for each row, by default a row each."""
    own = names_of(benched)
    values = differing_values(own)
    of_rows = [values[number] for number in (range(len(benched)) if rows is None else rows)]
    return names({key: [row[place] for row in of_rows] for place, key in enumerate(differing_keys(own))} | further)
