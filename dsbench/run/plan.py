"""A run before it starts: its checked configuration, its facts and ids, and what training needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.budget.request import Requested, solved
from dsbench.config.compose import Composed, choice
from dsbench.config.network import dataset_of, network_of
from dsbench.config.overrides import key
from dsbench.config.schema import Config
from dsbench.data import prepared
from dsbench.network.cost import TOTALS, Cost, cost
from dsbench.network.description import Network
from dsbench.network.layers import Conv
from dsbench.run import record
from dsbench.run.check import check, check_last_batch
from dsbench.run.folder import RunFolder
from dsbench.run.identity import OUTSIDE, cell_id, identity, run_id, test_weights, training_length
from dsbench.run.record import Label, Record, Status
from dsbench.tracking import tracker
from dsbench.training.recipe import Training
from dsbench.training.stop import Stop, requested, stop

if TYPE_CHECKING:
    from dsbench.training.device import Compute

_ARCH = ("divisor", "init", "activation", "norm_eps", "norm_momentum")


def settings(config: Config, identity: dict[str, Any], separable: bool) -> dict[str, Any]:
    """The keys of the configuration that decide a result beside those that records name.

    They are flat (`optimizer.lr`) and all have a dot. Values are those that count, as `identity` has them; what is null
    or idle is left out, and so are the switches of the block where no slot is `separable`.
    """
    recipe, data, arch = identity["recipe"], identity["data"], config.arch
    depth = arch.depth if config.depth is None else config.depth
    network = {
        "model": {"pattern": config.model.pattern},
        "arch": {"depth": depth, **{name: getattr(arch, name) for name in _ARCH}},
        "block": vars(config.block) if separable else {},
        "slots": vars(config.slots),
    }
    train = {key: recipe[key] for key in ("batch_size", "label_smoothing", "grad_clip_norm", "early_stopping")}
    images = {key: data[key] for key in ("scale", "filter", "augment")}
    groups = {"optimizer": recipe["optimizer"], "schedule": recipe["schedule"], "train": train, "data": images}
    return dict(_leaves(network | groups))


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value


def label(composed: Composed, identity: Callable[[Composed], dict[str, Any]]) -> Label:
    """The label of a run: modified where its identity is not that of the experiment alone, the seed aside.

    `identity` is what decides the result (see dsbench.run.identity). The keys named are those overridden; where none
    of these made the difference (a changed environment, say), those of the configuration that differ.
    """
    experiment = composed.choices.get("experiment")
    if experiment in (None, "None", "null"):
        return Label()
    pristine = choice(f"experiment={experiment}", composed.config_dir)
    pristine = replace(pristine, config=replace(pristine.config, seed=composed.config.seed))
    if identity(composed) == identity(pristine):
        return Label(experiment)
    differing = [
        leaf
        for leaf in _differing(asdict(composed.config), asdict(pristine.config))
        if not any(_within(leaf, outside) for outside in OUTSIDE)
    ]
    keys = dict.fromkeys(map(key, composed.overrides))
    named = [overridden for overridden in keys if any(_within(leaf, overridden) for leaf in differing)]
    return Label(experiment, tuple(named or differing))


def _within(leaf: str, key: str) -> bool:
    return leaf == key or leaf.startswith(f"{key}.")


def _differing(left: dict[str, Any], right: dict[str, Any], prefix: str = "") -> list[str]:
    out = []
    for name in left.keys() | right.keys():
        a, b = left.get(name), right.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            out += _differing(a, b, f"{prefix}{name}.")
        elif a != b:
            out.append(f"{prefix}{name}")
    return sorted(out)


@dataclass(frozen=True)
class Plan:
    """A run before it starts."""

    composed: Composed
    network: Network
    cost: Cost
    stop: Stop
    compute: Compute
    source: str
    identity: dict[str, Any]
    label: Label
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
    def training(self) -> Training:
        """What training is given."""
        where = self.folder
        weights = test_weights(self.config)
        return Training(self.config, self.network, self.stop, self.compute, weights, where.last, where.best)

    @property
    def kernel(self) -> int | list[int]:
        """The spatial kernel size of the slots: one number, or a list where they differ."""
        kernels: dict[int, int] = {}
        for step in self.network.steps:
            if isinstance(step.layer, Conv) and step.slot is not None:
                kernels[step.slot.index] = max(kernels.get(step.slot.index, 1), step.layer.kernel)
        sizes = list(kernels.values())
        return sizes[0] if len(set(sizes)) == 1 else sizes

    def facts(self) -> Record:
        """The facts of the run before it starts, as a record of status `missing`."""
        config, choices = self.config, self.composed.choices
        block = choices["block"] if any(slot.kind != "plain" for slot in self.network.slots) else None
        return Record(
            status=Status.MISSING,
            run_id=self.run_id,
            cell_id=self.cell_id,
            model=config.model.family,
            arch=choices["arch"],
            block=block,
            data=config.data.name,
            classes=self.network.classes,
            label=self.label,
            width=config.width,
            fine_width=config.arch.fine_width,
            kernel=self.kernel,
            seed=config.seed,
            costs={name: getattr(self.cost, name) for name in TOTALS},
            split=config.data.split,
            test_weights=test_weights(config),
            precision=self.compute.precision,
            memory_format="channels_last",
            device=self.compute.name,
            threads=self.compute.threads,
            requested=record.Requested(**self.requested.facts()) if self.requested else None,
            stop=record.Stop(**requested(config)),
            settings=settings(config, self.identity, separable=block is not None),
        )


def with_seed(planned: Plan, seed: int) -> Plan:
    """The same run with another `seed`, from 0."""
    composed = replace(planned.composed, config=replace(planned.config, seed=seed))
    return replace(planned, composed=composed, identity=planned.identity | {"seed": seed})


def plan(asked: Composed) -> Plan:
    """Check all that can be checked, solve the budget, fetch the data; writes nothing but prepared data and timings.

    Raises InputError, for a configuration that makes no sense as for data that cannot be had.
    """
    check(asked.config, asked.overrides)
    composed, requested = solved(asked)
    config = composed.config
    net = network_of(composed)
    check_last_batch(config, net)
    from dsbench.training.device import resolve, resolve_precision  # torch takes a second, an error should not

    compute = resolve(config.device, config.precision, config.threads)
    tracker.check(config)
    dataset = dataset_of(config.data)
    arrays = prepared.prepare(dataset, config.data.root, config.data.verify)

    def end(config: Config, macs: int) -> Stop:
        images = len(arrays.x_train) - dataset.held_out(config.data.split)
        return stop(config, macs, images)

    def identify(config: Config, net: Network, macs: int) -> dict[str, Any]:
        same = config.data.name == dataset.name
        sha256 = arrays.sha256 if same else dataset_of(config.data).sha256
        precision = resolve_precision(config.precision, compute.device.type)
        length = training_length(end(config, macs), compute.name, compute.threads)
        return identity(config, net, sha256, precision, length)

    def identify_unsolved(other: Composed) -> dict[str, Any]:
        met, _ = solved(other)
        unsolved = network_of(met)
        return identify(met.config, unsolved, cost(unsolved).macs)

    costs = cost(net, compute.precision)
    return Plan(
        composed,
        net,
        costs,
        end(config, costs.macs),
        compute,
        arrays.source,
        identify(config, net, costs.macs),
        label(asked, identify_unsolved),
        requested,
    )
