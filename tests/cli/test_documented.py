"""What README and docs/ tell the reader to type exists: commands, their options, groups, choices and keys."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from typer.main import get_command

from dsbench.cli.app import app
from dsbench.config import schema
from dsbench.config.schema import conf_dir, options

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINE = re.compile(r"^ {4}(?:\w+=\S+ )*(python (?:train|sweep)\.py|dsbench) ((?:.*\\\n)*.*)", re.MULTILINE)
IMPORTED = ["pets", "digits"]  # which `dsbench data import` has brought in
OWN = {"arch": "lenet", "block": "bsconv", "data": "digits", "sweep": "digits"}  # the reader's, where --config-dir is
HYDRAS = ("hydra/launcher", "hydra/sweeper")


def documented() -> list[tuple[str, list[str]]]:
    """Each program and its arguments, as they stand in a block of code; `...` stands for the rest of a line."""
    matches = [match for page in PAGES for match in LINE.findall(page.read_text(encoding="utf-8"))]
    lines = {(program, re.sub(r"\s+# .*|\.\.\.|\\\n| > .*", " ", rest).strip()) for program, rest in matches}
    return [(program, shlex.split(line)) for program, line in sorted(lines)]


LINES = documented()
CHOICES = dict(re.findall(r"^\| `(\S+)=` \| (`.*) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))


@cache
def keys() -> set[str]:
    """Every key of a sweep, and so of a run, and of the launchers and searches."""
    schema.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        out = set(_keys(OmegaConf.to_container(compose("sweep"))))
    for group in HYDRAS:
        for path in (conf_dir() / group).glob("*.yaml"):
            out |= {f"{group.replace('/', '.')}.{key}" for key in yaml.safe_load(path.read_text())}
    return out


def _keys(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")


def command_of(words: list[str]) -> Any:
    """Typer's command that `words` call."""
    command = get_command(app)
    for word in words[: 2 if words[0] == "data" else 1]:
        command = command.commands[word]  # type: ignore[attr-defined]
    return command


@pytest.mark.parametrize(("program", "words"), LINES, ids=[" ".join((program, *rest)) for program, rest in LINES])
def test_what_is_documented_can_be_typed(program: str, words: list[str]) -> None:
    flags = {word for word in words if word.startswith("-")}
    if program == "dsbench":
        allowed = {text for option in command_of(words).params for text in (*option.opts, *option.secondary_opts)}
    else:
        allowed = {"-m", "--config-dir"}
    assert flags <= allowed
    for override in words:
        key, equals, value = override.partition("=")
        if not equals or key.startswith("-"):
            continue
        choices = options(key)
        if not choices:
            assert key.removeprefix("tune.axes.") in keys(), override  # below it are the keys that are tried
        elif "(" not in value:
            own = [OWN[key]] if "--config-dir" in flags and key in OWN else IMPORTED if key == "data" else []
            assert set(value.split(",")) <= {*choices, *own}, override


@pytest.mark.parametrize("group", CHOICES)
def test_the_table_of_choices_lists_what_a_group_has(group: str) -> None:
    listed = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", CHOICES[group]))
    assert set(listed) == {*options(group), *(["dsbench"] if group in HYDRAS else [])}  # the plugin's, without a file


def test_the_patterns_in_the_table_of_choices_are_patterns(named: Callable[[str], Any]) -> None:
    (examples,) = re.findall(r"\([^)]*`model.pattern=[^)]*\)", CHOICES["model"])
    patterns = [text.removeprefix("model.pattern=") for text in re.findall(r"`([^`]+)`", examples)]
    assert len(patterns) > 1
    for pattern in patterns:
        slots = named(f"model=hybrid model.pattern={pattern}").slots
        assert {slot.kind for slot in slots} == {"plain", "separable"}, pattern


def test_every_command_is_documented() -> None:
    called = {words[0] for program, words in LINES if program == "dsbench"}
    assert called | {"train", "sweep"} == set(get_command(app).commands)  # type: ignore[attr-defined]
