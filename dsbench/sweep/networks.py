"""The networks that overrides or folders of runs name, what they cost, and their names side by side."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.budget.request import Requested, solved
from dsbench.config.compose import Composed, compose, loader
from dsbench.config.network import network_of
from dsbench.config.overrides import key, value
from dsbench.errors import InputError
from dsbench.measure.timing import THREADS
from dsbench.network.cost import Cost, LayerCost
from dsbench.network.cost import cost as cost_of
from dsbench.network.description import Network
from dsbench.quantities import COUNTED
from dsbench.run.trained import Trained, load
from dsbench.sweep.axes import jobs

if TYPE_CHECKING:
    from dsbench.measure.subject import Subject

_SELF_EXPLAINING = ("model", "arch", "block", "data", "device")  # keys whose values need no key beside them


@dataclass(frozen=True)
class NamedNetwork:
    """A network, the configuration it comes from, the budget that its widths meet, and the run that has trained it."""

    composed: Composed
    network: Network
    requested: Requested | None
    run: Trained | None

    @property
    def name(self) -> dict[str, Any]:
        """Run and seed of a trained one; model, architecture, block (where a slot has one), widths and data set."""
        choices, config = self.composed.choices, self.composed.config
        separable = any(slot.kind != "plain" for slot in self.network.slots)
        return ({"run": self.run.run_id, "seed": config.seed} if self.run else {}) | {
            "model": choices["model"],
            "arch": choices["arch"],
            "block": choices["block"] if separable else None,
            "width": config.width,
            "fine_width": config.arch.fine_width,
            "data": config.data.name,
        }

    @property
    def title(self) -> str:
        """The name in one line, with the options in which the block differs from the one of its name."""
        name, image = self.name, "x".join(map(str, self.network.input_shape))
        run = f"run {name['run']}, " if self.run else ""
        changed = [override.lstrip("+~") for override in self.composed.overrides if key(override).startswith("block.")]
        switches = f" ({', '.join(changed)})" if changed else ""
        block = f", block {name['block']}{switches}" if name["block"] else ""
        fine = f", fine width {name['fine_width']}" if name["fine_width"] else ""
        return f"{run}{name['model']}, arch {name['arch']}{block}, width {name['width']}{fine}, image {image}"

    def subject(self, threads: int = THREADS) -> Subject:
        """The network, whoever trained it, as something to measure where and how its configuration says.

        It is on `threads` CPU threads where that asks for none. Raises InputError.
        """
        from dsbench.measure.subject import StepRecipe, Subject
        from dsbench.training.device import resolve

        config = self.composed.config
        compute = resolve(config.device, config.precision, threads if config.threads is None else config.threads)
        if config.train.memory_format != "auto":
            compute = replace(compute, memory_format=config.train.memory_format)
        return Subject(self.network, compute, StepRecipe.of(config.optimizer, config.train))


@dataclass(frozen=True)
class Costed(NamedNetwork):
    """A network and what it costs."""

    cost: Cost

    @classmethod
    def of(cls, network: NamedNetwork, precision: str) -> Costed:
        """With its cost, bytes being those of `precision`: 32, bf16 or 16."""
        return cls(**vars(network), cost=cost_of(network.network, precision))

    def totals(self) -> dict[str, Any]:
        """Every total, by its name."""
        return {quantity.name: getattr(self.cost, quantity.name) for quantity in COUNTED}

    def rows(self, layers: bool) -> list[dict[str, Any]]:
        """Its row of a file or table; with `layers` a row a layer."""
        if layers:
            return [self.name | layer.facts() | {"output_shape": shape(layer)} for layer in self.cost.layers]
        budget = self.requested.facts() if self.requested else dict.fromkeys(field.name for field in fields(Requested))
        return [self.name | self.totals() | {f"budget_{name}": value for name, value in budget.items()}]


def shape(layer: LayerCost) -> str:
    """Of what a layer gives: 8x28x28."""
    return "x".join(map(str, layer.output_shape))


def networks(arguments: Sequence[str], config_dir: str | None = None) -> list[NamedNetwork]:
    """One network for each combination of the values that overrides list, or for each folder of a finished run.

    The folder of a sweep stands for a finished run of each of its cells. Raises InputError for what names no network
    and for arguments of both kinds.
    """
    folders = [argument for argument in arguments if _names_folder(argument)]
    if folders:
        arguments = [argument for argument in arguments if Path(argument).name != "index.csv"]  # outputs/runs/*
        overrides = [argument for argument in arguments if argument not in folders]
        if overrides:
            raise InputError(
                f"{overrides[0]} is an override and {folders[0]} the folder of a run; give one kind of both"
            )
        runs = [load(run) for folder in folders for run in _runs(Path(folder))]
        return [NamedNetwork(run.composed, run.network, None, run) for run in runs]
    last = list({key(argument): argument for argument in arguments}.values())  # of a key, as in a single run
    return [named(compose(overrides, config_dir)) for overrides in jobs(last, [], loader(config_dir))]


def named(composed: Composed) -> NamedNetwork:
    """The network of a configuration, at the widths of its budget. Raises InputError."""
    fitted, requested = solved(composed)
    return NamedNetwork(fitted, network_of(fitted), requested, None)


def _runs(folder: Path) -> list[Path]:
    """The folder of the run, or of a finished run of each cell of the sweep."""
    if not (folder / "sweep.yaml").is_file():
        return [folder]
    from dsbench.results.query import sweep_folder
    from dsbench.results.records import plain

    sweep = sweep_folder(folder, str(folder))
    done = {row["cell_id"]: row["run_id"] for row in reversed(plain(sweep.read()[0])) if row["status"] == "done"}
    if not done:
        raise InputError(f"no run of the sweep in {folder} is done")
    return [sweep.outputs / "runs" / run_id for run_id in reversed(done.values())]


def _names_folder(argument: str) -> bool:
    """Whether the argument is a folder. Raises InputError where it is no override either."""
    if os.path.isdir(argument):  # Path.is_dir raises for an override that is too long for a path
        return True
    if not key(argument) or ("=" not in argument and not argument.startswith("~")):
        raise InputError(
            f"{argument} is neither an override such as width=8 nor the folder of a run, outputs/runs/<run_id>, or "
            "of a sweep"
        )
    return False


def names_of(networks: Sequence[NamedNetwork]) -> list[dict[str, Any]]:
    """The names of networks side by side, with the keys that were given several values (`kernel=3,5`)."""
    own = [network.name for network in networks]
    given = [{key(text): value(text) for text in network.composed.overrides} for network in networks]
    listed = [typed for typed in given[0] if typed != "experiment" and len({values.get(typed) for values in given}) > 1]
    return [{typed: values.get(typed) for typed in listed} | name for values, name in zip(given, own, strict=True)]


def differing_keys(names: Sequence[dict[str, Any]]) -> list[str]:
    """The keys in which `names`, all with the same keys, are not all alike."""
    return [key for key in names[0] if len({name[key] for name in names}) > 1]


def shared(names: Sequence[dict[str, Any]]) -> str:
    """What `names` have in common, in one line."""
    keys = differing_keys(names)
    return ", ".join(f"{key} {value}" for key, value in names[0].items() if key not in keys and value)


def differing_values(names: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The values of those keys, a row for each of `names`."""
    keys = differing_keys(names)
    return [[str(name[key] or "") for key in keys] for name in names]


def short_titles(networks: Sequence[NamedNetwork]) -> list[str]:
    """A short name of each for a sentence: its experiment, else the values in which it differs, else its title."""
    experiments = [str(network.composed.choices.get("experiment")) for network in networks]
    if len(networks) > 1 and len(set(experiments) - {"None"}) == len(networks):
        return experiments
    names = names_of(networks)
    keys = differing_keys(names)
    words = [
        [str(name[key]) if key in _SELF_EXPLAINING else f"{key} {name[key]}" for key in keys if name[key]]
        for name in names
    ]
    return [" ".join(parts) or network.title for parts, network in zip(words, networks, strict=True)]


def file_names(networks: Sequence[NamedNetwork]) -> list[str]:
    """What files of each are called: the run's id, or the network's short name; numbered where names are the same."""
    words = [re.sub(r"[^\w.=]+", "-", name) for name in short_titles(networks)]
    names = [network.run.run_id if network.run else word for network, word in zip(networks, words, strict=True)]
    return names if len(set(names)) == len(names) else [f"{name}-{number}" for number, name in enumerate(names, 1)]
