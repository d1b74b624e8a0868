"""The settings of a run that its names do not tell: what tables need to say how two cells differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dsbench.config.schema import Config

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
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value
