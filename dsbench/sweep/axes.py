"""The axes of a sweep, from its command line and its file: Hydra's syntax, seeds, and globs over subfolders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from dsbench.config.overrides import combinations, globbing, key, lists_values, value
from dsbench.config.schema import MOST_SEEDS, SWEEPS_OWN
from dsbench.errors import InputError

AUTO = "seeds=auto"  # seeds are trained until that decides
_SEEDS = ("seed", "seeds")
_SWEEPER = "hydra/sweeper"
_TRIED = "tune.axes."


def jobs(
    arguments: Sequence[str], params: Sequence[str], loader: Any, most_seeds: int | None = None
) -> list[list[str]]:
    """The overrides of each run that `arguments`, on top of a named sweep's `params`, ask for, in order.

    seeds=auto asks for `most_seeds` of them. Raises InputError for an axis given twice and for axes that name no run.
    """
    return combined(given(arguments, params, loader, most_seeds))


def check_several(arguments: Sequence[str], params: Sequence[str]) -> None:
    """Raise InputError where a sweep of all combinations is asked for one run alone, by no list and no named sweep."""
    if not params and AUTO not in arguments and not any(map(lists_values, spelled_out(arguments))):
        raise InputError(
            "a sweep needs several values to try: model=cnn,dwsep width=8,16, seeds=5, or a named one, sweep=NAME; "
            "a single run is dsbench train"
        )


def until_decided(arguments: Sequence[str], params: Sequence[str]) -> bool:
    """Whether a command line, on top of a named sweep's `params`, leaves the number of seeds to what they decide."""
    seeds = [override for override in (*params, *arguments) if key(override) in _SEEDS]
    return seeds[-1:] == [AUTO]


def combined(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of what `overrides` list. Raises InputError where that is none."""
    out = combinations(overrides)
    if not out:
        raise InputError("these overrides name nothing: a range or list in them is empty")
    return out


def given(arguments: Sequence[str], params: Sequence[str], loader: Any, most_seeds: int | None = None) -> list[str]:
    """The overrides of `arguments` on top of a named sweep's `params`, in Hydra's own syntax.

    An axis of the arguments replaces that of the named sweep. `glob` sees the options in subfolders of a group, as
    Hydra's does not; `loader` is Hydra's config loader, which knows them. Raises InputError for an axis given twice,
    for a list of values of what is the sweep's own, and for seeds=auto where nothing says how many are the most.
    """
    _refuse_twice(arguments)
    overrides = [*spelled_out(params), *spelled_out(arguments)]
    seeds = [override for override in overrides if key(override) in _SEEDS]
    others = [override for override in overrides if override not in seeds]
    _refuse_lists(others)
    if "together" in map(key, others):
        raise InputError("together is set by a sweep itself; fuse=N says how many seeds train as one program")
    if seeds[-1:] == [AUTO]:
        if most_seeds is None:
            raise _no_auto("a search")
        seeds = [f"seed=range(0,{most_seeds})"]
    return [_globbed(override, loader) for override in [*others, *seeds[-1:]]]


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """A command line with `seeds=N` as Hydra has it, for whatever sweeper: `seed=range(0,N)`. Raises InputError.

    seeds=auto, which is for dsbench's own sweeper alone, stays.
    """
    if set(_SEEDS) <= set(map(key, arguments)):
        short = "seeds=auto chooses them" if AUTO in arguments else "seeds=8 is short for seed=range(0,8)"
        raise InputError(f"seed and seeds are both given; {short}")
    sweepers = [argument for argument in arguments if key(argument) == _SWEEPER and argument != f"{_SWEEPER}=dsbench"]
    if AUTO in arguments and sweepers:
        raise _no_auto(sweepers[0])
    return [_added(_seeds(argument)) for argument in arguments]


def _no_auto(what: str) -> InputError:
    return InputError(f"{AUTO} is for sweeps of all combinations; {what} takes a number, seeds=3")


def _refuse_twice(arguments: Sequence[str]) -> None:
    for name, count in Counter(map(key, arguments)).items():
        if count > 1:
            raise InputError(f"{name} is given {count} times; list its values once, {name}=a,b")


def _refuse_lists(overrides: Sequence[str]) -> None:
    for override in overrides:
        if key(override).split(".")[0] in SWEEPS_OWN and len(combinations([override])) != 1:
            hint = "; a list is [a,b]" if key(override).startswith(_TRIED) else ""
            typed = override.removeprefix("++") if key(override).startswith(_TRIED) else override  # see _added
            raise InputError(f"{typed}: {key(override)} is the sweep's own and has one value{hint}")


def _seeds(override: str) -> str:
    if key(override) != "seeds" or override == AUTO:
        return override
    count = value(override)
    if not re.fullmatch(r"[1-9][0-9]*", count):
        raise InputError(f"{override} is not a positive number of seeds, nor auto")
    if len(count) > len(str(MOST_SEEDS)) or int(count) > MOST_SEEDS:
        raise InputError(f"{override} is more than {MOST_SEEDS:,} seeds")
    return f"seed=range(0,{count})"


def _added(override: str) -> str:
    """tune.axes has keys of the user's own, which Hydra takes as additions alone."""
    return f"++{override}" if override.startswith(_TRIED) else override


def _globbed(override: str, loader: Any) -> str:
    """`group=glob(...)` as the list of options that it matches, those in subfolders included."""
    parsed = globbing(override)
    if parsed is None:
        return override
    axis, group, include, exclude = parsed
    options = _options(loader, group)
    if not options:
        raise InputError(f"{override}: {group} is no group of options; glob chooses among those")
    chosen = [option for option in options if _matches(option, include) and not _matches(option, exclude)]
    if not chosen:
        raise InputError(f"{override} matches none of {', '.join(options)}")
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
