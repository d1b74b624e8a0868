"""From measured times, rates and formulas to the rows of a roofline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench.network.cost import DTYPE_BYTES
from dsbench.network.layers import Shape
from dsbench.roofline.operations import KINDS, operations
from dsbench.roofline.rows import KindRow, LayerRow, Measured, Rates, Roofline
from dsbench.roofline.traffic import Work, loss_work, optimizer_work, work

if TYPE_CHECKING:
    from dsbench.bench.subject import Subject
    from dsbench.roofline.layer_times import LayerTimes


@dataclass(frozen=True)
class _Part:
    """A row before shares and limits are known."""

    label: str
    kind: str
    slot: int | None
    output_shape: Shape
    macs: int
    work: Work
    forward_ms: float
    backward_ms: float


def analyse(name: str, subject: Subject, rates: Rates, times: LayerTimes) -> Roofline:
    """The roofline of `subject`, whose network is called `name`."""
    parts, compute = _parts(subject, times), subject.compute
    time_ms, macs = sum(p.forward_ms + p.backward_ms for p in parts), sum(p.macs for p in parts)
    layers = tuple(_row(part, rates, time_ms, macs) for part in parts)
    kinds = []
    for kind in KINDS:
        held = [row for row in layers if row.kind == kind]
        if held:
            kinds.append(KindRow(kind=kind, layers=len(held), **_sums(held)))
    return Roofline(
        name=name,
        batch_size=subject.recipe.batch_size,
        device=compute.name,
        precision=compute.precision,
        threads=compute.threads,
        rates=rates,
        steps=times.steps,
        step_ms=times.step_ms,
        busy=times.busy,
        layers=layers,
        kinds=tuple(sorted(kinds, key=lambda row: -row.time_ms)),
        total=Measured(**_sums(layers)),
    )


def _parts(subject: Subject, times: LayerTimes) -> list[_Part]:
    network, recipe, precision = subject.network, subject.recipe, subject.compute.precision
    done, batch = operations(network, precision), recipe.batch_size
    parts = []
    for operation, there_ms, back_ms in zip(done, times.forward_ms[:-1], times.backward_ms[:-1], strict=True):
        there, back = work(operation, batch)
        shape, macs = operation.after.shape, batch * operation.macs
        name = (operation.label, operation.kind, operation.slot)
        parts.append(_Part(*name, shape, macs, there + back, there_ms, back_ms))
    there, back = loss_work(network.classes, batch, DTYPE_BYTES[precision])
    loss_ms = (times.forward_ms[-1], times.backward_ms[-1])
    params = sum(operation.layer.params for operation in done)
    update = optimizer_work(recipe.optimizer, params, recipe.grad_clip_norm is not None)
    return [
        *parts,
        _Part("cross-entropy", "loss", None, (), 0, there + back, *loss_ms),
        _Part(recipe.optimizer.name, "optimiser", None, (), 0, update, times.optimizer_ms, 0.0),
    ]


def _row(part: _Part, rates: Rates, time_ms: float, macs: int) -> LayerRow:
    compute_ms, memory_ms = 1000 * part.work.flops / rates.flops, 1000 * part.work.bytes / rates.bandwidth
    own_ms = part.forward_ms + part.backward_ms
    return LayerRow(
        label=part.label,
        kind=part.kind,
        slot=part.slot,
        output_shape=part.output_shape,
        forward_ms=part.forward_ms,
        backward_ms=part.backward_ms,
        time_ms=own_ms,
        share=own_ms / time_ms,
        macs=part.macs,
        mac_share=part.macs / macs if macs else 0.0,
        flops=part.work.flops,
        bytes=part.work.bytes,
        compute_ms=compute_ms,
        memory_ms=memory_ms,
        attainable_ms=max(compute_ms, memory_ms),
    )


def _sums(rows: Sequence[Measured]) -> dict[str, Any]:
    return {name: sum(getattr(row, name) for row in rows) for name in Measured.__dataclass_fields__}
