"""Rooflines measured: the rates that a device attains, and the layers of training steps against them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch.nn.functional import conv2d

from dsbench.errors import InputError
from dsbench.measure.layer_times import LayerTimes, MarkedTraining, clock, layer_times, wait
from dsbench.measure.roofline_record import KindRow, LayerRow, Rates, Roofline, Row
from dsbench.measure.subject import Subject
from dsbench.measure.traffic import KINDS, Work, loss_work, operations, optimizer_work, work
from dsbench.network.build import FORMATS
from dsbench.network.cost import DTYPE_BYTES
from dsbench.network.layers import Shape
from dsbench.training.device import Compute, set_up_process
from dsbench.training.step import DTYPES

SECONDS, LEAST = 0.5, 5  # of each measurement: seconds, and the fewest repetitions
WARM_UP = 2  # repetitions that are not counted


def measure_rooflines(
    subjects: Sequence[Subject],
    names: Sequence[str],
    seconds: float,
    say: Callable[[str], None] = lambda message: None,
) -> list[Roofline]:
    """Measure the device's rates, then the layers of `subjects` by turns in about `seconds` of training steps each.

    `names` are those of the networks; `say` is called with what comes next. Raises InputError where device, precision
    or threads differ, since there is one pair of roofs, and on a device without a clock for layers.
    """
    # Of the memory format each network may have its own.
    computes = [replace(subject.compute, memory_format="channels_last") for subject in subjects]
    if len(set(computes)) > 1:
        raise InputError("a roofline is of one device, precision and number of threads; measure one after the other")
    set_up_process()
    trainings = [MarkedTraining(subject) for subject in subjects]
    say("the rates of the device")
    rates = measure_rates(computes[0])
    say("the layers of a training step")
    times = layer_times(trainings, seconds)
    rates = rates.best(measure_rates(computes[0]))  # again: a disturbance rarely lasts until now
    return [analyse(name, subject, rates, own) for name, subject, own in zip(names, subjects, times, strict=True)]


@dataclass(frozen=True)
class ConvProblem:
    """A 3x3 convolution of `channels` to as many on `batch` images of `image` x `image` pixels."""

    channels: int
    image: int
    batch: int

    @property
    def flops(self) -> int:
        """FLOP, two a MAC; what the padding saves at the border is not taken off."""
        return 2 * self.batch * self.channels**2 * 9 * self.image**2


@dataclass(frozen=True)
class Sizes:
    """Problems that bring out a device's best rates: sides of square matrices, convolutions, a buffer to copy.

    Some are large enough to occupy all of a device, others end before another process gets the core: beside busy
    processes, a product of a quarter of a second never has the core to itself. The buffer is several times the last
    cache, and is copied piece by piece.
    """

    sides: tuple[int, ...]
    convs: tuple[ConvProblem, ...]
    buffer_mib: int
    piece_mib: int


SIZES = {
    "cpu": Sizes((512, 2048), (ConvProblem(128, 16, 4), ConvProblem(256, 32, 8)), 256, 16),
    "cuda": Sizes((2048, 8192), (ConvProblem(256, 32, 64), ConvProblem(512, 64, 32)), 2048, 1024),
}


def measure_rates(compute: Compute, sizes: Sizes | None = None) -> Rates:
    """The rates of `compute` in its precision, each the best of all sizes and repetitions; some seconds."""
    sizes = sizes or SIZES[compute.device.type]
    mm = max(_mm(side, compute) for side in sizes.sides)
    conv = max(_conv(conv, compute) for conv in sizes.convs)
    return Rates(mm, conv, _copy(sizes, compute.device))


def _mm(side: int, compute: Compute) -> float:
    dtype = DTYPES[compute.precision]
    left, right = (torch.randn(side, side, device=compute.device, dtype=dtype) for _ in range(2))
    product = torch.empty_like(left)
    return 2 * side**3 / _best([lambda: torch.mm(left, right, out=product)], compute.device)


def _conv(conv: ConvProblem, compute: Compute) -> float:
    shapes = (conv.batch, conv.channels, conv.image, conv.image), (conv.channels, conv.channels, 3, 3)
    images, weights = (
        torch.randn(shape).to(compute.device, DTYPES[compute.precision], memory_format=FORMATS[compute.memory_format])
        for shape in shapes
    )
    return conv.flops / _best([lambda: conv2d(images, weights, padding=1)], compute.device)


def _copy(sizes: Sizes, device: torch.device) -> float:
    pieces = sizes.buffer_mib // sizes.piece_mib
    source, target = (torch.ones(pieces, sizes.piece_mib * 2**18, device=device) for _ in range(2))
    copies = [partial(target[piece].copy_, source[piece]) for piece in range(pieces)]
    return 2 * source[0].nbytes / _best(copies, device)


def _best(calls: Sequence[Callable[[], object]], device: torch.device) -> float:
    """Seconds of the fastest of `calls`, which are made in turn, again and again."""
    for _ in range(WARM_UP):
        for call in calls:
            call()
    seconds: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(seconds) < LEAST * len(calls) or time.perf_counter() < until:
        seconds += [_seconds(call, device) for call in calls]
    return min(seconds)


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """By the device's own clock: what a call and its waiting take of the host's time is no part of it."""
    now, milliseconds = clock(device)
    wait(device)
    start = now()
    call()
    end = now()
    wait(device)
    return milliseconds(start, end) / 1000


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
        own = [row for row in layers if row.kind == kind]
        if own:
            kinds.append(KindRow(kind=kind, layers=len(own), **_sums(own)))
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
        total=Row(**_sums(layers)),
    )


def _parts(subject: Subject, times: LayerTimes) -> list[_Part]:
    network, recipe, precision = subject.network, subject.recipe, subject.compute.precision
    layers, batch = operations(network, precision), recipe.batch_size
    *forward_ms, loss_forward_ms = times.forward_ms
    *backward_ms, loss_backward_ms = times.backward_ms
    parts = []
    for operation, *own_ms in zip(layers, forward_ms, backward_ms, strict=True):
        forward, backward = work(operation, batch)
        shape, macs = operation.after.shape, batch * operation.macs
        name = (operation.label, operation.kind, operation.slot)
        parts.append(_Part(*name, shape, macs, forward + backward, *own_ms))
    forward, backward = loss_work(network.classes, batch, DTYPE_BYTES[precision])
    params = sum(operation.layer.params for operation in layers)
    update = optimizer_work(recipe.optimizer, params, recipe.grad_clip_norm is not None)
    return [
        *parts,
        _Part("cross-entropy", "loss", None, (), 0, forward + backward, loss_forward_ms, loss_backward_ms),
        _Part(recipe.optimizer.name, "optimizer", None, (), 0, update, times.optimizer_ms, 0.0),
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


def _sums(rows: Sequence[Row]) -> dict[str, Any]:
    return {name: sum(getattr(row, name) for row in rows) for name in Row.__dataclass_fields__}
