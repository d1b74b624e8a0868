"""What README and docs/ show is so: the files in examples/, what commands on them do, screens, and Python's calls."""

from __future__ import annotations

import ast
import inspect
import json
import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsbench import api
from dsbench.run.trained import load

Call = Callable[..., Any]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OWN = (ROOT / "docs" / "how-to" / "your-own.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## By files of YAML\n(.*?)^## ", OWN, re.DOTALL | re.MULTILINE)[1]
BLOCKS = re.findall(r"^```(?:yaml|python)\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
FILES = {re.match(r"# ([\w/]+\.\w+): ", block)[1]: block for block in BLOCKS[:3]}  # the last is written by a command
COMMANDS = [line.strip() for line in SECTION.splitlines() if re.match(r" {4}(python|dsbench) ", line)]


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where a reader has put down what the documentation shows; the working directory."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DSBENCH_DATA", raising=False)
    return tmp_path


def command(part: str) -> list[str]:
    """The arguments of the one command with `part` in it, what it redirects to aside."""
    (line,) = (line for line in COMMANDS if part in line)
    return shlex.split(line.split(" > ")[0])


def test_the_examples_shown_are_the_files_in_examples() -> None:
    shown = {**FILES, "examples/data/digits.yaml": BLOCKS[3]}
    files = {path for path in (ROOT / "examples").rglob("*.*") if path.suffix != ".ipynb"}
    assert {path.relative_to(ROOT).as_posix() for path in files} == shown.keys()
    for name, text in shown.items():
        assert (ROOT / name).read_text(encoding="utf-8") == text


def test_lenet_as_shown_has_its_classic_parameters_and_a_separable_twin(examples: Path, call: Call) -> None:
    dense = 400 * 120 + 120 + 120 * 84 + 84 + 84 * 10 + 10
    separable = (25 * 1 + 1 * 6 + 6) + (25 * 6 + 6 * 16 + 16)  # of keras, k*k*i + i*o + o
    ended = call(*command("arch=lenet"), "--json")
    assert [network["params"] for network in json.loads(ended.out)] == [61_706, dense + separable]


def test_the_block_shown_has_a_pointwise_then_a_depthwise_convolution(examples: Path, call: Call) -> None:
    slots = [(1, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64)]
    ended = call(*command("block=bsconv"), "--json")
    _, separable = json.loads(ended.out)
    assert separable["params_conv"] == sum(i * o + 9 * o for i, o in slots)
    labels = [layer["label"] for layer in separable["layers"] if layer["slot"] == 2]
    assert labels == ["pointwise 1x1", "depthwise 3x3", "batch norm", "relu"]


def test_the_data_set_shown_is_described_and_trained_on(examples: Path, call: Call) -> None:
    python, script = command("digits.py")
    assert python == "python"
    runpy.run_path(script)
    described = call(*command("data describe")).out
    assert described == BLOCKS[3]
    (examples / "examples" / "data").mkdir()
    (examples / "examples" / "data" / "digits.yaml").write_text(described, encoding="utf-8")
    python, script, *line = command("data=digits")
    assert (python, script) == ("python", "train.py")
    ended = call("train", *line, "logger=csv", "precision=32", "threads=1", "progress=none")
    assert (ended.code, "digits: read from data/digits.npz" in ended.err) == (0, True)
    (folder,) = (examples / "outputs" / "runs").iterdir()
    trained = load(folder)
    assert trained.network.input_shape == (1, 8, 8)
    correct = json.loads((folder / "result.json").read_text())["test_acc"] * 297  # of scikit-learn's last 297 digits
    assert correct == pytest.approx(round(correct), abs=1e-3)
    assert correct > 200


def test_the_screens_of_readme_are_what_their_commands_print(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "160")
    shown = re.findall(r"<!-- printed: dsbench (.*) -->\n((?:.+\n)+)", README)
    assert len(shown) == 2
    for words, text in shown:
        printed = [" ".join(line.split()) for line in call("dsbench", *shlex.split(words)).out.splitlines()]
        if text.startswith("> "):
            assert " ".join(text.replace("> ", "").split()) in " ".join(printed)
        else:
            assert {" ".join(line.split()) for line in text.splitlines()} <= set(printed)


def test_each_call_of_dsbench_that_is_shown_fits_its_signature() -> None:
    calls = [
        (call.func.attr, call)
        for page in PAGES
        for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        for call in ast.walk(ast.parse(block))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if isinstance(call.func.value, ast.Name) and call.func.value.id == "dsbench"
    ]
    assert {name for name, _ in calls} > {"cost", "sweep", "verdict", "results", "load"}
    for name, call in calls:
        named = {keyword.arg: None for keyword in call.keywords if keyword.arg}
        inspect.signature(getattr(api, name)).bind(*call.args, **named)


def test_every_command_on_the_examples_is_tried() -> None:
    tried = [command(part) for part in ("arch=lenet", "block=bsconv", "digits.py", "data describe", "data=digits")]
    assert [shlex.split(line.split(" > ")[0]) for line in COMMANDS] == tried
