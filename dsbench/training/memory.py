"""What training a network takes of a machine's memory, by its costs, and what there is.

All that is counted is there at one moment, so a run takes as much at the least: what does not fit by this does not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dsbench import machine
from dsbench.config.network import dataset_of
from dsbench.config.schema import AdamConfig, Config, OptimizerConfig, RmspropConfig, SgdConfig
from dsbench.errors import InputError
from dsbench.network.cost import DTYPE_BYTES, Cost, passing_bytes
from dsbench.network.description import Network
from dsbench.training.gpu import gpu

if TYPE_CHECKING:
    from dsbench.training.place import Place

EVAL_BATCH_SIZE = 500  # images of validation and test at once, at most
DEVICE_SHARE = 0.5  # of a GPU's free memory that the images may take
EVAL_PIXELS = 500 * 32 * 32  # of those images: their activations have to fit
# Of a process before its network, measured by benchmarks/memory.py: what importing takes, which processes that are
# forked from one share, and what each has of its own.
IMPORTED_BYTES = 360 << 20
OWN_BYTES = 60 << 20
# Of a GPU's memory before the network, for each process on it. Estimates, low ones, which no card has confirmed: what a
# CUDA context with the kernels of torch, cuDNN and cuBLAS takes (people report 250 to 600 MiB, by card and version),
# and one workspace of cuBLAS, which torch's allocator counts, of the size that dsbench.training.device sets.
CONTEXT_BYTES = 250 << 20
WORKSPACE_BYTES = 32 << 20
_WEIGHT_BYTES = 4  # at any precision
_LARGEST = 1 << 20  # width, or images of a batch, that is tried for one that fits


def run_bytes(network: Network, cost: Cost, config: Config, place: Place) -> int:
    """Bytes that training takes on the device of `place`, apart from what importing does.

    `cost` is that of `network` in the precision of `place`. Weights, their gradients and what the optimizer keeps of
    them; with these either the activations of a batch or, in evaluation, what passes from a layer to the next; on a CPU
    the rest of the process, on CUDA a workspace. The images are no part of it: they stay in their file where there is
    no room for them.
    """
    dataset, size = dataset_of(config.data), DTYPE_BYTES[place.precision]
    weights = _WEIGHT_BYTES * (cost.params * (2 + kept_numbers(config.optimizer)) + cost.buffers)
    evaluated = min(evaluated_at_once(dataset.image_shape), sum(dataset.test_counts))
    activations = max(cost.training_bytes * config.train.batch_size, passing_bytes(network, size) * evaluated)
    own = {"cpu": OWN_BYTES, "cuda": WORKSPACE_BYTES}
    return weights + activations + own.get(place.kind, 0)


def evaluated_at_once(image_shape: tuple[int, ...]) -> int:
    """How many images of this shape, (channels, height, width), are evaluated at once."""
    return max(1, min(EVAL_BATCH_SIZE, EVAL_PIXELS // (image_shape[1] * image_shape[2])))


def kept_numbers(optimizer: OptimizerConfig) -> int:
    """How many numbers the optimizer keeps for each weight."""
    if isinstance(optimizer, AdamConfig):
        return 2
    assert isinstance(optimizer, (SgdConfig, RmspropConfig))
    return isinstance(optimizer, RmspropConfig) + (optimizer.momentum > 0)


def limit_bytes(place: Place) -> int:
    """Bytes that there are for it at the most: of the GPU's memory beside the context, else of this machine's beside
    what is imported.
    """
    if place.kind == "cuda":
        return gpu().memory_bytes - CONTEXT_BYTES
    return machine.memory().total - IMPORTED_BYTES


def largest(below: int, fits: Callable[[int], bool], rounded: bool = True) -> int:
    """The largest number below `below` that `fits`, `rounded` down to two digits; 0 where none does.

    What fits is taken to fit where it is smaller, too. A number for which `fits` raises InputError does not.
    """

    def good(number: int) -> bool:
        try:
            return fits(number)
        except InputError:  # no network has this width
            return False

    low, high = 0, min(below, _LARGEST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if good(middle) else (low, middle)
    digits = 10 ** max(0, len(str(low)) - 2)
    short = low // digits * digits
    return short if rounded and good(short) else low
