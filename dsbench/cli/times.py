"""What networks took in torch, as `dsbench bench` prints it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsbench.cli.chips import Distinctions
from dsbench.measure.timing import Timing
from dsbench.quantities import QUANTITIES
from dsbench.tables import Column, Table, figures, numbers, written

if TYPE_CHECKING:
    from dsbench.measure.bench import Measured

_STEP = {"step": "total", "forward": "forward", "backward": "backward", "optimizer": "optimizer"}  # by heading
_PRECISIONS = {"32": "fp32", "bf16": "bf16", "16": "fp16"}
_MEMORY = QUANTITIES["peak_memory_bytes"]


def times_shown(
    measured: Sequence[Measured], precisions: Sequence[str], columns_of: Distinctions, short: str
) -> list[Table]:
    """Tables of the forward pass, the training step and, of several networks, the ratios to the first, called `short`.

    `precisions` has that of each network, 32, bf16 or 16.
    """
    tables = [_forward(measured, precisions, columns_of), _step(measured, columns_of)]
    return [*tables, *([_ratios(measured, columns_of, short)] if len(measured) > 1 else [])]


def _forward(measured: Sequence[Measured], precisions: Sequence[str], columns_of: Distinctions) -> Table:
    """Latency and throughput of the forward pass, a row a network and backend."""
    passes = [network.forward for network in measured]
    backends = list(next(iter(passes[0].latency.values())))
    rows = [(number, backend) for number in range(len(passes)) for backend in backends]
    labels = [f"{backend} {_PRECISIONS[precisions[number]]}" for number, backend in rows]
    columns = columns_of([number for number, _ in rows], backend=labels)
    for batch in passes[0].latency:
        timings = [passes[number].latency[batch][backend] for number, backend in rows]
        columns.append(_times(f"batch {batch}", timings))
        columns.append(_throughput([(batch, timing) for timing in timings]))
    if any(forward.compile_seconds for forward in passes):
        seconds = [passes[number].compile_seconds.values() if backend == "compiled" else () for number, backend in rows]
        columns.append(written("compile seconds", [", ".join(map("{:.1f}".format, values)) for values in seconds]))
    return Table("forward pass, ms", tuple(columns))


def _step(measured: Sequence[Measured], columns_of: Distinctions) -> Table:
    """The training step, its parts and its peak memory, a row a network."""
    steps = [network.step for network in measured]
    columns = [
        *columns_of(),
        numbers("batch", [step.batch_size for step in steps], str),
        *(_times(heading, [getattr(step, part) for step in steps]) for heading, part in _STEP.items()),
        _throughput([(step.batch_size, step.total) for step in steps]),
        figures(_MEMORY, [network.peak_memory_bytes for network in measured]),
    ]
    return Table("training step, ms", tuple(columns))


def _ratios(measured: Sequence[Measured], columns_of: Distinctions, short: str) -> Table:
    """Every time, that of a step for one image, and the memory, divided by the first network's."""
    first, firsts = measured[0], timings(measured[0])
    columns = columns_of()
    for name, timing in firsts.items():
        ratios = []
        for network in measured:
            own = timings(network).get(name)
            images = first.step.batch_size / network.step.batch_size if name in _STEP else 1
            ratios.append(own.median_ms / timing.median_ms * images if own else None)
        columns.append(numbers(name, ratios, "{:.3f}".format))
    peaks = [network.peak_memory_bytes for network in measured]
    memory = [peak / peaks[0] if peak and peaks[0] else None for peak in peaks]
    columns.append(numbers(_MEMORY.brief, memory, "{:.3f}".format))
    return Table(f"times {short}", tuple(columns))


def timings(measured: Measured) -> dict[str, Timing]:
    """Every timing, by the heading of its column."""
    out = {
        f"batch {batch}{'' if backend == 'torch' else f' {backend}'}": timing
        for batch, backends in measured.forward.latency.items()
        for backend, timing in backends.items()
    }
    return out | {heading: getattr(measured.step, part) for heading, part in _STEP.items()}


def _times(heading: str, timings: Sequence[Timing]) -> Column:
    return written(heading, [_ms(timing) for timing in timings])


def _ms(timing: Timing) -> str:
    places = 3 if timing.median_ms < 10 else 2 if timing.median_ms < 100 else 1
    return f"{timing.median_ms:,.{places}f} ± {timing.iqr_ms:,.{places}f}{' ' if timing.settled else '*'}"


def _throughput(timings: Sequence[tuple[int, Timing]]) -> Column:
    """Images a second, of batches and their times."""
    images = [1e3 * batch / timing.median_ms for batch, timing in timings]
    return numbers(QUANTITIES["images_per_second"].heading, images, "{:,.0f}".format)
