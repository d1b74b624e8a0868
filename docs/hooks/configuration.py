"""The reference of conf/: every group, option, key, default and comment, from the YAML files themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from markdown_text import code, plain, table
from yaml_comments import Described, Key, described

PRESETS = ("arch", "experiment", "study", "sweep")  # files of values whose meaning stands elsewhere: shown as they are
PLUMBING = ("hydra", "name", "family", "_target_", "backend", "cluster")  # what names the option, and what no user sets
SHARED = {"block": "separable.yaml", "data": "images.yaml"}  # what each file of a group begins with
ADDED = {"sweep": "none", "hydra/launcher": "dsbench", "hydra/sweeper": "dsbench"}  # defaults beside train.yaml's


def configuration_pages(conf: Path) -> dict[str, str]:
    """An overview, and a page a group."""
    groups = sorted({path.parent.relative_to(conf).as_posix() for path in conf.rglob("*.yaml")} - {"."})
    tops = sorted({name if name.startswith("hydra/") else name.split("/")[0] for name in groups})
    pages = {"index.md": _overview(conf, tops)}
    return pages | {f"{_file(name)}.md": _group(conf, name) for name in tops}


def keys_with_meaning(conf: Path, path: Path) -> tuple[Key, ...]:
    """The keys of a file that are no plumbing, a missing comment taken from what the files of its group begin with."""
    group = path.parent.relative_to(conf).as_posix()
    shared = described(conf / SHARED[group]).keys if group in SHARED else ()
    meant = {key.name: key.comment for key in shared}
    kept = [key for key in described(path).keys if key.name.split(".")[0] not in PLUMBING]
    return tuple(Key(key.name, key.value, key.comment or meant.get(key.name, "")) for key in kept)


def _overview(conf: Path, groups: list[str]) -> str:
    defaults = _defaults(conf) | ADDED
    rows = [
        [f"[`{name}=`]({_file(name)}.md)", code(defaults.get(name, "")), ", ".join(map(code, _options(conf, name)))]
        for name in groups
    ]
    parts = [
        "# Configuration",
        "Every value of every key stands in the YAML files of `conf/`, from which these pages are made. A group is "
        "chosen with `GROUP=CHOICE`, a key set with `KEY=VALUE`, both in [Hydra's "
        "syntax](https://hydra.cc/docs/advanced/override_grammar/basic/). `python train.py --help` prints them too, "
        "and `--config-dir DIR` adds a folder of your own.",
        "## Groups",
        table(["group", "default", "choices"], rows),
        "## Keys of a run",
        _keys(keys_with_meaning(conf, conf / "train.yaml")),
        "## Keys of a sweep",
        "Those of a run, and:",
        _keys(keys_with_meaning(conf, conf / "sweep.yaml")),
    ]
    return "\n\n".join(parts) + "\n"


def _group(conf: Path, group: str) -> str:
    parts = [f"# {group}"]
    if group in SHARED:
        shared = described(conf / SHARED[group])
        parts += [plain(shared.head), _keys(shared.keys)]
    for name in _options(conf, group):
        path = conf / group / f"{name}.yaml"
        option = described(path)
        parts += [f"## {group}={name}", plain(option.head)]
        parts.append(_verbatim(option) if group in PRESETS else _keys(keys_with_meaning(conf, path)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _keys(keys: tuple[Key, ...]) -> str:
    rows = [[code(key.name), code(key.value), plain(key.comment)] for key in keys]
    return table(["key", "default", "meaning"], rows) if rows else ""


def _verbatim(option: Described) -> str:
    return f"```yaml\n{option.text}```" if option.text.strip() else ""


def _options(conf: Path, group: str) -> list[str]:
    folder = conf / group
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def _defaults(conf: Path) -> dict[str, str]:
    """The choice of each group in train.yaml's defaults list."""
    listed: list[Any] = yaml.safe_load((conf / "train.yaml").read_text(encoding="utf-8"))["defaults"]
    pairs = {group: choice for one in listed if isinstance(one, dict) for group, choice in one.items()}
    return {group: choice or "none" for group, choice in pairs.items() if " " not in group}


def _file(group: str) -> str:
    return group.replace("/", "-")
