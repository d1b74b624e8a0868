"""The reference of conf/: every group, option, key, default and comment, from the YAML files themselves."""

from __future__ import annotations

from pathlib import Path

from markdown_text import code, plain, table

from dsbench.config.reference import SHARED, Described, Key, described, keys_with_meaning

PRESETS = ("arch", "experiment", "study", "sweep")  # files of values whose meaning stands elsewhere: shown as they are


def configuration_pages(conf: Path) -> dict[str, str]:
    """An overview, and a page a group."""
    groups = sorted({path.parent.relative_to(conf).as_posix() for path in conf.rglob("*.yaml")} - {"."})
    tops = sorted({name if name.startswith("hydra/") else name.split("/")[0] for name in groups})
    pages = {"index.md": _overview(conf, tops)}
    return pages | {f"{_file(name)}.md": _group(conf, name) for name in tops}


def _overview(conf: Path, groups: list[str]) -> str:
    files = [described(conf / f"{name}.yaml") for name in ("train", "sweep", "launch")]
    defaults = {key.name: key.value.replace("null", "none") for file in files for key in file.groups}
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


def _file(group: str) -> str:
    return group.replace("/", "-")
