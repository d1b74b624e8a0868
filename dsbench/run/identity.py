"""What decides a run's result, and what follows from it: the id, the label, the settings that a record names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

from dsbench.budget.request import solved
from dsbench.config.compose import Composed, choice
from dsbench.config.overrides import key
from dsbench.config.schema import Config
from dsbench.network.blocks import SE_PLACES
from dsbench.network.description import Network
from dsbench.run.record import Label
from dsbench.training.place import Place
from dsbench.training.recipe import decay_factors
from dsbench.training.stop import AfterSeconds, End, epochs

# Keys of the configuration that decide nothing about the result, but for rounding; device and threads do under
# stop.by=seconds.
OUTSIDE = (
    "device",
    "threads",
    "fuse",
    "together",
    "outputs",
    "progress",
    "force",
    "rerun",
    "timeout",
    "logger",
    "data.root",
    "data.verify",
    "data.epochs",
    "train.checkpoint_minutes",
    "train.memory_format",
    "train.bench",
    "train.graph",
)
_ARCH = ("divisor", "init", "activation", "norm_eps", "norm_momentum")


def identity(
    config: Config,
    network: Network,
    data_sha256: str,
    precision: str,
    length: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """All that decides the result of a run, and nothing else, as plain data.

    Names (model, architecture, study), device, threads, paths, loggers and progress are outside. `precision` is the
    resolved one, `length` what training_length says, which stop.by=epochs can do without.
    """
    train = config.train
    if length is None:
        assert config.stop.by == "epochs"
        length = {"max_epochs": epochs(config)}
    stopping = asdict(train.early_stopping) if train.early_stopping.monitor is not None else None
    return {
        "network": network.identity(),
        "data": {
            "sha256": data_sha256,
            "split": config.data.split,
            "scale": config.data.scale,
            "filter": config.data.filter,
            "augment": asdict(config.data.augment),
        },
        "recipe": {
            "optimizer": _effective(asdict(config.optimizer), decay_factors(network, config.optimizer)),
            "schedule": asdict(config.schedule),
            **length,
            "batch_size": train.batch_size,
            "label_smoothing": train.label_smoothing,
            "grad_clip_norm": train.grad_clip_norm,
            "test_weights": test_weights(config),
            "early_stopping": stopping,
        },
        "seed": config.seed,
        "precision": precision,
    }


def training_length(end: End, place: Place) -> dict[str, Any]:
    """What of the length of training decides the result: epochs, optimizer steps, or seconds on a machine.

    How many steps there are in a second is up to the device, by name, and its CPU threads.
    """
    if isinstance(end, AfterSeconds):
        return {"train_seconds": end.target, "device": place.name, "threads": place.threads}
    whole, rest = divmod(end.steps, end.epoch_steps)
    return {"steps": end.steps} if rest else {"max_epochs": whole}


def _effective(optimizer: dict[str, Any], decay: dict[int, float]) -> dict[str, Any]:
    """Without what no weight decay makes idle; with the factors on the `decay` of depthwise kernels, if there are any.

    These are listed by the kernel, since the identity of a network does not tell its slots.
    """
    own = {k: v for k, v in optimizer.items() if k != "decay_depthwise"}
    own = {k: v for k, v in own.items() if k != "decay_norm_and_bias" or optimizer["weight_decay"]}
    return own | ({"decay_depthwise": [list(pair) for pair in decay.items()]} if decay else {})


def _switches(block: dict[str, Any]) -> dict[str, Any]:
    """Those of the block; without the place that squeeze-and-excitation had before there was a choice."""
    return {k: v for k, v in block.items() if (k, v) != ("se_place", SE_PLACES[0])}


def run_id(identity: dict[str, Any]) -> str:
    """Twelve hexadecimal digits that stand for `identity`."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def cell_id(identity: dict[str, Any]) -> str:
    """As run_id, the seed aside: runs with one cell_id differ only in their seed."""
    return run_id({key: value for key, value in identity.items() if key != "seed"})


def test_weights(config: Config) -> str:
    """Which weights are tested: those configured, or the best on validation unless that would choose on test."""
    return config.train.test_weights or ("last" if config.data.split == "study" else "best")


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
        "block": _switches(vars(config.block)) if separable else {},
        "slots": vars(config.slots),
    }
    train = {key: recipe[key] for key in ("batch_size", "label_smoothing", "grad_clip_norm", "early_stopping")}
    images = {key: data[key] for key in ("scale", "filter", "augment")}
    optimizer = dict(recipe["optimizer"])
    if "decay_depthwise" in optimizer:
        optimizer["decay_depthwise"] = config.optimizer.decay_depthwise  # which stands for the factors
    groups = {"optimizer": optimizer, "schedule": recipe["schedule"], "train": train, "data": images}
    return dict(_leaves(network | groups))


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value


def label(composed: Composed, own: dict[str, Any], identity_of: Callable[[Composed], dict[str, Any]]) -> Label:
    """The label of a run: modified where `own`, its identity, is not that of the experiment alone, the seed aside.

    `composed` is what was asked for, `identity_of` gives the identity of the experiment, its budget solved. The keys
    named are those overridden; where none of these made the difference (a changed environment, say), those of the
    configuration that differ.
    """
    experiment = composed.choices.get("experiment")
    if experiment in (None, "None", "null"):
        return Label()
    pristine = choice(f"experiment={experiment}", composed.config_dir)
    pristine = replace(pristine, config=replace(pristine.config, seed=composed.config.seed))
    if identity_of(solved(pristine)[0]) == own:
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
