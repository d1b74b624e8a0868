"""The reference of conf/ has every key that is there, with its default and a meaning."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import yaml
from markdown import markdown

from dsbench.config.reference import described, keys_with_meaning
from dsbench.config.schema import conf_dir

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "hooks"))

from configuration import PRESETS, configuration_pages
from markdown_text import plain, table

CONF = conf_dir()
FILES = sorted(CONF.rglob("*.yaml"))


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        yield prefix + key, value
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")


def test_keys_and_values_are_those_that_yaml_reads() -> None:
    for path in FILES:
        read = dict(leaves({k: v for k, v in (yaml.safe_load(path.read_text()) or {}).items() if k != "defaults"}))
        for key in described(path).keys:
            value = read.pop(key.name)
            if key.value:
                assert yaml.safe_load(key.value) == value, (path, key)
                read = {name: other for name, other in read.items() if not name.startswith(f"{key.name}.")}  # {a: 1}
        assert not read, path


def test_every_key_has_a_meaning() -> None:
    for path in FILES:
        if path.relative_to(CONF).parts[0] not in PRESETS:
            sections = {key.name.rpartition(".")[0] for key in described(path).keys}
            keys = [key for key in keys_with_meaning(CONF, path) if key.name not in sections]
            assert [key.name for key in keys if not key.comment] == [], path


def test_a_comment_goes_on_in_the_lines_below_it() -> None:
    (stop,) = (key for key in described(CONF / "train.yaml").keys if key.name == "stop.by")
    assert (stop.value, stop.comment.split(" (")[0]) == ("epochs", "epochs, train_macs")
    assert stop.comment.endswith("without validation and checkpoints)")


def test_every_option_stands_on_the_page_of_its_group() -> None:
    pages = "\n".join(configuration_pages(CONF).values())
    for path in FILES:
        group = path.parent.relative_to(CONF).as_posix()
        if group == ".":
            continue
        top = group if group.startswith("hydra/") else group.split("/")[0]
        option = path.relative_to(CONF / top).with_suffix("").as_posix()
        assert f"## {top}={option}\n\n{described(path).head[:12]}" in unescape(pages.replace("\\", "")), path


def test_a_comment_is_read_as_it_was_written() -> None:
    text = "a < b > c, x & y, [1,3], *a_b*, c|d, &amp;"
    html = markdown(table(["meaning"], [[plain(text)]]), extensions=["tables"])
    assert f"<td>{text}</td>" in unescape(html)
