"""The private names of Hydra and OmegaConf that dsbench uses: where an upgrade moves one, only this module changes.

What each has to do is tested in tests/config/test_hydra_internals.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, Node

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from hydra.core.utils import JobReturn


def combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """Every combination of the values that `overrides` list. Raises HydraException for a sweep that lists none."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    return [list(combination) for combination in BasicSweeper.split_arguments(list(overrides), None)[0]]


def apply_overrides(overrides: Sequence[Override], config: DictConfig) -> None:
    """Set the values that `overrides` name, in place. Raises what composing with them raises."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), config)


def override_dirname(overrides: Sequence[Override], config: DictConfig) -> str:
    """What hydra.job.override_dirname is for `overrides`, by the settings that `config` has for it."""
    from hydra._internal.config_loader_impl import get_overrides_dirname

    how = config.hydra.job.config.override_dirname
    return get_overrides_dirname(
        list(overrides), kv_sep=how.kv_sep, item_sep=how.item_sep, exclude_keys=how.exclude_keys
    )


def command_line(arguments: Sequence[str]) -> tuple[list[str], dict[str, Any], list[str]]:
    """The flags of Hydra's on a command line as `--flag=value`, the values of all, and what is neither flag nor value.

    Flags may stand anywhere; of what is no flag those that begin with `-` are unknown flags. Raises ValueError where a
    flag lacks its value, or has one too many.
    """
    from argparse import ArgumentError

    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.exit_on_error, parser.allow_abbrev = False, False
    known = [action for action in parser._actions if action.option_strings and action.dest != "version"]
    for action in [action for action in parser._actions if action not in known]:  # --version is dsbench's own
        parser._actions.remove(action)  # and `overrides` argparse would want in one place
        for option in action.option_strings:
            del parser._option_string_actions[option]
    try:
        values, others = parser.parse_known_args(list(arguments))
    except ArgumentError as error:
        raise ValueError(str(error)) from None
    flags = []
    for action in known:
        value = getattr(values, action.dest)
        if value not in (None, False):
            flags.append(f"{action.option_strings[0]}={value}" if isinstance(value, str) else action.option_strings[-1])
    return flags, vars(values), others


def config_loader(conf: str, further: str | None) -> Any:
    """Hydra's config loader of the folder `conf`, and of a `further` one after it, outside a Hydra application."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path

    path = create_config_search_path(conf)
    if further is not None:
        path.append("command-line", f"file://{further}")
    return ConfigLoaderImpl(path)


@contextmanager
def without_application() -> Iterator[None]:
    """Within, no Hydra application runs; that of whoever calls, if any, is as it was afterwards, its version too."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.singleton import Singleton
    from hydra.core.utils import JobRuntime
    from hydra.version import VersionBase

    of_an_application: tuple[type, ...] = (GlobalHydra, HydraConfig, JobRuntime, VersionBase)
    own = {kind: instance for kind, instance in Singleton._instances.items() if kind in of_an_application}
    for kind in own:
        del Singleton._instances[kind]
    try:
        yield
    finally:
        for kind in of_an_application:
            Singleton._instances.pop(kind, None)
        Singleton._instances.update(own)


def sweeper(conf: str, config_name: str, overrides: Sequence[str], task: Callable[[Any], Any]) -> tuple[Any, list[str]]:
    """The sweeper that `hydra --multirun` would have, and the overrides that it would be given.

    A Hydra application of the folder `conf` runs from here on (see without_application). Raises what composing raises.
    """
    from hydra import version
    from hydra._internal.callbacks import Callbacks
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.plugins import Plugins
    from hydra.types import HydraContext, RunMode

    version.setbase("1.3")
    hydra = Hydra.create_main_hydra2("sweep", create_config_search_path(conf))
    config = hydra.compose_config(config_name, list(overrides), RunMode.MULTIRUN, with_log_configuration=False)
    context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config))
    chosen = Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=task)
    return chosen, [str(override) for override in config.hydra.overrides.task]


def group_options(group: str) -> dict[str, list[str]]:
    """The choices of `group` and of the groups in it, by the names of these; a group without choices is left out.

    Inside a Hydra application; Hydra's public way copies its repository for each question.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.object_type import ObjectType

    repository = GlobalHydra.instance().config_loader().repository  # type: ignore[attr-defined]
    options = sorted(repository.get_group_options(group, ObjectType.CONFIG))
    out = {group: options} if options else {}
    for name in sorted(repository.get_group_options(group, ObjectType.GROUP)):
        out |= group_options(f"{group}/{name}")
    return out


def as_yaml(plain: Mapping[str, Any]) -> str:
    """What OmegaConf.to_yaml writes of a dictionary of plain data, without making a configuration of it first."""
    import yaml
    from omegaconf._utils import get_omega_conf_dumper

    dumper = get_omega_conf_dumper()
    return str(yaml.dump(plain, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=dumper))


def returned_value(job: JobReturn) -> Any:
    """What a job has returned or, where it has failed, its exception; the public way raises that, and prints to it."""
    return job._return_value


def node(config: DictConfig, key: str) -> Any:
    """The node of `key` as OmegaConf holds it, unresolved; None where there is none or its value is missing (???)."""
    value = config._get_node(key, validate_access=False)
    return value if isinstance(value, Node) and not value._is_missing() else None


def structure(value: Node) -> type | None:
    """The dataclass whose keys `value` has; None for a value, a list and a mapping of any keys."""
    kind = value._metadata.object_type if isinstance(value, DictConfig) else None
    return kind if isinstance(kind, type) and is_dataclass(kind) else None


def branches(config: DictConfig) -> dict[Any, Any]:
    """The nodes of `config` by name, as OmegaConf holds them: what is put there is put into `config`."""
    content = config._content
    assert isinstance(content, dict)
    return content
