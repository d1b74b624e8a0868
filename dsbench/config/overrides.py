"""Overrides: what they set, and the comma lists in them as a Hydra multirun reads them."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.config.messages import one_line
from dsbench.errors import InputError


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
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        return [list(one) for one in BasicSweeper.split_arguments(parsed, None)[0]]
    except HydraException as error:
        raise InputError(one_line(error)) from error
