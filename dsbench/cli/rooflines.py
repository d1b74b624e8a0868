"""What bounds each layer of a training step, as `dsbench bench --roofline` prints it."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.measure.roofline_record import OVERHEAD, Roofline, Row
from dsbench.measure.roofline_words import comparison, verdict
from dsbench.numerals import engineering, two_places
from dsbench.tables import Column, Table, names, numbers, texts

_NOTE = (
    f"bound: the later of arithmetic (compute) and memory, or overhead above {OVERHEAD:g} times both; efficiency: "
    "attainable / measured, above 100 % where tensors stay in a cache"
)


def rooflines_shown(rooflines: Sequence[Roofline]) -> list[Table | str]:
    """Tables and a verdict of each network, then what makes each later one slower or faster than the first."""
    parts = [part for roofline in rooflines for part in (_layers(roofline), _kinds(roofline), verdict(roofline))]
    return [*parts, *(comparison(rooflines[0], later) for later in rooflines[1:])]


def _layers(roofline: Roofline) -> Table:
    """A row a layer, in order of execution; milliseconds of both passes, then each."""
    flops, bandwidth = engineering(roofline.rates.flops, "FLOP/s"), engineering(roofline.rates.bandwidth, "B/s")
    low, _, high = roofline.step_ms
    title = (
        f"{roofline.name}: a training step of {roofline.batch_size} images in {roofline.total.time_ms:.1f} ms "
        f"(middle half of {roofline.steps} steps {low:.1f} to {high:.1f})\n"
        f"{roofline.device}, precision {roofline.precision}, threads {roofline.threads}: attains {flops} "
        f"and {bandwidth}"
    )
    slots, last = [], None
    for row in roofline.layers:
        slots.append("" if row.slot is None or row.slot == last else str(row.slot))
        last = row.slot
    shapes = ["x".join(map(str, row.output_shape)) for row in roofline.layers]
    columns = (
        *names({"slot": slots, "layer": [row.label for row in roofline.layers], "output": shapes}),
        numbers("ms", [row.time_ms for row in roofline.layers], two_places),
        numbers("forward", [row.forward_ms for row in roofline.layers], two_places),
        numbers("backward", [row.backward_ms for row in roofline.layers], two_places),
        *_figures(roofline.layers),
    )
    return Table(title, columns, _NOTE)


def _kinds(roofline: Roofline) -> Table:
    """A row a kind, those that take longest first, and the whole step."""
    rows = (*roofline.kinds, roofline.total)
    columns = (
        *names({"kind": [*(row.kind for row in roofline.kinds), "step"]}),
        numbers("layers", [*(row.layers for row in roofline.kinds), len(roofline.layers)], str),
        numbers("ms", [row.time_ms for row in rows], two_places),
        *_figures(rows),
    )
    return Table("", columns, total=True)


def _figures(rows: Sequence[Row]) -> list[Column]:
    """The columns that layers, kinds and the step share, but for the milliseconds."""
    return [
        numbers("of time", [100 * row.share for row in rows], "{:.1f} %".format),
        numbers("of MACs", [100 * row.mac_share if row.macs else None for row in rows], "{:.1f} %".format),
        numbers("FLOP/byte", [row.intensity for row in rows], two_places),
        texts("bound", [row.bound for row in rows]),
        numbers("attainable ms", [row.attainable_ms for row in rows], two_places),
        numbers("efficiency", [100 * row.efficiency for row in rows], "{:.0f} %".format),
    ]
