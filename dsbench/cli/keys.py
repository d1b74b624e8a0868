"""`train.py --help` and `sweep.py --help`: every group and key that an override can set, with its value and meaning."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from dsbench.config.overrides import CommandLine, lists_values, value
from dsbench.config.overrides import key as key_of
from dsbench.config.reference import EXPLAINED, SHARED, Key, described, keys_with_meaning
from dsbench.config.schema import conf_dir

_WIDEST_NAME = 32  # columns; the meaning of a longer one stands in the next line
_WIDEST = 120
_ABOUT = {
    "train": "Train one network and record what it costs and how good it is.",
    "sweep": "Train many networks, every combination of the values listed, and say which are lighter, faster and "
    "better. What is done is not trained again.",
    "plan": "Show what a sweep of these overrides would train, what it costs and how long it takes, and train nothing.",
}
_EXAMPLES = {
    "train": ("model=dwsep data=cifar10", "experiment=mnist_7800/cnn seed=3", "width=8 train.max_epochs=5"),
    "sweep": ("model=cnn,dwsep width=8,16 seeds=5", "sweep=mnist_7800 plan=true", "model=cnn,dwsep seeds=auto"),
    "plan": ("model=cnn,dwsep width=8,16 seeds=5", "sweep=mnist_7800", "model=cnn,dwsep seeds=auto"),
}
_FLAGS = (
    ("--config-dir DIR", "a further folder of YAML files, laid out as conf/ is"),
    ("GROUP=CHOICE --help", "the keys and values of that choice: optimizer=adam --help"),
    ("--cfg job", "print the configuration as YAML instead of running it"),
    ("--hydra-help", "every flag of Hydra's"),
)


def print_keys(name: str, line: CommandLine) -> None:
    """Print the help of `train` or `sweep`; where `line` has overrides, with the choices and values that they make.

    Lists of values make none. Raises InputError for overrides that make no configuration.
    """
    width = min(shutil.get_terminal_size((80, 0)).columns, _WIDEST)
    asked = "plan" if sys.argv[0].endswith(" plan") else name
    program = f"python {sys.argv[0]}" if sys.argv[0].endswith(".py") else sys.argv[0]
    folders = [conf_dir(), *([Path(line.values["config_dir"])] if line.values["config_dir"] else [])]
    own = [conf_dir() / f"{file}.yaml" for file in (["sweep", "launch", "train"] if name == "sweep" else ["train"])]
    groups = [group for file in own for group in described(file).groups]
    choices: dict[str, str] = {group.name: group.value for group in groups}
    keys = [key for file in own for key in keys_with_meaning(conf_dir(), file)]
    overrides = [override for override in line.overrides if not lists_values(override)]
    if overrides:
        from dsbench.config.compose import compose

        composed = compose(overrides, line.values["config_dir"], name)
        choices |= {
            group: choice for group, choice in composed.choices.items() if group in choices and choice != "None"
        }
    keys += [key for group, choice in choices.items() for key in _of_choice(group, choice, folders)]
    mappings = {key.name.rpartition(".")[0] for key in keys}
    if overrides:
        typed = {key_of(override): value(override) for override in overrides}
        keys = [
            replace(key, value=_value(composed.config, key.name, typed.get(key.name, key.value))) if key.value else key
            for key in keys
        ]
    print(f"Usage: {program} [GROUP=CHOICE ...] [KEY=VALUE ...]\n")
    print(textwrap.fill(_ABOUT[asked], width, initial_indent="  ", subsequent_indent="  "))
    _print("Examples", [(f"{program} {example}", "") for example in _EXAMPLES[asked]], width)
    chosen = [(f"{group.name}={choices[group.name]}", _meaning(group, folders)) for group in groups]
    _print("Groups, with their choice", chosen, width)
    tops = {name.partition(".")[0] for name in mappings}
    rows = [
        (
            key.name.partition(".")[0],
            key.name if key.name in mappings else f"{key.name}={key.value or '[...]'}",
            key.comment,
        )
        for key in keys
        if key.name not in mappings or key.comment
    ]
    for number, (_, section) in enumerate(groupby(rows, lambda row: row[0] if row[0] in tops else "")):
        _print("" if number else "Keys, with their value", [row[1:] for row in section], width)
    _print("Options", _FLAGS, width)


def _of_choice(group: str, choice: str, folders: Sequence[Path]) -> list[Key]:
    """The keys of the chosen file of a group, and of the files that explain it; none of a collection of values."""
    if group in ("experiment", "sweep"):
        return []
    files = [folder / group / f"{choice}.yaml" for folder in folders]
    explaining = [conf_dir() / SHARED[group]] if group in SHARED else []
    explaining += [conf_dir() / group / EXPLAINED[group]] if group in EXPLAINED else []
    found = [*explaining, *(file for file in files if file.is_file())]
    keys = {key.name: key for file in found for key in keys_with_meaning(conf_dir(), file)}
    prefix = group.replace("/", ".")
    return [replace(key, name=f"{prefix}.{key.name}") for key in keys.values()]


def _meaning(group: Key, folders: Sequence[Path]) -> str:
    """The comment on a group, with its choices where that does not name them all."""
    tops = [folder / group.name for folder in folders]
    options = sorted({str(path.relative_to(top).with_suffix("")) for top in tops for path in top.rglob("*.yaml")})
    if all(re.search(rf"\b{re.escape(option)}\b", group.comment) for option in options):
        return group.comment
    return f"{group.comment.partition(':')[0]}: {', '.join(options)}"


def _value(config: Any, name: str, otherwise: str) -> str:
    """The value of a key as YAML writes it in one line; `otherwise` where a run has no such key."""
    try:
        found = reduce(getattr, name.split("."), config)
    except AttributeError:
        return otherwise
    return yaml.safe_dump(found, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def _print(heading: str, rows: Sequence[tuple[str, str]], width: int) -> None:
    """Print what each row names and, beside it or below, what that means."""
    print(f"\n{heading}:" if heading else "")
    fitting = [len(name) for name, _ in rows if len(name) <= _WIDEST_NAME]
    column = max(fitting, default=0) + 4
    for name, meaning in rows:
        name = textwrap.shorten(name, width - 2, placeholder=" ...]")
        first, *rest = textwrap.wrap(meaning, width - column) or [""]
        if len(name) > column - 4 and first:
            print(f"  {name}")
            rest, name, first = [first, *rest], "", ""
        if name:
            print(f"  {name:<{column - 2}}{first}".rstrip())
        for further in rest:
            print(" " * column + further)
