"""What `train.py --help` and `sweep.py --help` print."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from dsbench.config.compose import compose
from dsbench.config.schema import conf_dir

NOT_CHOSEN = {"hydra", "study"}  # folders of files that are no choice: Hydra's own, and what experiments share


@pytest.mark.parametrize(("name", "of_sweeps"), [("train", set()), ("sweep", {"sweep"})])
def test_help_lists_the_groups_that_one_can_choose_from_and_no_other(
    call: Callable[..., Any], name: str, of_sweeps: set[str]
) -> None:
    groups = dict(re.findall(r"^(\w[\w/]*): (\w+(?:, \w+)*)$", call(name, "--help").out.split("\n\n")[2], re.MULTILINE))
    folders = {path.name for path in conf_dir().iterdir() if path.is_dir()}
    assert {group.split("/")[0] for group in groups} == folders - NOT_CHOSEN - {"sweep"} | of_sweeps
    chosen = {}
    for group, choices in groups.items():
        top, _, folder = group.partition("/")
        chosen[top] = f"{folder}/{choices.split(', ')[0]}".lstrip("/")
    overrides = [f"{group}={choice}" for group, choice in chosen.items()]
    assert compose(overrides, config_name=name).choices.items() >= chosen.items()


def test_help_names_every_key(call: Callable[..., Any]) -> None:
    text = call("train", "--help").out
    for part in ("mnist_7800", "max_epochs", "width=8 train.max_epochs=5", "mode: offline"):
        assert part in text
