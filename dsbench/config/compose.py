"""Configurations as Hydra composes them, in their typed form."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dsbench.config import schema
from dsbench.config.hydra_internals import config_loader, node, structure
from dsbench.config.messages import nearest, one_line
from dsbench.config.overrides import check_overrides, quoted, without_trainer
from dsbench.config.schema import conf_dir
from dsbench.errors import InputError


@dataclass(frozen=True)
class Composed:
    """A resolved configuration, the choice of each group, and the overrides that were typed.

    `config_dir` is the further folder of YAML files, where one was given outside a Hydra job.
    """

    config: schema.Config
    choices: dict[str, str]
    overrides: tuple[str, ...] = ()
    config_dir: str | None = None


def compose(overrides: Sequence[str], config_dir: str | None = None, config_name: str = "train") -> Composed:
    """The configuration that `overrides` name. Inside a Hydra job, the job's own search path is used.

    `config_dir` is a further folder of YAML files; of two with one name, dsbench's own wins. Raises InputError.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    schema.register()
    check_overrides(overrides)
    given = without_trainer(overrides)
    if config_dir is not None:
        given.append(searched(config_dir))
    running = GlobalHydra.instance().is_initialized()
    with nullcontext() if running else initialize_config_dir(str(conf_dir()), version_base="1.3"):
        try:
            composed = hydra_compose(config_name, given, return_hydra_config=True)
            return typed(composed, composed.hydra.runtime.choices, overrides, config_dir)
        except InputError:
            raise
        except Exception as error:
            raise InputError(one_line(error)) from error


def loader(config_dir: str | None = None) -> Any:
    """Hydra's config loader outside a Hydra job, which knows the options of groups. Raises InputError."""
    schema.register()
    return config_loader(str(conf_dir()), None if config_dir is None else str(_folder(config_dir)))


def searched(config_dir: str) -> str:
    """The override by which Hydra finds the YAML files of a further folder. Raises InputError where there is none."""
    return f"hydra.searchpath=[{quoted(f'file://{_folder(config_dir)}')}]"


def _folder(config_dir: str) -> Path:
    if not Path(config_dir).is_dir():
        raise InputError(f"config-dir: {config_dir} is not a folder")
    return Path(config_dir).resolve()


_Choice = tuple[str, str | None]
_choices: dict[_Choice, Composed] = {}


def choice(override: str, config_dir: str | None = None) -> Composed:
    """What a single choice (`experiment=NAME`) composes to; composed once, since a sweep asks for it with every run."""
    key = override, config_dir
    if key not in _choices:
        _choices[key] = compose([override], config_dir)
    return _choices[key]


def composed_choices() -> dict[_Choice, Composed]:
    """What `choice` has composed so far, for `keep_choices` in another process."""
    return dict(_choices)


def keep_choices(composed: Mapping[_Choice, Composed]) -> None:
    """Have `choice` return these instead of composing them; their files are taken to be unchanged."""
    _choices.update(composed)


def forget_choices() -> None:
    """Have `choice` compose again: the next command may have other folders of files."""
    _choices.clear()


def typed(
    config: DictConfig,
    choices: Mapping[str, Any],
    overrides: Sequence[str],
    config_dir: str | None = None,
) -> Composed:
    """The typed form of what Hydra composed, without its own `hydra` node and what only sweeps read.

    Raises InputError.
    """
    _check_keys(config, schema.Config, others=("hydra", *schema.SWEEPS_OWN))
    try:
        values = {f.name: _plain(config[f.name]) for f in fields(schema.Config)}
    except OmegaConfBaseException as error:
        raise InputError(one_line(error)) from error
    _check_containers(schema.Config, values)
    names = {str(group): str(choice) for group, choice in choices.items()}
    return Composed(schema.Config(**values), names, tuple(overrides), config_dir)


def typed_value(config: DictConfig, name: str) -> Any:
    """The typed form of one field of Config, by its name. Raises what `typed` raises, or what OmegaConf does."""
    value = node(config, name)
    kind = None if value is None else structure(value)
    if kind is not None:
        _check_keys(value, kind, f"{name}.")
    out = _plain(config[name])
    _check_containers(schema.Config, {name: out})
    return out


def _plain(value: Any) -> Any:
    return OmegaConf.to_object(value) if OmegaConf.is_config(value) else value


def _check_containers(cls: type, values: Mapping[str, Any], prefix: str = "") -> None:
    """Raise InputError where a list or keys are due and a reference (`arch.conv=${width}`) has put something else."""
    for name, due in _containers(cls).items():
        value = values.get(name)
        if value is not None and not isinstance(value, due):
            what = "a list" if due is list else "keys with values"
            raise InputError(f"{prefix}{name}: {value!r} is not {what}")
        if is_dataclass(value):
            _check_containers(type(value), vars(value), f"{prefix}{name}.")


@cache
def _containers(cls: type) -> dict[str, type]:
    """The fields of a dataclass that are lists, mappings or dataclasses, with what each is."""
    out: dict[str, type] = {}
    for name, hint in get_type_hints(cls).items():
        for part in (hint, *get_args(hint)):
            kind = get_origin(part) or part
            if kind in (list, dict) or is_dataclass(kind):
                out.setdefault(name, kind)
    return out


def _check_keys(config: DictConfig, cls: type, prefix: str = "", others: Collection[str] = ()) -> None:
    """Raise InputError for a key in neither `cls` nor `others`, which nothing would read, and for a missing value.

    `+KEY=VALUE` makes the former, `~KEY` the latter.
    """
    names = {f.name for f in fields(cls)}
    for key in map(str, config):
        if key not in names and key not in others:
            raise InputError(f"unknown key {prefix + key!r}{nearest(prefix + key)}")
    for key in sorted(names):
        value = node(config, key)
        if value is None:
            raise InputError(f"{prefix}{key} has no value")
        kind = structure(value)
        if kind is not None:
            _check_keys(value, kind, f"{prefix}{key}.")
