"""Many configurations from one composition: Hydra composes about a dozen a second, a sweep has thousands."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from dsbench.config.compose import Composed, typed, typed_value
from dsbench.config.hydra_internals import apply_overrides, branches, override_dirname
from dsbench.config.schema import SWEEPS_OWN, Config

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


class Composer:
    """Composes as `compose(overrides)` does, calling it once for each combination of choices that decide what is read.

    Overrides of values are applied by Hydra's own function to the composition without them, and taken back. Those of
    groups, and whatever else changes the list of files (additions, deletions, packages), go through `compose`. In the
    typed form each branch is made once for the overrides that it depends on.
    """

    def __init__(self, compose: Callable[[list[str]], DictConfig], loader: Any) -> None:
        """`loader` is Hydra's config loader, which knows what is a group."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        self._compose, self._loader, self._parser = compose, loader, OverridesParser.create()
        self._groups: dict[str, bool] = {}
        self._parsed: dict[str, Override] = {}
        self._bases: dict[tuple[str, ...], _Base] = {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """What Hydra composes for `overrides`, the `hydra` node included. Raises what Hydra raises."""
        base, values = self._split(overrides)
        with base.set(values) as composed:
            config = copy.deepcopy(composed)
        given = [override for override in map(self._parse, overrides) if not override.is_hydra_override()]
        config.hydra.overrides.task = [override.input_line for override in given]
        config.hydra.job.override_dirname = override_dirname(given, config)
        return config

    def typed(self, overrides: Sequence[str]) -> Composed:
        """The typed form of the same; configurations share their branches, so nobody may change them.

        Raises InputError and what Hydra raises.
        """
        base, values = self._split(overrides)
        known = {*_FIELDS, *SWEEPS_OWN}
        if all(_branch(value) in known and "$" not in str(value.input_line) for value in values):  # none refers
            with suppress(Exception):  # what is wrong is said of the whole
                return base.typed(values, overrides)
        with base.set(values) as composed:
            return typed(composed, composed.hydra.runtime.choices, overrides)

    def _split(self, overrides: Sequence[str]) -> tuple[_Base, list[Override]]:
        """The composition without the overrides of values, and these."""
        parsed = [self._parse(override) for override in overrides]
        values = [override for override in parsed if self._is_value(override)]
        others = tuple(str(override.input_line) for override in parsed if override not in values)
        if others not in self._bases:
            self._bases[others] = _Base(self._compose(list(others)))
        return self._bases[others], values

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


@dataclass
class _Base:
    """A composition, and the typed forms of its branches by name and by the overrides that these depend on."""

    config: DictConfig
    _typed: dict[tuple[str, tuple[str, ...]], Any] = field(default_factory=dict)
    _names: dict[str, str] | None = None
    _reads: dict[str, set[str] | None] = field(default_factory=dict)

    @contextmanager
    def set(self, values: Sequence[Override]) -> Iterator[DictConfig]:
        """Within, the composition has these `values`; its `hydra` node does not tell of them. Nobody may keep it."""
        nodes = branches(self.config)
        whole = {id(self.config): self.config}  # what deepcopy takes as copied: a node refers to the whole
        before = {name: copy.deepcopy(nodes[name], dict(whole)) for name in {*map(_branch, values)} if name in nodes}
        try:
            apply_overrides(values, self.config)
            yield self.config
        finally:
            nodes.update(before)

    def typed(self, values: Sequence[Override], overrides: Sequence[str]) -> Composed:
        """The typed form with these `values`, none of which refers to another. Raises anything where one is wrong."""
        if self._names is None:
            whole = typed(self.config, self.config.hydra.runtime.choices, ())  # refuses what no value sets right
            self._names, self._reads = whole.choices, _reads(self.config)
        own = [value for value in values if _branch(value) in SWEEPS_OWN]
        if (key := ("", tuple(str(value.input_line) for value in own))) not in self._typed:
            with self.set(own):  # refuses a wrong one; no run has any
                self._typed[key] = None
        out = {}
        for name in _FIELDS:
            reads = self._reads[name]
            deciding = [value for value in values if reads is None or _branch(value) in reads]
            key = name, tuple(str(value.input_line) for value in deciding)
            if key not in self._typed:
                with self.set(deciding) as composed:
                    self._typed[key] = typed_value(composed, name)
            out[name] = self._typed[key]
        return Composed(Config(**out), dict(self._names), tuple(overrides))


_FIELDS = tuple(f.name for f in fields(Config))
_REFERENCE = re.compile(r"\$\{(?:oc\.env:[^${}]*\}|(\w+)[.}])")  # to a branch, or to the environment


def _branch(override: Override) -> str:
    return override.key_or_group.split(".")[0]


def _reads(config: DictConfig) -> dict[str, set[str] | None]:
    """By name, the branches whose values decide those of a branch, itself among them; None stands for all of them.

    Whoever refers to one that refers to another has both.
    """
    out: dict[str, set[str] | None] = {}
    for name in _FIELDS:
        text = OmegaConf.to_yaml(OmegaConf.masked_copy(config, [name]))
        found = _REFERENCE.findall(text)
        out[name] = {name, *filter(None, found)} if text.count("$") == len(found) else None
    for _ in _FIELDS:
        for name, reads in out.items():
            others = [out.get(other) for other in reads or ()]
            out[name] = None if reads is None or None in others else reads.union(*filter(None, others))
    return out
