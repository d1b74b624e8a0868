"""Checks of the configuration's values, declared beside their types."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import Any

from dsbench.errors import InputError, choose

MISSING: Any = "???"  # OmegaConf's word for a value that the YAML files must give
MOST = 10**9  # of a whole number: it and a few thousand times it can be stored and shown by whatever reads a record


def choice_of(*choices: str | bool | None, default: Any = MISSING) -> Any:
    """A key whose value is one of `choices`."""
    return field(default=default, metadata={"choices": choices})


def meeting(holds: Callable[[Any], bool], otherwise: str, default: Any = MISSING, most: float = math.inf) -> Any:
    """A key whose value meets `holds` or is null; `otherwise` is what an error says of a value that does neither.

    A number is `most` at the most.
    """
    return field(default=default, metadata={"holds": holds, "otherwise": otherwise, "most": most})


def count(what: str = "integer", default: Any = MISSING, most: int = MOST) -> Any:
    """A key whose value is a whole number from 1 to `most`; an error calls it `what`."""
    return meeting(lambda x: x >= 1, f"{{}} is not a positive {what}", default, most)


def each_up_to(most: int) -> Any:
    """A key whose value is a list of whole numbers, none of them above `most`; what else they are, others check."""
    return meeting(lambda numbers: all(abs(x) <= most for x in numbers), f"{{}} are not numbers up to {most:,}")


def positive(otherwise: str = "{} is not a positive number", default: Any = MISSING) -> Any:
    """A key whose value is a finite number above 0."""
    return meeting(lambda x: 0 < x < math.inf, otherwise, default)


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
        elif "holds" in check and value is not None:
            if not check["holds"](value):
                raise InputError(f"{prefix}{name} {check['otherwise'].format(value)}")
            if check["most"] < math.inf and value > check["most"]:
                raise InputError(f"{prefix}{name} {value} is more than {check['most']:,}")
        elif isinstance(value, Checked):
            value.check(f"{prefix}{name}.")


class Checked:
    """A part of the configuration, whose fields have checks; a subclass adds those of several fields together."""

    def check(self, prefix: str = "") -> None:
        """Raise InputError for the first value that makes no sense; its key is named with `prefix` before it."""
        check_values(type(self), vars(self), prefix)
