"""Many configurations from one composition: Hydra composes about a dozen a second, a sweep has thousands."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from omegaconf import DictConfig


class Composer:
    """Composes as `compose(overrides)` does, calling it once for each combination of choices that decide what is read.

    Overrides of values are applied by Hydra's own function to a copy of the composition without them. Those of groups,
    and whatever else changes the list of files (additions, deletions, packages), go through `compose`.
    """

    def __init__(self, compose: Callable[[list[str]], DictConfig], loader: Any) -> None:
        """`loader` is Hydra's config loader, which knows what is a group."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        self._compose, self._loader, self._parser = compose, loader, OverridesParser.create()
        self._groups: dict[str, bool] = {}
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """What Hydra composes for `overrides`, the `hydra` node included. Raises what Hydra raises."""
        from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname

        parsed = self._parser.parse_overrides(list(overrides))
        values = [one for one in parsed if self._is_value(one)]
        others = tuple(str(one.input_line) for one in parsed if one not in values)
        if others not in self._bases:
            self._bases[others] = self._compose(list(others))
        config = copy.deepcopy(self._bases[others])
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        given = [one for one in parsed if not one.is_hydra_override()]
        config.hydra.overrides.task = [one.input_line for one in given]
        how = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            given, kv_sep=how.kv_sep, item_sep=how.item_sep, exclude_keys=how.exclude_keys
        )
        return config

    def _is_value(self, override: object) -> bool:
        """Whether an override sets the value of a key that is there, and nothing else."""
        from hydra.core.override_parser.types import Override, OverrideType

        assert isinstance(override, Override)
        plain = override.type == OverrideType.CHANGE and override.package is None
        return plain and not override.is_hydra_override() and not self._is_group(override.key_or_group)

    def _is_group(self, key: str) -> bool:
        from hydra.core.object_type import ObjectType

        if key not in self._groups:
            found = [self._loader.get_group_options(key, kind) for kind in (ObjectType.CONFIG, ObjectType.GROUP)]
            self._groups[key] = any(found)
        return self._groups[key]
