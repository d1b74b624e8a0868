"""Overrides: what they set, and the comma lists in them as a Hydra multirun reads them."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.config import hydra_internals
from dsbench.config.messages import one_line
from dsbench.errors import InputError


def key(override: str) -> str:
    """The key that an override sets."""
    return override.split("=")[0].lstrip("+~")


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of the values that `overrides` list (`model=cnn,dwsep`, `width=range(1,4)`), in order.

    Raises InputError where Hydra cannot read them.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return hydra_internals.combinations(OverridesParser.create().parse_overrides(list(overrides)))
    except HydraException as error:
        raise InputError(one_line(error)) from error
