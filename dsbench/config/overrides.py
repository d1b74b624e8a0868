"""Command lines and the overrides on them: what they set, and the lists of values in them, as Hydra reads both."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from dsbench.config import hydra_internals
from dsbench.config.messages import one_line
from dsbench.config.schema import conf_dir
from dsbench.errors import InputError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

MOST_RUNS = 100_000  # of a sweep


@dataclass(frozen=True)
class CommandLine:
    """What train.py and sweep.py were asked: Hydra's flags, as `--flag=value`, their `values`, and overrides."""

    flags: list[str]
    overrides: list[str]
    values: dict[str, Any]

    @property
    def trains(self) -> bool:
        """Whether Hydra is asked for runs, not only to print something."""
        return not any(self.values[name] for name in ("cfg", "info", "hydra_help", "shell_completion"))


def command_line(arguments: Sequence[str]) -> CommandLine:
    """`arguments` as Hydra reads them, wherever its flags stand. Raises InputError for what is no flag of Hydra's."""
    try:
        flags, values, overrides = hydra_internals.command_line(arguments)
    except ValueError as error:
        raise InputError(str(error)) from None
    for argument in overrides:
        if argument.startswith("-"):
            raise InputError(f"unknown option {argument!r}; see dsbench train --hydra-help")
        if not key(argument):
            raise InputError(f"{argument} sets no key; overrides are KEY=VALUE")
    return CommandLine(flags, overrides, values)


class Glob(NamedTuple):
    """`axis=glob(...)`: options of a group by patterns. `axis` is the key as typed, `+` and package included."""

    axis: str
    group: str
    include: list[str]
    exclude: list[str]


def key(override: str) -> str:
    """The key that an override sets."""
    return override.partition("=")[0].lstrip("+~")


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
    _check_ranges(parsed)
    try:
        return hydra_internals.combinations(parsed)
    except HydraException as error:
        raise InputError(one_line(error)) from error


def lists_values(override: str) -> bool:
    """Whether `override` lists values, each for a run of its own: `width=8,16`. Raises InputError as Hydra does."""
    return _parsed([override])[0].is_sweep_override()


def value(override: str) -> str:
    """The value that an override sets, as typed; empty of one that deletes its key."""
    return override.partition("=")[2]


def _check_ranges(overrides: Sequence[Override]) -> None:
    """Raise InputError for a range without end, and for more values than any sweep has runs: none is made before."""
    from hydra.core.override_parser.types import RangeSweep

    total = 1.0
    for override in overrides:
        if override.is_sweep_override():
            value = override.value()
            if isinstance(value, RangeSweep):
                ends = [float(end or 0) for end in (value.start, value.stop)]
                if not value.step or not all(map(math.isfinite, (*ends, value.step))):
                    raise InputError(f"{override.input_line}: a range has finite ends, and a step that is not 0")
                total *= max(0.0, (ends[1] - ends[0]) / value.step)
            else:
                total *= len(getattr(value, "list", ())) or 1
    if not total <= MOST_RUNS:
        raise InputError(f"these overrides name more than {MOST_RUNS:,} runs; list fewer values")


def check_overrides(overrides: Sequence[str]) -> None:
    """Raise InputError for what Hydra cannot read, and for a group whose choice is no name (`block=[[1]]`)."""
    from hydra.core.override_parser.types import QuotedString

    for override in _parsed(overrides):
        group, line = override.key_or_group, override.input_line or ""
        if "=[" not in line and "={" not in line:
            continue
        if "/" in group or (conf_dir() / group).is_dir():
            value = override.value()
            names = value if isinstance(value, list) else [value]
            if not all(isinstance(name, (str, QuotedString)) for name in names):
                raise InputError(f"{override.input_line}: {group} takes the name of one of its options")


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

    parser, out = OverridesParser.create(), []
    for override in overrides:
        try:
            out += parser.parse_overrides([override])
        except HydraException as error:
            reason = one_line(error).partition(" expecting ")[0].partition(": See http")[0]
            raise InputError(f"{override}: not in Hydra's syntax: {reason}; quotes help: \"KEY='VALUE'\"") from error
    return out


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
