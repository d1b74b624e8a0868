"""Which published study's model a run is, and whether it was changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from dsbench.config.compose import Composed, choice
from dsbench.config.sweep import key
from dsbench.run.identity import OUTSIDE


@dataclass(frozen=True)
class Label:
    """The experiment a run follows (`mnist_7800/cnn`), and the keys in which it departs from it."""

    experiment: str | None = None
    modified: tuple[str, ...] = ()

    @property
    def study(self) -> str | None:
        """The study that the experiment belongs to."""
        return self.experiment.split("/")[0] if self.experiment else None

    def __str__(self) -> str:
        if self.experiment is None:
            return ""
        return f"{self.experiment} (modified: {', '.join(self.modified)})" if self.modified else self.experiment


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
        if not any(_within(leaf, one) for one in OUTSIDE)
    ]
    keys = dict.fromkeys(map(key, composed.overrides))
    named = [one for one in keys if any(_within(leaf, one) for leaf in differing)]
    return Label(experiment, tuple(named or differing))


def _within(leaf: str, key: str) -> bool:
    return leaf == key or leaf.startswith(f"{key}.")


def _differing(one: dict[str, Any], other: dict[str, Any], prefix: str = "") -> list[str]:
    out = []
    for name in one.keys() | other.keys():
        first, second = one.get(name), other.get(name)
        if isinstance(first, dict) and isinstance(second, dict):
            out += _differing(first, second, f"{prefix}{name}.")
        elif first != second:
            out.append(f"{prefix}{name}")
    return sorted(out)
