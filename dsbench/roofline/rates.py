"""What this device attains at best: floating-point operations and bytes per second, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch.nn.functional import conv2d

from dsbench.bench.subject import DTYPES
from dsbench.roofline.marks import wait
from dsbench.roofline.rows import Rates
from dsbench.training.device import Compute

SECONDS, LEAST = 0.5, 5  # of each measurement: seconds, and repetitions at the least
WARM_UP = 2  # repetitions that are not counted


@dataclass(frozen=True)
class Conv:
    """A 3x3 convolution of `channels` to as many on `batch` images of `image` x `image` pixels."""

    channels: int
    image: int
    batch: int

    @property
    def flops(self) -> int:
        """Operations, two a MAC; what the padding saves at the border is not taken off."""
        return 2 * self.batch * self.channels**2 * 9 * self.image**2


@dataclass(frozen=True)
class Sizes:
    """Problems on which a device can show what it can do: sides of square matrices, convolutions, megabytes copied.

    Some are large enough to occupy all of a device, others are done before another process gets the core: beside busy
    processes, a product of a quarter of a second never has it for itself. `buffer` is several times the last cache,
    and is copied in pieces of `piece`.
    """

    sides: tuple[int, ...]
    convs: tuple[Conv, ...]
    buffer: int
    piece: int


SIZES = {
    "cpu": Sizes((512, 2048), (Conv(128, 16, 4), Conv(256, 32, 8)), 256, 16),
    "cuda": Sizes((2048, 8192), (Conv(256, 32, 64), Conv(512, 64, 32)), 2048, 1024),
}


def measure_rates(compute: Compute, sizes: Sizes | None = None) -> Rates:
    """The rates of `compute` in its precision, each the best of all sizes and repetitions; some seconds."""
    sizes = sizes or SIZES[compute.device.type]
    mm = max(_mm(side, compute) for side in sizes.sides)
    conv = max(_conv(conv, compute) for conv in sizes.convs)
    return Rates(mm, conv, _copy(sizes, compute.device))


def _mm(side: int, compute: Compute) -> float:
    dtype = DTYPES[compute.precision]
    one, other = (torch.randn(side, side, device=compute.device, dtype=dtype) for _ in range(2))
    product = torch.empty_like(one)
    return 2 * side**3 / _best([lambda: torch.mm(one, other, out=product)], compute.device)


def _conv(conv: Conv, compute: Compute) -> float:
    shapes = (conv.batch, conv.channels, conv.image, conv.image), (conv.channels, conv.channels, 3, 3)
    images, weights = (
        torch.randn(shape).to(compute.device, DTYPES[compute.precision], memory_format=torch.channels_last)
        for shape in shapes
    )
    return conv.flops / _best([lambda: conv2d(images, weights, padding=1)], compute.device)


def _copy(sizes: Sizes, device: torch.device) -> float:
    pieces = sizes.buffer // sizes.piece
    source, target = (torch.ones(pieces, sizes.piece * 2**18, device=device) for _ in range(2))
    copies = [partial(target[piece].copy_, source[piece]) for piece in range(pieces)]
    return 2 * source[0].nbytes / _best(copies, device)


def _best(works: Sequence[Callable[[], object]], device: torch.device) -> float:
    """Seconds of the fastest of `works`, done one after the other again and again."""
    for _ in range(WARM_UP):
        for work in works:
            work()
    seconds: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(seconds) < LEAST * len(works) or time.perf_counter() < until:
        seconds += [_seconds(work, device) for work in works]
    return min(seconds)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    wait(device)
    begun = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - begun
