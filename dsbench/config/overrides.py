"""Overrides: what they set, and the lists of values in them, as Hydra reads both."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dsbench.config import hydra_internals
from dsbench.config.messages import one_line
from dsbench.errors import InputError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


class Glob(NamedTuple):
    """`axis=glob(...)`: options of a group by patterns. `axis` is the key as typed, `+` and package included."""

    axis: str
    group: str
    include: list[str]
    exclude: list[str]


def key(override: str) -> str:
    """The key that an override sets."""
    return override.split("=")[0].lstrip("+~")


def without_trainer(overrides: Sequence[str]) -> list[str]:
    """`overrides` without trainer=single, which older commands have and which is what every run is.

    Raises InputError for any other trainer.
    """
    for override in overrides:
        if key(override).split(".")[0] == "trainer" and override.lstrip("+") not in _SINGLE:
            raise InputError(
                f"{override}: trainer= is gone, one run trains on one device; leave it out, and spread runs "
                "over devices and machines with sweep.py (hydra/launcher=ray, submitit_slurm)"
            )
    return [override for override in overrides if override.lstrip("+") not in _SINGLE]


_SINGLE = ("trainer=single", "trainer.name=single", "trainer.devices=1")


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of the values that `overrides` list (`model=cnn,dwsep`, `width=range(1,4)`), in order.

    Raises InputError where Hydra cannot read them.
    """
    from hydra.errors import HydraException

    parsed = _parsed(overrides)
    try:
        return hydra_internals.combinations(parsed)
    except HydraException as error:
        raise InputError(one_line(error)) from error


def globbing(override: str) -> Glob | None:
    """The glob in `override`; None where it has another value. Raises InputError where Hydra cannot read it."""
    if "glob" not in override:
        return None
    from hydra.core.override_parser.types import Glob as HydraGlob

    (parsed,) = _parsed([override])
    value = parsed.value()
    if not isinstance(value, HydraGlob):
        return None
    return Glob(parsed.get_key_element(), parsed.key_or_group, _texts(value.include), _texts(value.exclude))


def _parsed(overrides: Sequence[str]) -> list[Override]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise InputError(one_line(error)) from error


def _texts(patterns: Sequence[object]) -> list[str]:
    """Patterns without the quotes that Hydra leaves on those in a list."""
    return [str(getattr(pattern, "text", pattern)) for pattern in patterns]


_PLAIN = re.compile(r"[A-Za-z_][\w./@+-]*")  # texts that Hydra's grammar takes as they are
_WORDS = ("null", "true", "false", "nan", "inf")  # and takes for something else


def spelled(overrides: Sequence[Any], values: Mapping[str, Any]) -> list[str]:
    """`overrides`, then `values` by name as overrides. Raises InputError for an override that is no text."""
    for override in overrides:
        if not isinstance(override, str):
            raise InputError(f"{override!r} is no override; write it as a text, 'width=8', or by name, width=8")
    return [*overrides, *(f"{name}={literal(value)}" for name, value in values.items())]


def literal(value: Any) -> str:
    """A value in Hydra's grammar, taken as it is: a text with commas is one text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{literal(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(literal, value)) + "]"
    text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    plain = not isinstance(value, (str, os.PathLike)) or (_PLAIN.fullmatch(text) and text.lower() not in _WORDS)
    return text if plain else quoted(text)


def quoted(value: object) -> str:
    """`value` as an override can hold it, whatever characters a path has."""
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
