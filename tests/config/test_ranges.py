"""Every number of the configuration has a range: what no run can have, and no record can hold, is refused at once."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from dsbench.config import schema
from dsbench.config.checks import check_values
from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.config.overrides import combinations
from dsbench.config.schema import SWEEPS_OWN, TYPES, Config, OwnSetConfig, SweepConfig, VerdictConfig
from dsbench.errors import InputError
from dsbench.network.cost import cost
from dsbench.run.check import check

WILD: dict[type, tuple[Any, ...]] = {
    int: (10**23, -(10**23)),
    float: (math.nan, math.inf, -math.inf, -(10.0**23)),
}


def numbers(kind: type, prefix: str = "") -> Iterator[tuple[str, type, bool]]:
    """The keys of `kind`, and of what it holds, that are numbers: name, type, and whether it is a list of them."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        hint = hints[field.name]
        parts = [part for part in (get_args(hint) or (hint,)) if part is not type(None)]
        listed = get_origin(hint) is list or any(get_origin(part) is list for part in parts)
        parts = [inner for part in parts for inner in (get_args(part) or (part,))]
        for part in parts:
            if is_dataclass(part):
                yield from numbers(part, f"{prefix}{field.name}.")  # type: ignore[arg-type]
            elif part in WILD:
                yield prefix + field.name, part, listed


def refused(config: Config, key: str, value: Any) -> bool:
    """Whether a run's configuration with `value` under `key` is."""
    config = copy.deepcopy(config)
    *outer, last = key.split(".")
    place: Any = config
    for name in outer:
        place = getattr(place, name)
    setattr(place, last, value)
    try:
        check(config)
        config.arch.check("arch.")
    except InputError as error:
        return last in str(error)
    return False


def test_no_number_of_a_run_is_without_a_range() -> None:
    seen = set()
    for choice in ("", *(f"{group}={name}" for group, names in TYPES.items() for name in names)):
        composed = compose(choice.split()).config
        group = choice.partition("=")[0]
        kinds = [(type(getattr(composed, group)), f"{group}.")] if group else [(Config, "")]
        for kind, prefix in kinds:
            for key, number, listed in numbers(kind, prefix):
                if key.startswith("data.own."):
                    continue
                seen.add(key)
                for value in WILD[number]:
                    assert refused(composed, key, [value] if listed else value), f"{key}={value}"
    assert {"width", "seed", "threads", "timeout", "optimizer.lr", "optimizer.betas", "arch.norm_eps"} <= seen
    assert {"schedule.gamma", "budget.params", "data.augment.cutout", "train.early_stopping.patience"} <= seen


def test_no_number_of_a_sweep_or_of_a_set_is_without_a_range() -> None:
    own = [(SweepConfig, key, number, listed) for key, number, listed in numbers(SweepConfig) if key in SWEEPS_OWN]
    further = [(kind, *number) for kind in (VerdictConfig, OwnSetConfig) for number in numbers(kind)]
    assert len(own) == 6
    assert len(further) == 5
    for kind, key, number, listed in own + further:
        for value in WILD[number]:
            if kind is OwnSetConfig and value < 0:
                continue  # own_set says what is too small
            with pytest.raises(InputError, match=key):
                check_values(kind, {key: [value] if listed else value})


IN_PLACES = ("kernel", *(f"slots.{f.name}" for f in fields(schema.SlotsConfig) if f.name in ("stride", "se_ratio")))
IN_BLOCKS = ("block.depth_multiplier", "block.group_size", "block.expansion")


@pytest.mark.parametrize("key", [*IN_PLACES, *IN_BLOCKS])
@pytest.mark.parametrize("value", ["1" + 23 * "0", "-1" + 23 * "0", "nan", "inf", "1e300"])
def test_no_number_of_a_slot_is_without_a_range(key: str, value: str) -> None:
    with pytest.raises(InputError, match=key.split(".")[-1]):
        network_of(compose([f"{key}={value}", "model=dwsep"]))


@pytest.mark.parametrize("layer", ["conv: {width: .inf}", "conv: {channels: 10000000}", "linear: 1000000000000"])
def test_no_number_of_an_architecture_is_without_a_range(layer: str) -> None:
    import yaml

    with pytest.raises(InputError, match="is not a number up to 1,000,000"):
        network_of(compose([f"arch.layers=[{yaml.safe_load(layer)}]".replace("'", "")]))


def test_an_architecture_of_endless_layers_is_named() -> None:
    nested = "{repeat: {times: 1000, layers: [{repeat: {times: 1000, layers: [norm]}}]}}"
    with pytest.raises(InputError, match="these are more than 10,000 layers"):
        network_of(compose([f"arch.layers=[{nested}]"]))
    with pytest.raises(InputError, match="is empty"):
        network_of(compose(["arch.layers=[{repeat: {times: 1000, layers: []}}]"]))


def test_costs_that_no_table_holds_are_named() -> None:
    wide = "{conv: {width: 1000}}"
    network = network_of(compose(["width=1000000", f"arch.layers=[{wide},{wide},global_avg_pool,{{linear: classes}}]"]))
    with pytest.raises(InputError, match="larger than any that can be counted"):
        cost(network)


@pytest.mark.parametrize("values", ["range(0,1000000000000)", "range(1,5,0)", "range(nan,5)", "range(0,1e308,1e-308)"])
def test_more_values_than_a_sweep_has_runs_are_not_listed(values: str) -> None:
    with pytest.raises(InputError):
        combinations([f"width={values}"])
