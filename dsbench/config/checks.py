"""Checks of the configuration's values, declared beside their types."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import Any

from dsbench.errors import InputError, choose

MISSING: Any = "???"  # OmegaConf's word for a value that the YAML files must give


def choice_of(*choices: str | None, default: Any = MISSING) -> Any:
    """A key whose value is one of `choices`."""
    return field(default=default, metadata={"choices": choices})


def meeting(holds: Callable[[Any], bool], otherwise: str, default: Any = MISSING) -> Any:
    """A key whose value meets `holds` or is null; `otherwise` is what an error says of a value that does neither."""
    return field(default=default, metadata={"holds": holds, "otherwise": otherwise})


def count(what: str = "integer", default: Any = MISSING) -> Any:
    """A key whose value is a whole number above 0; an error calls it `what`."""
    return meeting(lambda x: x >= 1, f"{{}} is not a positive {what}", default)


def positive(otherwise: str = "{} is not a positive number") -> Any:
    """A key whose value is a finite number above 0."""
    return meeting(lambda x: 0 < x < math.inf, otherwise)


def share(otherwise: str = "{} is not from 0 up to, not including, 1") -> Any:
    """A key whose value is from 0 up to, not including, 1."""
    return meeting(lambda x: 0 <= x < 1, otherwise)


def factor() -> Any:
    """A key whose value is from 0 to 1."""
    return meeting(lambda x: 0 <= x <= 1, "{} is not between 0 and 1")


def check_values(kind: type, values: Mapping[str, Any], prefix: str = "") -> None:
    """Raise InputError for the first of `values`, fields of `kind` by name, that does not meet its check.

    `prefix` stands before each name in the message: `optimizer.`.
    """
    checks = {f.name: f.metadata for f in fields(kind)}
    for name, value in values.items():
        check = checks[name]
        if "choices" in check:
            choose(prefix + name, value, check["choices"])
        elif "holds" in check and value is not None and not check["holds"](value):
            raise InputError(f"{prefix}{name} {check['otherwise'].format(value)}")
        elif isinstance(value, Checked):
            value.check(f"{prefix}{name}.")


class Checked:
    """A part of the configuration, whose fields have checks; a subclass adds those of several fields together."""

    def check(self, prefix: str = "") -> None:
        """Raise InputError for the first value that makes no sense; its key is named with `prefix` before it."""
        check_values(type(self), vars(self), prefix)
