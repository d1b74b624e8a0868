"""From a composed configuration to a run that is known to make sense: network, costs, compute, identity, label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.config.compose import Composed
from dsbench.config.network import network
from dsbench.config.schema import Config
from dsbench.data import prepared, sets
from dsbench.network.cost import TOTALS, Cost, cost
from dsbench.network.description import Network
from dsbench.network.layers import Conv
from dsbench.run.check import check, check_last_batch
from dsbench.run.folder import RunFolder
from dsbench.run.identity import identity, run_id, test_weights
from dsbench.run.label import Label, label
from dsbench.tracking import tracker

if TYPE_CHECKING:
    from dsbench.training.device import Compute


@dataclass(frozen=True)
class Plan:
    """A run before it starts."""

    composed: Composed
    network: Network
    cost: Cost
    compute: Compute
    source: str
    identity: dict[str, Any]
    label: Label

    @property
    def config(self) -> Config:
        """The typed configuration."""
        return self.composed.config

    @property
    def run_id(self) -> str:
        """The id that follows from the identity."""
        return run_id(self.identity)

    @property
    def folder(self) -> RunFolder:
        """Where the run's record lies."""
        return RunFolder(Path(self.config.outputs).absolute() / "runs" / self.run_id)

    @property
    def kernel(self) -> int | list[int]:
        """The spatial kernel size of the slots: one number, or a list where they differ."""
        kernels: dict[int, int] = {}
        for step in self.network.steps:
            if isinstance(step.layer, Conv) and step.slot is not None:
                kernels[step.slot.index] = max(kernels.get(step.slot.index, 1), step.layer.kernel)
        sizes = list(kernels.values())
        return sizes[0] if len(set(sizes)) == 1 else sizes

    def facts(self) -> dict[str, Any]:
        """What is known of the run before it starts, as result.json and trackers hold it."""
        config, choices = self.config, self.composed.choices
        return {
            "run_id": self.run_id,
            "model": config.model.family,
            "arch": choices["arch"],
            "data": config.data.name,
            "study": str(self.label) or None,
            "width": config.width,
            "kernel": self.kernel,
            "seed": config.seed,
            **{name: getattr(self.cost, name) for name in TOTALS},
            "split": config.data.split,
            "test_weights": test_weights(config),
            "precision": self.compute.precision,
            "memory_format": "channels_last",
            "device": self.compute.name,
            "threads": self.compute.threads,
        }


def plan(composed: Composed) -> Plan:
    """Check everything that can be checked and fetch the data; writes nothing but the prepared data.

    Raises InputError, for a configuration that makes no sense as for data that cannot be had.
    """
    config = composed.config
    check(config)
    net = network(composed)
    check_last_batch(config, net)
    from dsbench.training.device import resolve, resolve_precision  # torch takes a second, an error should not

    compute = resolve(config.device, config.precision, config.threads)
    tracker.check(config)
    dataset = sets.get(config.data.name)
    arrays = prepared.prepare(dataset, config.data.root, config.data.verify)

    def identify(other: Composed) -> dict[str, Any]:
        precision = resolve_precision(other.config.precision, compute.device.type)
        return identity(other.config, network(other), arrays.sha256, precision)

    return Plan(
        composed,
        net,
        cost(net, compute.precision),
        compute,
        arrays.source,
        identify(composed),
        label(composed, identify),
    )
