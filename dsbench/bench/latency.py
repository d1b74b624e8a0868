"""One number of one network, for those who search for a width by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from dsbench.bench.backend import Inference
from dsbench.bench.probes import StepProbe, forward_probe
from dsbench.bench.store import Store, conditions
from dsbench.bench.subject import StepRecipe, Subject, random_batch
from dsbench.bench.timing import LIMIT_SECONDS, Probe, Timing, interleaved
from dsbench.config.schema import OptimizerConfig
from dsbench.network.build import build
from dsbench.network.description import Network
from dsbench.training.device import Compute, set_up_process


def forward_latency(
    network: Network, compute: Compute, batch: int, limit_seconds: float = LIMIT_SECONDS, store: Store | None = None
) -> Timing:
    """The forward pass of `batch` images in evaluation mode; taken from `store` where that has it."""

    def probe() -> Probe:
        images, _ = random_batch(network, compute.device, batch)
        return forward_probe(Inference(build(network, seed=0), compute), images, limit_seconds)

    return _timing(probe, conditions(network, "forward", batch, compute), limit_seconds, store)


def step_latency(
    network: Network,
    optimizer: OptimizerConfig,
    compute: Compute,
    batch: int,
    limit_seconds: float = LIMIT_SECONDS,
    store: Store | None = None,
) -> Timing:
    """A whole training step of `batch` images; taken from `store` where that has it."""

    def probe() -> Probe:
        return StepProbe(Subject(network, compute, StepRecipe(optimizer, batch)), limit_seconds).whole

    return _timing(probe, conditions(network, {"step": asdict(optimizer)}, batch, compute), limit_seconds, store)


def _timing(probe: Callable[[], Probe], under: dict[str, Any], limit_seconds: float, store: Store | None) -> Timing:
    def measure() -> Timing:
        set_up_process()
        return interleaved([probe()], limit_seconds)[0][0]

    return measure() if store is None else store.timing(under, limit_seconds, measure)
