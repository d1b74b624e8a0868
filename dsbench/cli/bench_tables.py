"""The tables of `dsbench bench`, a section each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from rich.table import Table

from dsbench.cli.benched import onnx
from dsbench.cli.networks import called, differing, names, shared, told_apart
from dsbench.cli.output import table
from dsbench.console import terminal
from dsbench.measure.memory import WHAT
from dsbench.measure.roofline_record import comparison, verdict
from dsbench.measure.roofline_rows import OVERHEAD, LayerRow, Measured, Roofline
from dsbench.measure.timing import MIN_ROUNDS, SETTLED_IQR, Timing
from dsbench.numerals import engineering

if TYPE_CHECKING:
    from dsbench.cli.benched import Benched

STEP = {"step": "total", "forward": "forward", "backward": "backward", "optimiser": "optimizer"}  # heads of columns
BACKENDS = {"torch_fp32": "torch fp32", "onnx": "onnx fp32", "onnx_int8": "onnx int8"}  # whatever the run's precision
PRECISIONS = {"32": "fp32", "bf16": "bf16", "16": "fp16"}
BUSY = 0.5  # load average above which other processes are worth a word


def print_bench(benched: Sequence[Benched], limit_seconds: float) -> None:
    """What was measured where, section by section, with what did not settle marked."""
    console = terminal()
    console.print(f"{shared(names(benched))}, torch {version('torch')}", soft_wrap=True)
    load_average = benched[0].record["measured_on"]["load_average"]
    if load_average is not None and load_average > BUSY:
        console.print(f"load average {load_average:.1f} before the start: other processes are busy", soft_wrap=True)
    for section in SECTIONS:
        found = section(benched)
        if found is not None:
            console.print(found)
    console.print(
        f"median ± interquartile range over rounds, each the mean of a block of calls; peak: {WHAT}", soft_wrap=True
    )
    onnx_section = benched[0].measured.onnx
    if onnx_section:
        bits, images = onnx_section["weight_bits"], onnx_section["calibrated_on"]
        console.print(
            f"ONNX Runtime on the CPU; int8: weights of {bits} bits, ranges calibrated on {images}", soft_wrap=True
        )
    if not all(timing.settled for one in benched for timing in _timings(one).values()):
        console.print(
            f"* did not settle: a range above {100 * SETTLED_IQR:.0f} % of the median, or fewer than {MIN_ROUNDS} "
            f"rounds, within {limit_seconds:g} s; --seconds gives it longer",
            soft_wrap=True,
        )


def forward(benched: Sequence[Benched]) -> Table:
    """Latency and throughput of the forward pass, a row a network and backend."""
    named, passes = names(benched), [one.measured.forward for one in benched]
    out = table("forward pass, ms", *differing(named), "backend")
    for batch in passes[0].latency:
        out.add_column(f"batch {batch}", justify="right")
        out.add_column("images/s", justify="right")
    compiled = any(found.compile_seconds for found in passes)
    if compiled:
        out.add_column("compile seconds", justify="right")
    for one, found, cells in zip(benched, passes, told_apart(named), strict=True):
        for backend in next(iter(found.latency.values())):
            row = [*cells, BACKENDS.get(backend) or f"{backend} {PRECISIONS[one.compute.precision]}"]
            for batch, timings in found.latency.items():
                row += [_ms(timings[backend]), _images_per_second(batch, timings[backend])]
            if compiled:
                seconds = found.compile_seconds.values() if backend == "compiled" else ()
                row.append(", ".join(f"{one:.1f}" for one in seconds))
            out.add_row(*row)
    return out


def step(benched: Sequence[Benched]) -> Table:
    """The training step, its parts and its peak memory, a row a network."""
    named = names(benched)
    out = table("training step, ms", *differing(named))
    for name in ("batch", *STEP, "images/s", "peak MiB"):
        out.add_column(name, justify="right")
    for one, cells in zip(benched, told_apart(named), strict=True):
        found, peak = one.measured.step, one.measured.peak_memory_bytes
        out.add_row(
            *cells,
            str(found.batch_size),
            *(_ms(getattr(found, part)) for part in STEP.values()),
            _images_per_second(found.batch_size, found.total),
            "" if peak is None else f"{peak / 2**20:,.1f}",
        )
    return out


def ratios(benched: Sequence[Benched]) -> Table | None:
    """Every time, that of a step for one image, and the memory, divided by the first network's; None for one alone."""
    if len(benched) == 1:
        return None
    named, first = names(benched), benched[0]
    out = table(f"times {called(benched)[0]}", *differing(named))
    firsts = _timings(first)
    for name in (*firsts, "peak"):
        out.add_column(name, justify="right")
    for one, cells in zip(benched, told_apart(named), strict=True):
        own, batches = _timings(one), first.measured.step.batch_size / one.measured.step.batch_size
        times = [
            f"{own[name].median_ms / timing.median_ms * (batches if name in STEP else 1):.3f}" if name in own else ""
            for name, timing in firsts.items()
        ]
        mine, others = one.measured.peak_memory_bytes, first.measured.peak_memory_bytes
        out.add_row(*cells, *times, f"{mine / others:.3f}" if mine and others else "")
    return out


SECTIONS: tuple[Callable[[Sequence[Benched]], Table | None], ...] = (forward, onnx, step, ratios)


def _timings(one: Benched) -> dict[str, Timing]:
    """Every timing, by the head of its column."""
    out = {
        " ".join(["batch", str(batch), *([] if backend == "torch" else [BACKENDS.get(backend, backend)])]): timing
        for batch, found in one.measured.forward.latency.items()
        for backend, timing in found.items()
    }
    return out | {head: getattr(one.measured.step, part) for head, part in STEP.items()}


def _ms(timing: Timing) -> str:
    places = 3 if timing.median_ms < 10 else 2 if timing.median_ms < 100 else 1
    return f"{timing.median_ms:,.{places}f} ± {timing.iqr_ms:,.{places}f}{' ' if timing.settled else '*'}"


def _images_per_second(batch: int, timing: Timing) -> str:
    return f"{1e3 * batch / timing.median_ms:,.0f}"


NUMBERS = ("ms", "of time", "of MACs", "FLOP/byte", "bound", "attainable ms", "efficiency")


def print_rooflines(rooflines: Sequence[Roofline]) -> None:
    """Tables and a verdict of each network, then what makes each later one slower or faster than the first."""
    console = terminal()
    for one in rooflines:
        console.print(layers(one), kinds(one))
        console.print(verdict(one), soft_wrap=True)
    for other in rooflines[1:]:
        console.print(f"\n{comparison(rooflines[0], other)}", soft_wrap=True)


def layers(one: Roofline) -> Table:
    """A row a layer, in order of execution; milliseconds of both passes, then each."""
    flops, bandwidth = engineering(one.rates.flops, "FLOP/s"), engineering(one.rates.bandwidth, "B/s")
    low, _, high = one.step_ms
    title = (
        f"\n{one.name}: a training step of {one.batch_size} images in {one.total.time_ms:.1f} ms "
        f"(middle half of {one.steps} steps {low:.1f} to {high:.1f})\n"
        f"{one.device}, precision {one.precision}, threads {one.threads}: attains {flops} and {bandwidth}"
    )
    out = table(title, "slot", "layer", "output", title_style="", caption_justify="left")
    for name in ("ms", "forward", "backward", *NUMBERS[1:]):
        out.add_column(name, justify="right")
    last = None
    for row in one.layers:
        slot = "" if row.slot is None or row.slot == last else str(row.slot)
        last = row.slot
        shape = "x".join(map(str, row.output_shape))
        out.add_row(slot, row.label, shape, f"{row.time_ms:.2f}", *_passes(row), *_numbers(row))
    out.caption = (
        f"bound: the later of arithmetic (compute) and memory, or overhead above {OVERHEAD:g} times both; efficiency: "
        "attainable / measured, above 100 % where tensors stay in a cache"
    )
    return out


def kinds(one: Roofline) -> Table:
    """A row a kind, those that take longest first, and the whole step."""
    out = table("", "kind")
    for name in ("layers", *NUMBERS):
        out.add_column(name, justify="right")
    for row in one.kinds:
        out.add_row(row.kind, str(row.layers), f"{row.time_ms:.2f}", *_numbers(row))
    out.add_section()
    out.add_row("step", str(len(one.layers)), f"{one.total.time_ms:.2f}", *_numbers(one.total))
    return out


def _passes(row: LayerRow) -> tuple[str, str]:
    return f"{row.forward_ms:.2f}", f"{row.backward_ms:.2f}"


def _numbers(row: Measured) -> tuple[str, ...]:
    """All of NUMBERS but the milliseconds."""
    return (
        f"{100 * row.share:.1f} %",
        f"{100 * row.mac_share:.1f} %" if row.macs else "",
        f"{row.intensity:.2f}",
        row.bound,
        f"{row.attainable_ms:.2f}",
        f"{100 * row.efficiency:.0f} %",
    )
