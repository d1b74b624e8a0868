"""Errors that are told in one line: what is the user's to mend, what is not, and what any other error comes down to."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

T = TypeVar("T")


class InputError(Exception):
    """Something the user typed or provided is wrong: one line that says what, and what would be right.

    The command line prints the line alone and exits with code 2 (see dsbench.cli.hydra).
    """


class FailureError(Exception):
    """Something failed that is not the fault of the input."""


def first_line(error: BaseException) -> str:
    """What `error` says first; what it is where it says nothing."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def unknown(what: str, value: object, choices: Collection[object]) -> InputError:
    """The error of a `value` that is none of `choices`; `what` is its key; null, true and false are as in YAML."""
    words = {"None": "null", "True": "true", "False": "false"}
    names = (words.get(str(choice), str(choice)) for choice in choices)
    return InputError(f"unknown {what} {value!r}; choose one of {', '.join(names)}")


def choose(what: str, value: T, choices: Collection[T]) -> T:
    """`value`, which must be one of `choices`. Raises InputError, with the choices, where it is none of them."""
    if value not in choices:
        raise unknown(what, value, choices)
    return value
