"""Hydra's composition of a configuration, and the one line that its errors come down to."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

import dsbench
from dsbench.config import schema
from dsbench.errors import InputError


@dataclass(frozen=True)
class Composed:
    """A resolved configuration, the group choices it was made of, and what asked for it.

    `config_dir` is the further folder of YAML files, where one was given outside a Hydra job.
    """

    config: schema.Config
    choices: dict[str, str]
    overrides: tuple[str, ...] = ()
    config_dir: str | None = None


def conf_dir() -> Path:
    """The folder of YAML files: inside the package where it is installed, beside it in a checkout."""
    package = Path(dsbench.__file__).parent
    return next(path for path in (package / "conf", package.parent / "conf") if path.is_dir())


def compose(overrides: Sequence[str], config_dir: str | None = None, config_name: str = "train") -> Composed:
    """The configuration that `overrides` name. Inside a Hydra job, the job's own search path is used.

    `config_dir` is a further folder of YAML files, which win over dsbench's own. Raises InputError.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    schema.register()
    given = list(overrides)
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise InputError(f"--config-dir {config_dir} is not a folder")
        given.append(f"hydra.searchpath=[file://{Path(config_dir).resolve()}]")
    running = GlobalHydra.instance().is_initialized()
    with nullcontext() if running else initialize_config_dir(str(conf_dir()), version_base="1.3"):
        try:
            composed = hydra_compose(config_name, given, return_hydra_config=True)
            with flag_override(composed, ["struct", "readonly"], False):
                choices = composed.pop("hydra").runtime.choices
            return typed(composed, choices, overrides, config_dir)
        except InputError:
            raise
        except Exception as error:
            raise InputError(one_line(error)) from error


def typed(
    config: DictConfig, choices: Mapping[str, Any], overrides: Sequence[str], config_dir: str | None = None
) -> Composed:
    """The typed form of what Hydra composed, without its own `hydra` node. Raises InputError."""
    try:
        plain = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise InputError(one_line(error)) from error
    assert isinstance(plain, schema.Config)
    named = {str(group): str(choice) for group, choice in choices.items()}
    return Composed(plain, named, tuple(overrides), config_dir)


def one_line(error: BaseException) -> str:
    """What a Hydra or OmegaConf error says, in one line, with the choices or the nearest key where it knows them."""
    cause = error.__cause__
    text = f"{error}\n{cause or ''}"
    choice = re.search(r"Could not find '([^']+)'\s+Available options in '([^']+)':\s+([\s\S]+?)(?:\n\n|\nConfig|$)", text)
    if choice:
        group, options = choice[2], choice[3].split()
        value = choice[1].removeprefix(f"{group}/")
        return f"unknown {group} {value!r}; choose one of {', '.join(options)}"
    key = re.search(r"Key '([^']+)' (?:is not in struct|not in '[^']+')[\s\S]*?full_key: (\S+)", text)
    if key:
        return f"unknown key {key[2]!r}{_nearest(key[2])}"
    group_key = re.search(r"Could not override '([^']+)'", text)
    if group_key:
        return f"unknown key {group_key[1]!r}{_nearest(group_key[1])}"
    value = re.search(r"^(Value .*|.* is unsupported|Incompatible value .*)$[\s\S]*?full_key: (\S+)", text, re.M)
    if value:
        return f"{value[2]}: {value[1][0].lower()}{value[1][1:]}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ": ".join(dict.fromkeys(lines[:2])) if lines else type(error).__name__


def _nearest(key: str) -> str:
    from dataclasses import fields, is_dataclass

    def keys(cls: type, prefix: str = "") -> list[str]:
        out = []
        for f in fields(cls):
            out.append(prefix + f.name)
            factory = f.default_factory
            if isinstance(factory, type) and is_dataclass(factory):
                out += keys(factory, f"{prefix}{f.name}.")
        return out

    close = difflib.get_close_matches(key, keys(schema.Config), n=1)
    return f"; did you mean {close[0]!r}?" if close else "; see python train.py --help"
