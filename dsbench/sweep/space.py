"""The space that a search is over: Hydra's syntax for sweeps, as Optuna's distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsbench.config.messages import one_line
from dsbench.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Space = dict[str, "BaseDistribution"]


def space(overrides: Sequence[str]) -> tuple[Space, list[str]]:
    """What each key of `overrides` is drawn from, and the overrides that all have in common; the last of a key counts.

    `a,b` is a choice, `range(4,64)` has the values that Hydra gives it, `interval(0.1,1)` is of real numbers,
    `int(interval(4,64))` of whole ones, `tag(log,interval(0.1,1))` even on a logarithmic scale. Raises InputError for
    what is none of these.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = {one.get_key_element(): one for one in OverridesParser.create().parse_overrides(list(overrides))}
        drawn = {key: _distribution(one) for key, one in parsed.items() if one.is_sweep_override()}
    except (HydraException, ValueError) as error:
        raise InputError(one_line(error)) from error
    return drawn, [str(one.input_line) for one in parsed.values() if not one.is_sweep_override()]


def _distribution(override: object) -> BaseDistribution:
    from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    assert isinstance(override, Override)
    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        log = "log" in value.tags
        if isinstance(value.start, int) and isinstance(value.end, int):
            return IntDistribution(value.start, value.end, log=log)
        return FloatDistribution(value.start, value.end, log=log)
    texts = list(override.sweep_string_iterator())
    if isinstance(value, RangeSweep) and not value.shuffle and all(text.lstrip("-").isdigit() for text in texts):
        numbers = sorted(map(int, texts))
        return IntDistribution(numbers[0], numbers[-1], step=numbers[1] - numbers[0] if len(numbers) > 1 else 1)
    return CategoricalDistribution(texts)
