"""What a search goes by: figures of a run's record, with which direction is better. Never a figure of test images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from dsbench.config.overrides import combinations, globbing, key
from dsbench.config.schema import SWEEPS_OWN
from dsbench.errors import InputError
from dsbench.run.record import Record

DIRECTIONS = {
    "val_acc": "maximize",
    "macs": "minimize",
    "params": "minimize",
    "acts": "minimize",
    "train_seconds": "minimize",
}
RESULTS = ("done", "collapsed")  # a collapsed network has an accuracy, a diverged one has none that means anything


def objectives(asked: Any) -> tuple[str, ...]:
    """The names in `objective`, one or a list of several. Raises InputError for one that is not known."""
    names = (asked,) if isinstance(asked, str) else tuple(asked or ())
    for name in names:
        if name not in DIRECTIONS:
            raise InputError(f"unknown objective {name!r}; choose of {', '.join(DIRECTIONS)}")
    if not names or len(set(names)) < len(names):
        raise InputError(f"objective {list(names)} must list one or more of {', '.join(DIRECTIONS)}, each once")
    return names


def figures(record: Record, names: Sequence[str]) -> list[float] | None:
    """A run's figures for the objectives `names`; None where it has no result, or had test images for validation."""
    chosen_on_test = record.split == "study" and "val_acc" in names
    if record.status not in RESULTS or record.result is None or chosen_on_test:
        return None
    known = {**vars(record.result), **record.costs, "val_acc": record.result.best_val_acc}
    return [float(known[name]) for name in names]


def jobs(arguments: Sequence[str], params: Sequence[str], loader: Any) -> list[list[str]]:
    """The overrides of each run that `arguments`, on top of a named sweep's `params`, ask for, in order.

    Raises InputError for an axis given twice and for axes that name no run.
    """
    return combined(given(arguments, params, loader))


def combined(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of what `overrides` list. Raises InputError where that is none."""
    out = combinations(overrides)
    if not out:
        raise InputError("these overrides name no run: a range or list in them is empty")
    return out


def given(arguments: Sequence[str], params: Sequence[str], loader: Any) -> list[str]:
    """The overrides of `arguments` on top of a named sweep's `params`, in Hydra's own syntax.

    An axis of the arguments replaces that of the named sweep. `glob` sees the options in subfolders of a group, as
    Hydra's does not; `loader` is Hydra's config loader, which knows them. Raises InputError for an axis given twice,
    and for a list of values of what is the sweep's own.
    """
    _refuse_twice(arguments)
    both = [*spelled_out(params), *spelled_out(arguments)]
    seeds = [one for one in both if key(one) == "seed"]
    others = [one for one in both if one not in seeds]
    _refuse_lists(others)
    return [_globbed(one, loader) for one in [*others, *seeds[-1:]]]


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """A command line with `seeds=N` as Hydra has it, for whatever sweeper: `seed=range(0,N)`. Raises InputError."""
    if {"seed", "seeds"} <= set(map(key, arguments)):
        raise InputError("seed and seeds are both given; seeds=8 is short for seed=range(0,8)")
    return [_seeds(one) for one in arguments]


def _refuse_twice(arguments: Sequence[str]) -> None:
    for name, count in Counter(map(key, arguments)).items():
        if count > 1:
            raise InputError(f"{name} is given {count} times; list its values once, {name}=a,b")


def _refuse_lists(overrides: Sequence[str]) -> None:
    for one in overrides:
        if key(one) in SWEEPS_OWN and len(combinations([one])) != 1:
            raise InputError(f"{one}: {key(one)} is the sweep's own and has one value")


def _seeds(override: str) -> str:
    if key(override) != "seeds":
        return override
    count = override.split("=", 1)[1]
    if not re.fullmatch(r"[1-9][0-9]*", count):
        raise InputError(f"{override} is not a positive number of seeds")
    return f"seed=range(0,{count})"


def _globbed(override: str, loader: Any) -> str:
    """`group=glob(...)` as the list of options that it matches, those in subfolders included."""
    parsed = globbing(override)
    if parsed is None:
        return override
    axis, group, include, exclude = parsed
    known = _options(loader, group)
    if not known:
        raise InputError(f"{override}: {group} is no group of options; glob chooses among those")
    chosen = [one for one in known if _matches(one, include) and not _matches(one, exclude)]
    if not chosen:
        raise InputError(f"{override} matches none of {', '.join(known)}")
    return f"{axis}={','.join(chosen)}"


def _matches(option: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern with as many parts as `option`, or the pattern `*`, matches it part by part."""
    return any(
        pattern == "*"
        or (
            pattern.count("/") == option.count("/")
            and all(fnmatchcase(*pair) for pair in zip(option.split("/"), pattern.split("/"), strict=True))
        )
        for pattern in patterns
    )


def _options(loader: Any, group: str, folder: str = "") -> list[str]:
    """Every option of `group`, subfolders included, on all of Hydra's search path."""
    from hydra.core.object_type import ObjectType

    where = f"{group}/{folder}".rstrip("/")
    out = [f"{folder}{name}" for name in loader.get_group_options(where, ObjectType.CONFIG)]
    for name in loader.get_group_options(where, ObjectType.GROUP):
        out += _options(loader, group, f"{folder}{name}/")
    return sorted(out)
