"""A training step as a CUDA graph, captured once and then started by one launch, and the cases in which it is none.

Nothing in this module has run on a GPU yet; what it captures, the steps of `dsbench.training.program`, runs on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dsbench.errors import InputError
from dsbench.training.stop import AfterSeconds, End

if TYPE_CHECKING:
    import torch

    from dsbench.training.batches import Batches


def cannot(precision: str, end: End) -> str | None:
    """Why a training cannot be captured whatever the GPU; None where it can."""
    if precision == "16":
        return "under precision=16 the host decides after each step whether its gradients are finite"
    if isinstance(end, AfterSeconds):
        return "under stop.by=seconds the learning rate of a step depends on the clock of the host"
    return None


def check(graph: bool | str, kind: str, precision: str, end: End) -> None:
    """Raise InputError for train.graph=true where no training on a device of this `kind` can be captured."""
    if graph is True:
        if kind != "cuda":
            raise InputError(f"train.graph=true needs a CUDA device, this run is on {kind}; choose auto or false")
        if (why := cannot(precision, end)) is not None:
            raise InputError(f"train.graph=true: {why}; choose auto or false")


def without_graph(graph: bool | str, precision: str, end: End, data: Sequence[Batches]) -> str | None:
    """Why training on a CUDA device with this `data` captures nothing; None where it does.

    Raises InputError where train.graph=true asks for it.
    """
    if graph is False:
        return "train.graph=false"
    why = cannot(precision, end)
    if why is None and any(part.images.device != part.device for part in data):
        why = "the images have no room in the GPU's memory"
    if why is not None and graph is True:
        raise InputError(f"train.graph=true: {why}; choose auto or false")
    return why


class CudaGraphs:
    """Captures functions as CUDA graphs that share one pool of memory, which none leaves anything in for another.

    `drop` gives it back, of all at once: later versions of torch free with any graph the workspaces that cuBLAS has for
    its stream, which is that of all of them.
    """

    def __init__(self, device: torch.device) -> None:
        import torch

        self._torch = torch
        self._stream, self._pool = torch.cuda.Stream(device), torch.cuda.graph_pool_handle()
        self._graphs: list[torch.cuda.CUDAGraph] = []
        self._given: list[torch.cuda.Event] = []  # after the last chunks, the oldest first

    def warm_up(self, function: Callable[[], None]) -> None:
        """Run it on the stream on which it will be captured."""
        self._stream.wait_stream(self._torch.cuda.current_stream())
        with self._torch.cuda.stream(self._stream):
            function()
        self._torch.cuda.current_stream().wait_stream(self._stream)

    def record(self, function: Callable[[], None], generators: Sequence[torch.Generator] = ()) -> Callable[[], None]:
        """Capture it. Other threads, W&B's for one, may meanwhile do what a capture forbids.

        `generators` are those that it draws from beside torch's own: a graph that is replayed goes on in each from
        where it is, so that what is drawn stays a function of seed, epoch and step.
        """
        graph = self._torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        with self._torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            function()
        self._graphs.append(graph)
        return graph.replay

    def drop(self) -> None:
        """Give back the memory of all that was captured, which cannot be replayed any more."""
        for graph in self._graphs:
            graph.reset()
        self._graphs.clear()

    def pace(self) -> None:
        """Wait for the chunk before the last, so that one is always left for the device to compute."""
        event = self._torch.cuda.Event()
        event.record()
        self._given.append(event)
        if len(self._given) > 2:
            self._given.pop(0).synchronize()
