"""Many configurations from one composition: Hydra composes about a dozen a second, a sweep has thousands."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from dsbench.config.hydra_internals import apply_overrides, branches, override_dirname

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


class Composer:
    """Composes as `compose(overrides)` does, calling it once for each combination of choices that decide what is read.

    Overrides of values are applied by Hydra's own function to the composition without them, and taken back. Those of
    groups, and whatever else changes the list of files (additions, deletions, packages), go through `compose`.
    """

    def __init__(self, compose: Callable[[list[str]], DictConfig], loader: Any) -> None:
        """`loader` is Hydra's config loader, which knows what is a group."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        self._compose, self._loader, self._parser = compose, loader, OverridesParser.create()
        self._groups: dict[str, bool] = {}
        self._parsed: dict[str, Override] = {}
        self._bases: dict[tuple[str, ...], tuple[DictConfig, dict[str, Any]]] = {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """What Hydra composes for `overrides`, the `hydra` node included. Raises what Hydra raises."""
        with self.composed(overrides) as (composed, _):
            config = copy.deepcopy(composed)
        given = [override for override in map(self._parse, overrides) if not override.is_hydra_override()]
        config.hydra.overrides.task = [override.input_line for override in given]
        config.hydra.job.override_dirname = override_dirname(given, config)
        return config

    @contextmanager
    def composed(self, overrides: Sequence[str]) -> Iterator[tuple[DictConfig, dict[str, Any]]]:
        """As a call, to be read until the context ends and not kept: without a copy, a tenth of the time.

        Its `hydra` node does not tell of the overrides of values. With it, by name, the plain form of the branches that
        stand by themselves and that no override of a value touches; these are shared.
        """
        parsed = [self._parse(override) for override in overrides]
        values = [override for override in parsed if self._is_value(override)]
        others = tuple(str(override.input_line) for override in parsed if override not in values)
        if others not in self._bases:
            composed = self._compose(list(others))
            self._bases[others] = composed, _plain(composed)
        base, plain = self._bases[others]
        nodes = branches(base)
        touched = {override.key_or_group.split(".")[0] for override in values}
        before = {name: copy.deepcopy(nodes[name]) for name in touched if name in nodes}
        try:
            apply_overrides(values, base)
            yield base, {name: value for name, value in plain.items() if name not in touched}
        finally:
            nodes.update(before)

    def _parse(self, override: str) -> Override:
        if override not in self._parsed:
            (self._parsed[override],) = self._parser.parse_overrides([override])
        return self._parsed[override]

    def _is_value(self, override: Override) -> bool:
        """Whether an override sets the value of a key that is there, and nothing else."""
        from hydra.core.override_parser.types import OverrideType

        plain = override.type == OverrideType.CHANGE and override.package is None
        return plain and not override.is_hydra_override() and not self._is_group(override.key_or_group)

    def _is_group(self, key: str) -> bool:
        from hydra.core.object_type import ObjectType

        if key not in self._groups:
            kinds = (ObjectType.CONFIG, ObjectType.GROUP)
            self._groups[key] = any(self._loader.get_group_options(key, kind) for kind in kinds)
        return self._groups[key]


def _plain(config: DictConfig) -> dict[str, Any]:
    """By name, the plain form of the branches that refer to nothing outside themselves and lack nothing."""
    return {
        str(name): OmegaConf.to_object(value)
        for name, value in config.items_ex(resolve=False)
        if name != "hydra"
        and OmegaConf.is_config(value)
        and not any(mark in OmegaConf.to_yaml(value) for mark in ("${", "???"))
    }
