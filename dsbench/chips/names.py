"""The chips that are there, by the names of their files in conf/chip and in a folder of the user's own."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from dsbench.chips.chip import Chip
from dsbench.chips.litert import Litert
from dsbench.chips.onnxruntime import OnnxRuntime
from dsbench.chips.openvino import OpenVino
from dsbench.chips.tflm import Tflm
from dsbench.chips.vela import Vela
from dsbench.config.schema import conf_dir
from dsbench.errors import InputError, choose, first_line, unknown

RUNTIMES: dict[str, type[Chip]] = {kind.runtime: kind for kind in (Litert, OnnxRuntime, OpenVino, Tflm, Vela)}


def chips(names: Sequence[str], config_dir: str | None = None) -> list[Chip]:
    """The chips of these names, each once; of two files with one name, dsbench's own wins.

    Raises InputError for a name without a file, a file that describes no chip, and an extra that is not installed.
    """
    return [named(name, f"chip/{name}", config_dir) for name in dict.fromkeys(names)]


def named(name: str, asked: str, config_dir: str | None = None) -> Chip:
    """The chip of this name, `asked` for by these words; raises what `chips` does."""
    files = _files(config_dir)
    if name not in files:
        raise unknown("chip", name, sorted(files))
    chip = _read(name, files[name])
    missing = chip.missing()
    if missing is not None:
        raise InputError(f"{asked}: {missing}")
    return chip


def _files(config_dir: str | None) -> dict[str, Path]:
    if config_dir is not None and not Path(config_dir).is_dir():
        raise InputError(f"config-dir: {config_dir} is not a folder")
    further = _searched() if config_dir is None else [Path(config_dir)]
    folders = [conf_dir(), *further]
    return {path.stem: path for folder in reversed(folders) for path in (folder / "chip").glob("*.yaml")}


def _searched() -> list[Path]:
    """The folders of YAML files that Hydra searches, where a job of it runs."""
    from hydra.core.global_hydra import GlobalHydra

    running = GlobalHydra.instance()
    sources = running.config_loader().get_sources() if running.is_initialized() else []
    return [Path(source.path) for source in sources if source.scheme() == "file"]


def _read(name: str, path: Path) -> Chip:
    """The chip in a file. Raises InputError for keys and values that its runtime does not know."""
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"chip/{name}: {path} cannot be read: {first_line(error)}") from None
    if not isinstance(given, dict) or "runtime" not in given:
        raise InputError(f"chip/{name}: {path} names no runtime; give one of {', '.join(RUNTIMES)}")
    kind = RUNTIMES[choose(f"chip/{name}: runtime", given.pop("runtime"), RUNTIMES)]
    keys = {f.name: f for f in fields(kind) if f.name != "name"}
    for key in given:
        choose(f"chip/{name}: key", key, keys)
    for key, field in keys.items():
        if key not in given and field.default is MISSING:
            raise InputError(f"chip/{name}: {key} has no value")
    hints = get_type_hints(kind)
    chip = kind(name=name, **{key: _typed(f"chip/{name}: {key}", value, hints[key]) for key, value in given.items()})
    chip.check()
    return chip


def _typed(what: str, value: Any, hint: Any) -> Any:
    """A value of the type that a field has: a text, a whole number, a list of texts, or None where it may be."""
    if get_origin(hint) is tuple:
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            return tuple(dict.fromkeys(texts))
        raise InputError(f"{what} {value!r} is not a list of names")
    kinds = get_args(hint) if get_origin(hint) in (types.UnionType,) else (hint,)
    if type(value) in kinds:
        return value
    due = " or ".join({int: "a whole number", str: "a text", types.NoneType: "null"}[kind] for kind in kinds)
    raise InputError(f"{what} {value!r} is not {due}")
