"""The roofline part of `dsbench bench`: tables, and what they say in words."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from dsbench.cli.output import table
from dsbench.numerals import engineering
from dsbench.roofline.rows import OVERHEAD, LayerRow, Measured, Roofline
from dsbench.roofline.verdict import comparison, verdict
from dsbench.run.progress import terminal

NUMBERS = ("ms", "of time", "of MACs", "FLOP/byte", "bound", "attainable ms", "efficiency")


def print_tables(rooflines: Sequence[Roofline]) -> None:
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
