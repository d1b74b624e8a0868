"""Checking a mapping of options against the fields of a dataclass, with errors for the person who typed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from dsbench.errors import InputError

T = TypeVar("T")


def build(path: str, cls: type[T], given: Mapping[str, Any]) -> T:
    """`cls(**given)`; InputError, naming `path` and the option, where a key or a type is wrong or one is missing."""
    accepted = _types(cls)  # type: ignore[arg-type]
    prefix = f"{path}: " if path else ""
    for key, value in given.items():
        if key not in accepted:
            raise InputError(f"{prefix}unknown option {key!r}; choose from {', '.join(accepted) or 'none'}")
        if not _fits(value, accepted[key]):
            names = " or ".join(t.__name__ for t in accepted[key] if t is not type(None))
            raise InputError(f"{prefix}{key} {value!r} is not of type {names}")
    for f in fields(cls):  # type: ignore[arg-type]
        if f.default is MISSING and f.default_factory is MISSING and f.name not in given:
            raise InputError(f"{prefix}{f.name} is missing")
    numbers = {key: float(value) if _is_float(value, accepted[key]) else value for key, value in given.items()}
    try:
        return cls(**numbers)
    except InputError as error:
        raise InputError(f"{prefix}{error}") from None


@cache
def _types(cls: type) -> dict[str, tuple[type, ...]]:
    """The types that each field of `cls` takes, generics reduced to their origin."""
    hints = get_type_hints(cls)
    out = {}
    own_first = sorted(fields(cls), key=lambda f: bool(f.kw_only))
    for f in own_first:
        hint = hints[f.name]
        members = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        out[f.name] = tuple(get_origin(member) or member for member in members)
    return out


def _is_float(value: Any, types: tuple[type, ...]) -> bool:
    """Whether `value` is a whole number where a float is meant, so that 0 and 0.0 are one network."""
    return type(value) is int and float in types and int not in types


def _fits(value: Any, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in types
    return isinstance(value, types) or (isinstance(value, int) and float in types)
