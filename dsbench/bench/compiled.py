"""torch.compile'd forward passes, and the seconds that compiling takes."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.benchmark import timer

from dsbench.bench.backend import Inference


def compiled(inference: Inference, backend: str = "inductor") -> Inference:
    """The same network through torch.compile, compiled anew at the first call with each shape."""
    other = copy.copy(inference)
    other.module = torch.compile(inference.module, backend=backend, dynamic=False, fullgraph=True)
    return other


def compile_seconds(inference: Inference, images: Tensor) -> float:
    """The seconds of the first call of a compiled network with images of a shape; the pass itself is in them."""
    torch.set_num_threads(inference.threads)  # the code that is made has their number in it
    prepared = inference.prepared(images)
    start = timer()
    inference.forward(prepared)
    return timer() - start


@contextmanager
def compiler(variants: int, backend: str = "inductor") -> Iterator[None]:
    """Within, networks can be compiled: `variants` of them, one a network and shape, each without a cache on disk.

    The networks share the code that torch.compile starts from, and beyond eight variants of one code it would refuse.
    The compiler's own start, ten seconds on a slow machine, comes first, so that it is nobody's compile time.
    """
    import torch._dynamo
    import torch._inductor.config

    with (
        warnings.catch_warnings(),
        torch._dynamo.config.patch(recompile_limit=variants + 8),
        torch._inductor.config.patch(force_disable_caches=True),
    ):
        warnings.filterwarnings("ignore", "dynamo_pgo force disabled", UserWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's compiler uses what torch calls deprecated
        torch.compiler.reset()  # what this process compiled before counts against the limit too
        with torch.inference_mode():
            torch.compile(_small(), backend=backend)(torch.zeros(1, 1, 4, 4))
        yield


def _small() -> nn.Module:
    """Something of all that networks consist of."""
    return nn.Sequential(
        nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1, 2)
    ).eval()
