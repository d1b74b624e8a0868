"""What `dsbench --help`, `train.py --help` and `sweep.py --help` print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import pytest
from typer.main import get_command

from dsbench.cli.app import app
from dsbench.config.compose import compose
from dsbench.config.overrides import lists_values
from dsbench.config.reference import described, keys_with_meaning
from dsbench.config.schema import conf_dir, options

Call = Callable[..., Any]
HEADINGS = {"Train", "Costs", "Results", "Data, W&B, disk"}


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def commands(of: Any = None) -> Iterator[Any]:
    """Every command, those of groups too."""
    for command in (of or get_command(app)).commands.values():
        yield command
        if hasattr(command, "commands"):
            yield from commands(command)


def test_dsbench_lists_each_command_once_under_a_heading_with_its_whole_sentence(call: Call) -> None:
    ended = call("dsbench")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == call("dsbench", "--help").out
    assert set(re.findall(r"^(\S.*):$", ended.out, re.MULTILINE)) == HEADINGS | {"Options"}
    assert re.findall(r"^  ([a-z]+) {2,}\S", ended.out, re.MULTILINE) == list(get_command(app).list_commands(None))
    text = re.sub(r"(?<=\w)-\s+", "-", " ".join(ended.out.split()))
    for command in get_command(app).commands.values():  # type: ignore[attr-defined]
        sentence = " ".join(command.help.partition("\n\n")[0].split())
        assert f"{command.name} {sentence}" in text, command.name
    assert "..." not in text.replace("[ARGS]...", "")


def test_a_day_begins_with_training() -> None:
    names = get_command(app).list_commands(None)  # type: ignore[attr-defined]
    assert names[:5] == ["train", "sweep", "plan", "cost", "bench"]


def test_the_help_of_plan_speaks_of_a_plan(call: Call) -> None:
    text = call("dsbench", "plan", "--help").out
    assert "and train nothing." in text.partition("Groups")[0]
    assert "plan=true" not in text.partition("Groups")[0]


def test_the_version_is_that_of_the_package(call: Call) -> None:
    ended = call("dsbench", "--version")
    assert (ended.code, ended.out) == (0, f"dsbench {version('dsbench')}\n")


@pytest.mark.parametrize("command", [*commands()], ids=lambda command: command.name)
def test_each_command_has_an_example_in_one_line_that_can_be_typed(command: Any) -> None:
    example = re.fullmatch(r"Example: (dsbench .{,64})", command.epilog)
    assert example, command.epilog
    words = shlex.split(example[1].partition(" > ")[0])
    typed: Any = get_command(app)
    while len(words) > 1 and hasattr(typed, "commands") and words[1] in typed.commands:
        typed = typed.commands[words.pop(1)]
    assert typed is not None
    allowed = {text for option in typed.params for text in (*option.opts, *option.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= allowed
    for override in words:
        group, equals, values = override.partition("=")
        if equals and options(group) and not lists_values(override):
            assert values in options(group), override


@pytest.mark.parametrize("name", ["train", "sweep"])
def test_help_has_each_key_with_its_value_and_comment_and_nothing_internal(call: Call, name: str) -> None:
    ended = call(name, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert max(map(len, ended.out.splitlines())) <= 80
    text = " ".join(ended.out.split())
    chosen = {"model": "cnn", "block": "mobilenet", "data": "mnist", "optimizer": "sgd", "logger": "wandb"}
    files = [("", conf_dir() / f"{file}.yaml") for file in ("train", *(["sweep"] if name == "sweep" else []))]
    files += [(f"{group}.", conf_dir() / group / f"{choice}.yaml") for group, choice in chosen.items()]
    for prefix, path in files:
        for key in keys_with_meaning(conf_dir(), path):
            if key.value:
                assert f"{prefix}{key.name}={key.value} {' '.join(key.comment.split())}" in text, key.name
    for group in described(conf_dir() / "train.yaml").groups:
        assert f"{group.name}={group.value}" in text
        assert all(option in text for option in options(group.name)), group.name
    for internal in ("hydra.run", "hydra.job", "chdir", "_target_", "study=", ".family=", "output_subdir"):
        assert internal not in text, internal
    assert ("n_jobs=null" in text) == ("sweep=null" in text) == (name == "sweep")
    assert "arch.layers=[...]" in text


def test_help_shows_what_was_typed(call: Call) -> None:
    text = " ".join(call("train", "optimizer=adam", "--help", "width=8", "kernel=5").out.split())
    composed = compose(["optimizer=adam"]).config
    for part in ("optimizer=adam ", "optimizer.betas=[0.9, 0.999]", "width=8 ", "kernel=5 "):
        assert part in text
    assert f"optimizer.lr={composed.optimizer.lr} " in text
    assert "nesterov" not in text
    assert call("sweep", "model=cnn,dwsep", "--help").code == 0
    wrong = call("train", "optimizer=adm", "--help")
    assert (wrong.code, wrong.out) == (2, "")
    assert "unknown optimizer 'adm'" in wrong.err
