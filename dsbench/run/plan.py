"""A run before it starts: its checked configuration, its facts and ids, and what training needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.budget.request import Requested, solved
from dsbench.config.compose import Composed
from dsbench.config.network import dataset_of, network_of
from dsbench.config.schema import Config, DataConfig
from dsbench.data import prepared
from dsbench.data.prepared import Arrays
from dsbench.data.sets import DataSet
from dsbench.errors import InputError
from dsbench.network.cost import TOTALS, Cost, cost
from dsbench.network.description import Network
from dsbench.network.layers import Conv
from dsbench.run.check import check, check_last_batch, check_members, check_memory
from dsbench.run.folder import RunFolder
from dsbench.run.identity import cell_id, identity, label, run_id, settings, test_weights, training_length
from dsbench.run.record import Label, Record, Status
from dsbench.tracking import tracker
from dsbench.training import graph
from dsbench.training.memory import DEVICE_SHARE, limit_bytes, run_bytes
from dsbench.training.place import Place, place, resolve_precision
from dsbench.training.stop import End, Stop, end

if TYPE_CHECKING:
    from dsbench.training.fit import Training


@dataclass(frozen=True)
class Plan:
    """A run before it starts."""

    composed: Composed
    network: Network
    cost: Cost
    end: End
    resources: Resources
    identity: dict[str, Any]
    label: Label
    memory_bytes: int
    """What training takes at the least, see dsbench.training.memory."""
    requested: Requested | None = None

    @property
    def config(self) -> Config:
        """The typed configuration."""
        return self.composed.config

    @cached_property
    def run_id(self) -> str:
        """The id that follows from the identity."""
        return run_id(self.identity)

    @cached_property
    def cell_id(self) -> str:
        """The id that all seeds share."""
        return cell_id(self.identity)

    @property
    def folder(self) -> RunFolder:
        """Where the run's record lies."""
        return RunFolder(Path(self.config.outputs).absolute() / "runs" / self.run_id)

    @property
    def place(self) -> Place:
        """Where it computes."""
        return self.resources.place

    @property
    def seeds(self) -> list[int]:
        """Those that train as one program: its own alone, or those of `together`."""
        return self.config.together or [self.config.seed]

    @property
    def training(self) -> Training:
        """What training is given."""
        from dsbench.training.fit import Training  # Lightning takes two seconds, planning should not

        return Training(
            config=self.config,
            network=self.network,
            end=self.end,
            compute=self.place.compute(),
            test_weights=test_weights(self.config),
            last=self.folder.last,
            best=self.folder.best,
        )

    @property
    def memory_format(self) -> str | None:
        """That of images and weights; None where the training measures first which one is the faster."""
        asked = self.config.train.memory_format
        if asked != "auto":
            return asked
        return None if self.place.kind == "cuda" else "channels_last"

    @property
    def kernel(self) -> int | list[int]:
        """The spatial kernel size of the slots: one number, or a list where they differ."""
        kernels: dict[int, int] = {}
        for step in self.network.steps:
            if isinstance(step.layer, Conv) and step.slot is not None:
                kernels[step.slot.index] = max(kernels.get(step.slot.index, 1), step.layer.kernel)
        sizes = list(kernels.values())
        return sizes[0] if len(set(sizes)) == 1 else sizes

    @property
    def block(self) -> str | None:
        """The block of the separable slots, where there are any."""
        return self.composed.choices["block"] if any(slot.kind != "plain" for slot in self.network.slots) else None

    @property
    def alone(self) -> str | None:
        """Why other seeds cannot train with it as one program; None where they can."""
        if self.place.precision == "16":
            return "precision=16 has one scale of the loss for all of a program; take 32 or bf16"
        if self.config.stop.by == "seconds":
            return "stop.by=seconds ends each run by its own clock; take epochs or train_macs"
        if self.place.kind == "cuda" and not self.resources.images_fit:
            return f"the images of {self.config.data.name} do not fit into the memory of {self.place.name}"
        return None

    def prepare(self, here: bool = True) -> None:
        """Fetch the data, once it is known that this machine, where it trains `here`, has the memory to train at all.

        Raises InputError where it never has, and for data that cannot be had.
        """
        if here:
            limit, solved = self.resources.limit_bytes, self.requested is not None
            check_memory(self.composed, self.place, self.memory_bytes, limit, solved)
            check_members(self.place, len(self.seeds), self.memory_bytes, limit)
        _ = self.resources.arrays

    def named(self, record: Record) -> Record:
        """`record`, of this run, by the names under which this plan asks for it."""
        return replace(
            record,
            model=self.config.model.family,
            arch=self.composed.choices["arch"],
            block=self.block,
            data=self.config.data.name,
            label=self.label,
            stop=Stop.of(self.config),
        )

    def facts(self) -> Record:
        """The facts of the run before it starts, as a record of status `missing`."""
        config, class_names = self.config, dataset_of(self.config.data).class_names
        facts = Record(
            status=Status.MISSING,
            run_id=self.run_id,
            cell_id=self.cell_id,
            classes=self.network.classes,
            class_names=None if class_names is None else list(class_names),
            width=config.width,
            fine_width=config.arch.fine_width,
            kernel=self.kernel,
            seed=config.seed,
            costs={name: getattr(self.cost, name) for name in TOTALS},
            split=config.data.split,
            test_weights=test_weights(config),
            precision=self.place.precision,
            memory_format=self.memory_format,
            device=self.place.name,
            threads=self.place.threads,
            requested=self.requested,
            settings=settings(config, self.identity, separable=self.block is not None),
        )
        return self.named(facts)


def with_seed(planned: Plan, seed: int) -> Plan:
    """The same run with another `seed`, from 0."""
    composed = replace(planned.composed, config=replace(planned.config, seed=seed))
    return replace(planned, composed=composed, identity=planned.identity | {"seed": seed})


def plan(asked: Composed, resources_of: Callable[[Config], Resources] | None = None) -> Plan:
    """Check all that can be checked without the data, solve the budget; writes nothing but timings.

    What is to be trained still needs Plan.prepare; data that need not be verified are fetched at once, since they may
    be others than those that are known. `resources_of` is Resources.of, or remembers what that said. Raises InputError.
    """
    check(asked.config, asked.overrides)
    composed, requested = solved(asked)
    config, network = composed.config, network_of(composed)
    check_last_batch(config, network)
    tracker.check(config)
    resources = (resources_of or Resources.of)(config)
    counted, ends = cost(network, resources.place.precision), resources.end(config, network)
    graph.check(config.train.graph, resources.place.kind, resources.place.precision, ends)
    identity = resources.identity(composed)
    planned = Plan(
        composed=composed,
        network=network,
        cost=counted,
        end=ends,
        resources=resources,
        identity=identity,
        label=label(asked, identity, resources.identity),
        memory_bytes=run_bytes(network, counted, config, resources.place),
        requested=requested,
    )
    if len(planned.seeds) > 1 and planned.alone:
        raise InputError(f"together={config.together}: {planned.alone}")
    return planned


@dataclass(frozen=True)
class Resources:
    """What a configuration only names: the device, and the image set, whose arrays are fetched when they are needed."""

    place: Place
    dataset: DataSet
    data: DataConfig

    @cached_property
    def arrays(self) -> Arrays:
        """The images. Raises InputError for what cannot be had."""
        return prepared.prepare(self.dataset, self.data.root, self.data.verify)

    @property
    def sha256(self) -> str:
        """The checksum of the images: what is verified has the known one."""
        return self.dataset.sha256 if self.data.verify else self.arrays.sha256

    @property
    def train_size(self) -> int:
        """Images in the train part, validation included."""
        return self.dataset.train_size if self.data.verify else len(self.arrays.x_train)

    @cached_property
    def limit_bytes(self) -> int:
        """What training may take of memory at the most."""
        return limit_bytes(self.place)

    @property
    def images_fit(self) -> bool:
        """Whether a GPU that nothing else uses keeps the images; else batches come from their file."""
        return self.dataset.image_bytes < DEVICE_SHARE * self.limit_bytes

    @classmethod
    def of(cls, config: Config) -> Resources:
        """What `config` names. Raises InputError for what there is none of."""
        return cls(place(config.device, config.precision, config.threads), dataset_of(config.data), config.data)

    def end(self, config: Config, network: Network) -> End:
        """Where the training of `network` ends."""
        return end(config, network, self.train_size - self.dataset.held_out(config.data.split))

    def identity(self, composed: Composed) -> dict[str, Any]:
        """What decides the result of `composed` on this device; another image set by its known checksum."""
        config, network = composed.config, network_of(composed)
        same = config.data.name == self.dataset.name
        sha256 = self.sha256 if same else dataset_of(config.data).sha256
        precision = resolve_precision(config.precision, self.place.kind)
        length = training_length(self.end(config, network), self.place)
        return identity(config, network, sha256, precision, length)
