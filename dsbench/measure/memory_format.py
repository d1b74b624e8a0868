"""Which memory format a network's training step is faster in on a CUDA device: channels_last or contiguous.

On a GPU that depends on the layers. cuDNN's dense convolutions in half precision want channels_last; of a depthwise
convolution in channels_last torch leaves the choice of kernel to cuDNN, of a contiguous one it has its own.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache

from filelock import FileLock

from dsbench.measure.probes import Block
from dsbench.measure.store import Store, conditions
from dsbench.measure.subject import Subject, Training
from dsbench.measure.timing import Timing, interleaved
from dsbench.training.device import set_up_process
from dsbench.training.graph import CudaGraphs
from dsbench.training.program import WARM_UPS

FORMATS = ("channels_last", "contiguous")
SECONDS = 1.0  # of measuring, a format, at the most
LEAST_GAIN = 0.03  # of the step's time, for which channels_last is left: less is within what measurements differ by


def faster(subject: Subject, store: Store) -> str:
    """The format in which the forward and the backward pass of `subject` take less of a CUDA device's own time.

    Both take turns, as CUDA graphs, since a step that is launched kernel by kernel lasts as long as its launches. What
    is measured is kept in `store`; of several processes that ask at once one measures, so that all seeds of a cell have
    one format.
    """
    store.folder.mkdir(parents=True, exist_ok=True)

    @cache
    def timings() -> dict[str, Timing]:
        set_up_process()
        graphs = CudaGraphs(subject.compute.device)
        try:
            probes = [_probe(_in_format(subject, name), graphs) for name in FORMATS]
            return {name: parts[0] for name, parts in zip(FORMATS, interleaved(probes, SECONDS), strict=True)}
        finally:
            graphs.drop()

    def timing(name: str) -> Timing:
        what = {"captured step": asdict(subject.recipe)}
        under = conditions(subject.network, what, subject.recipe.batch_size, _in_format(subject, name).compute)
        return store.timing(under, SECONDS, lambda: timings()[name])

    with FileLock(store.folder / "memory_format.lock"):
        usual, other = (timing(name).median_ms for name in FORMATS)
    return FORMATS[other < (1 - LEAST_GAIN) * usual]


def _in_format(subject: Subject, name: str) -> Subject:
    return replace(subject, compute=replace(subject.compute, memory_format=name))


def _probe(subject: Subject, graphs: CudaGraphs) -> Block:
    """A probe of one forward and backward pass, captured once and replayed."""
    training, batch = Training(subject.network, subject.compute, subject.recipe), subject.batch()

    def step() -> None:
        training.backward(training.loss(*batch))

    for _ in range(WARM_UPS):
        graphs.warm_up(step)
    return Block(graphs.record(step), subject.compute.threads, SECONDS)
