"""Odd and wrong commands, YAML files, arrays and records: each from a random number generator, so that a case has a
number by which it comes again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

WORDS = (
    *("", "''", '""', "null", "None", "true", "nan", ".nan", "inf", "-inf", "0", "-1", "1", "2", "3", "-0.0", "1e400"),
    *("99999999999999999999999", "-99999999999999999999999", "9223372036854775808", "1e300", "1e-300", "0x10", "1_000"),
    *("[]", "[1,2]", "[[1]]", "[null]", "[,]", "{}", "{a:1}", "{a:{b:[]}}", "[", "{", "]", "}", "(", "1,2", "a,b", ","),
    *("${width}", "${nope}", "${", "${oc.env:DSBENCH_NOT_SET}", "${oc.env:HOME}", "${now:%Y}", "${seed}${seed}"),
    *("é", "日本", "\u202e", "\U0001f600", "a b", " ", "a=b", "=", "#c", "@x", "*", "/", "..", "../x", "~", "\\", "'"),
    *(
        "range(1,3)",
        "range(0,0)",
        "range(1,1e12)",
        "range(1,5,0)",
        "choice()",
        "choice(1,2)",
        "glob(*)",
        "interval(0,1)",
    ),
    *("cnn", "mnist", "adam", "best", "stage_2", "1.5", ".5", "5.", "1e3", "yes", "2026-01-01", "!!int 3", "%s", "\t"),
    *(
        "interval(0,1)",
        "\udcff",
        "x" * 3000,
        "9" * 400,
        "0" * 50,
        "[" * 200,
        "extend_list(1)",
        "int(3)",
        "float(nan)",
        "str(1)",
    ),
)
GROUPS = ("model", "arch", "block", "optimizer", "schedule", "logger", "experiment", "sweep", "hydra/sweeper")


def keys() -> list[str]:
    """Every key of the configuration and of a sweep."""
    from dsbench.config import messages, schema

    return [*messages._keys(schema.Config), *schema.SWEEPS_OWN, "verdict.margin", "verdict.speed_margin"]


UNTOUCHED = ("data.root", "outputs", "hydra.run.dir", "device")  # where files come to lie


def override(random: Random, known: Sequence[str]) -> str:
    """An override, mostly of a key that there is."""
    key = random.choice(known) if random.random() < 0.8 else random.choice(GROUPS)
    if key in UNTOUCHED:
        key = "width"
    how = random.random()
    if how < 0.08:
        key = typo(random, key)
    elif how < 0.12:
        key += f".{random.choice(WORDS)[:20]}"
    elif how < 0.14:
        key = random.choice(WORDS)[:40]
    word = random.choice(WORDS)
    form = random.random()
    if form < 0.80:
        return f"{key}={word}"
    forms = (f"+{key}={word}", f"++{key}={word}", f"~{key}", f"~{key}={word}", key, f"{key}@{word}={word}", f"--{key}")
    return random.choice(forms)


def typo(random: Random, text: str) -> str:
    """`text` with a character more, less or changed."""
    place = random.randrange(len(text) + 1)
    return text[:place] + random.choice(("", "x", "é", ".", " ")) + text[place + random.randrange(2) :]


def overrides(random: Random, known: Sequence[str]) -> list[str]:
    """A few of them."""
    return [override(random, known) for _ in range(random.choice((1, 1, 1, 2, 2, 3)))]


FLAGS: dict[str, tuple[str, ...]] = {
    "results": ("--where", "--sort", "--runs", "--csv", "--json", "--outputs", "WORD", "--parquet"),
    "verdict": ("--compare", "--details", "--margin", "--json", "WORD", "--outputs"),
    "clean": ("--keep", "--where", "--status", "--outputs", "WORD"),
    "claims": ("WORD", "--outputs", "--json", "--csv"),
    "figures": ("WORD", "--format", "--outputs"),
    "report": ("WORD", "--margin", "--outputs"),
    "cost": ("--layers", "--json", "--csv", "--precision", "--config-dir", "--plot"),
    "bench": ("--repeats", "--seconds", "--large", "--csv", "--json", "--plot", "WORD", "--onnx", "--only-chips"),
    "data": ("list", "describe", "get", "WORD", "--root"),
    "sync": ("WORD", "--outputs"),
}
TAKING = frozenset(
    {"--where", "--sort", "--outputs", "--parquet", "--compare", "--margin", "--keep", "--status", "--format"}
    | {"--precision", "--config-dir", "--plot", "--repeats", "--seconds", "--large", "--root"}
)
CONDITIONS = ("model=cnn", "width<8", "test_acc>=nan", "seed=99999999999999999999999", "model<dwsep", "foo=1", "=", "a")


def flags(random: Random, command: str) -> list[str]:
    """Arguments of one of dsbench's commands."""
    out: list[str] = []
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        flag = random.choice(FLAGS[command])
        if flag == "WORD":
            out.append(random.choice(("made", random.choice(WORDS))))
        elif flag in TAKING:
            value = random.choice(CONDITIONS) if flag == "--where" else random.choice(WORDS)
            out += [flag, value] if random.random() < 0.9 else [f"{flag}={value}"]
        else:
            out.append(flag)
    return out


def broken_yaml(random: Random, text: str) -> str:
    """A YAML file of ours with one to three things about it changed."""
    for _ in range(random.choice((1, 1, 2, 3))):
        lines = text.split("\n")
        place = random.randrange(len(lines))
        lines[place : place + 1] = _changed(random, lines[place])
        text = "\n".join(lines)
    return text[: random.randrange(len(text))] if text and random.random() < 0.05 else text


def _changed(random: Random, line: str) -> list[str]:
    """A line away, twice, elsewhere, cut, or with another key or value."""
    key, colon, value = line.partition(":")
    word = random.choice(WORDS)
    changes = (
        [],
        [line, line],
        [f"  {line}"],
        [line.lstrip()],
        [f"{key}{colon} {word}"],
        [f"{key}{colon} {word}"],
        [f"{typo(random, key)}{colon}{value}"],
        [line.replace(" ", "\t", 1)],
        [line, f"{random.choice(WORDS)}: {word}"],
        [line, f"- {word}"],
        [line[: len(line) // 2]],
    )
    return random.choice(changes)


def odd_arrays(random: Random) -> dict[str, np.ndarray]:
    """Arrays of a set of images of which mostly one is odd."""
    draws = np.random.default_rng(random.randrange(2**32))
    classes, size = random.choice((2, 3, 10)), random.choice((20, 30, 60))
    side, channels = random.choice((4, 8, 28)), random.choice((None, 1, 3, 4))
    arrays: dict[str, Any] = {}
    for part, count in (("train", size), ("test", size // 2)):
        shape = (count, side, side) if channels is None else (count, side, side, channels)
        arrays[f"x_{part}"] = draws.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"y_{part}"] = np.arange(count) % classes
    name = random.choice(list(arrays))
    array = arrays[name]
    odd: tuple[Callable[[], Any], ...] = (
        lambda: array[:0],
        lambda: array[:-1],
        lambda: array.astype(np.float32) * np.nan,
        lambda: array.astype(np.int64) - 1,
        lambda: array.astype(str),
        lambda: np.array([{"a": 1}, None], dtype=object),
        lambda: array.astype(np.complex64),
        lambda: np.array(3),
        lambda: array[None],
        lambda: array.reshape(-1),
        lambda: array * 0,
        lambda: array.astype(np.uint64) + 2**40,
        lambda: array.astype(bool),
        lambda: array.astype("datetime64[s]"),
        lambda: np.full((0,), 7),
        lambda: np.zeros((5, 0, 3), np.uint8),
        lambda: np.moveaxis(array, 0, -1),
    )
    arrays[name] = array if random.random() < 0.3 else random.choice(odd)()
    if random.random() < 0.1:
        del arrays[name]
    return arrays


ODD_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        3,
        10**23,
        -(10**23),
        2**63,
        0.5,
        -0.5,
        float("nan"),
        float("inf"),
        1e308,
        "",
        "a",
        "é",
    ),
    *(
        "é",
        "99999999999999999999999",
        "nan",
        [],
        [1],
        [[]],
        ["a", None],
        {},
        {"a": 1},
        {"median": "x"},
        {"a": {"b": []}},
    ),
    *("2026-13-45T99:00:00", "done", "running", "x" * 500, [10**23], [[1, 2], [3]], "\u202e", "\n", "--"),
)


def places(plain: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a nest of objects and lists."""
    items = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    out = [path] if path else []
    for key, value in items:
        out += places(value, (*path, key))
    return out


def damaged_json(random: Random, text: str) -> bytes:
    """JSON of ours with one or two values changed, or its text cut, or other bytes in it."""
    how = random.random()
    if how < 0.1:
        return text[: random.randrange(len(text))].encode()
    if how < 0.15:
        content = bytearray(text.encode())
        content[random.randrange(len(content))] = random.randrange(256)
        return bytes(content)
    plain = json.loads(text)
    for _ in range(random.choice((1, 1, 2))):
        every = places(plain)
        if not every:
            break
        *outer, last = random.choice(every)
        place = plain
        for key in outer:
            place = place[key]
        action = random.random()
        if action < 0.2:
            del place[last]
        elif action < 0.3 and isinstance(place, dict):
            place[f"{last}x"] = place.pop(last)
        else:
            place[last] = random.choice(ODD_VALUES)
    return json.dumps(plain, indent=2).encode()


def damaged_text(random: Random, text: str) -> bytes:
    """Any other file of ours: cut, a byte changed, a line away or twice, a field odd."""
    how = random.random()
    if not text or how < 0.15:
        return text[: random.randrange(len(text) + 1)].encode()
    if how < 0.3:
        content = bytearray(text.encode())
        content[random.randrange(len(content))] = random.randrange(256)
        return bytes(content)
    lines = text.split("\n")
    place = random.randrange(len(lines))
    if how < 0.4:
        del lines[place]
    elif how < 0.5:
        lines.insert(place, lines[place])
    else:
        mark = random.choice([mark for mark in (",", ": ", " ", "") if mark in lines[place]])
        fields = lines[place].split(mark) if mark else [lines[place]]
        fields[random.randrange(len(fields))] = random.choice([word for word in WORDS if word.isprintable()])
        lines[place] = mark.join(fields)
    return "\n".join(lines).encode(errors="replace")


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, with the content of files."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}
