"""The line that an error of Hydra or OmegaConf comes down to."""

from __future__ import annotations

import difflib
import re
from dataclasses import fields, is_dataclass

from dsbench.config import schema
from dsbench.config.schema import options
from dsbench.errors import unknown


def one_line(error: BaseException) -> str:
    """The message of `error` in one line, with the choices or the nearest key where these help."""
    text = f"{error}\n{error.__cause__ or ''}"
    for pattern, message in _MESSAGES:
        match = re.search(pattern, text, re.MULTILINE)
        if match:
            return message(match)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ": ".join(dict.fromkeys(lines[:2])) if lines else type(error).__name__


def nearest(key: str) -> str:
    """The end of a message about the unknown `key`: the nearest that there is, or where all are listed."""
    close = difflib.get_close_matches(key, _keys(schema.Config), n=1)
    return f"; did you mean {close[0]!r}?" if close else "; see dsbench train --help"


def _unknown_choice(match: re.Match[str]) -> str:
    group = match[2] or match[1].split("/")[0]
    value = match[1].removeprefix(f"{group}/")
    choices = match[3].split() if match[3] else options(group)
    if group.split("/")[0] == "experiment":  # Hydra lists one folder, but experiments lie in one a study
        group, value, choices = "experiment", match[1].removeprefix("experiment/"), options("experiment")
    return str(unknown(group, value, choices))


def _unknown_key(match: re.Match[str]) -> str:
    return f"unknown key {match[1]!r}{nearest(match[1])}"


def _wrong_value(match: re.Match[str]) -> str:
    return f"{match[2]}: {match[1][0].lower()}{match[1][1:]}"


def _no_list(match: re.Match[str]) -> str:
    return f"{match[1]}={match[2]} is not a list; write {match[1]}=[{match[2]}]"


def _several(match: re.Match[str]) -> str:
    return f"{match[1]} lists several values, and one is asked for"


def _nothing_to_delete(match: re.Match[str]) -> str:
    return f"~{match[1]}: there is no such key, or it is null"


_MESSAGES = (
    (r"Could not delete from config\. '([^']+)' does not exist", _nothing_to_delete),
    (r"Ambiguous value for argument '([^']+)'", _several),
    (r"Could not find '([^']+)'(?:\s+Available options in '([^']+)':((?:\n\t\S+)+))?", _unknown_choice),
    (r"Key '[^']+' (?:is not in struct|not in '[^']+')[\s\S]*?full_key: (\S+)", _unknown_key),
    (r"Could not override '([^']+)'", _unknown_key),
    (r"override [+]*([^=\s]+)=(.+)\n.* is not a ListConfig, list or tuple", _no_list),
    (r"^(Value .*|.* is unsupported|.* is not a .*|Incompatible value .*)$[\s\S]*?full_key: (\S+)", _wrong_value),
)


def _keys(cls: type, prefix: str = "") -> list[str]:
    """Every key of the configuration, those of the chosen optimizer, schedule and logger included."""
    keys = []
    for f in fields(cls):
        keys.append(prefix + f.name)
        for node in (f.default_factory, *schema.TYPES.get(f.name, {}).values()):
            if isinstance(node, type) and is_dataclass(node):
                keys += _keys(node, f"{prefix}{f.name}.")
    return keys
