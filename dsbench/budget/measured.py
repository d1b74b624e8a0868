"""The cost of a network as a function of its width, by measurement on this device."""

from __future__ import annotations

import math
from pathlib import Path

from dsbench.budget.solver import Knob
from dsbench.config.dataset import dataset_of
from dsbench.config.schema import Config
from dsbench.errors import InputError
from dsbench.network.assemble import Frame
from dsbench.network.description import Network
from dsbench.process import wait_briefly


def knob(frame: Frame, kind: str, config: Config) -> Knob:
    """The knob that sets `kind`, latency_ms of one image or train_seconds_per_epoch, of `frame`.

    The fine width stays nominal: what it changes is less than what measurements differ by. Each network is measured
    once on a machine, see dsbench.bench.store. Raises InputError for a device that is not there.
    """
    wait_briefly()  # before torch is imported
    from dsbench.bench import latency
    from dsbench.bench.store import Store
    from dsbench.training.device import resolve

    compute = resolve(config.device, config.precision, config.threads)
    store = Store(Path(config.outputs).absolute() / "latency")
    dataset, batch = dataset_of(config.data), config.train.batch_size
    steps = math.ceil((dataset.train_size - dataset.held_out(config.data.split)) / batch)

    def measured(network: Network) -> float:
        if kind == "latency_ms":
            return latency.forward_latency(network, compute, 1, store=store).median_ms
        return latency.step_latency(network, config.optimizer, compute, batch, store=store).median_ms * steps / 1000

    known: dict[int, float | None] = {}

    def cost(width: int, fine_width: int | None) -> float | None:
        if width not in known:
            known[width] = measured(network) if (network := _network(frame, width)) is not None else None
        return known[width]

    return Knob(cost, window=1)


def _network(frame: Frame, width: int) -> Network | None:
    try:
        return frame.network(width)
    except InputError:
        return None
