"""Terminals and pipes that cannot write every character, and locales that are not UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "docs" / "results" / "cifar10_plain_8" / "runs.csv"
COMMANDS = """
import os, sys
from dsbench.cli import hydra

for words in (["results", RUNS], ["report"], ["train", "--help"], ["cost", "data=mnist5k", "logger.group='\\u2603'"],
              ["cost", "width\\u00fc=3"], ["plan", "data=mnist5k", "model=cnn,dwsep", "--outputs=OUT/\\u00fc"]):
    child = os.fork()
    if child == 0:
        sys.argv = ["dsbench", *(word.replace("OUT", OUT) for word in words)]
        hydra.dsbench()
    print(words[0], os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def ran(code: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, env=plain | environment, timeout=300)


@pytest.mark.thorough
def test_no_command_ends_for_a_character_that_cannot_be_written(tmp_path: Path, data_root: Path) -> None:
    head = f"RUNS, OUT = {str(RUNS)!r}, {str(tmp_path)!r}\n"
    ended = ran(head + COMMANDS, PYTHONIOENCODING="ascii", DSBENCH_DATA=str(data_root))
    out, err = ended.stdout.decode("ascii"), ended.stderr.decode("ascii")
    assert ended.returncode == 0
    assert "Traceback" not in err
    codes = [line.split() for line in out.splitlines() if line.split()[1:] in (["0"], ["2"])]
    assert codes == [["results", "0"], ["report", "2"], ["train", "0"], ["cost", "0"], ["cost", "2"], ["plan", "0"]]
    assert "74.37 +- 0.28 %" in out
    assert "width?=3" in err


@pytest.mark.parametrize("environment", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"LC_ALL": "C"}], ids=str)
def test_names_are_utf_8_in_every_locale(tmp_path: Path, environment: dict[str, str]) -> None:
    """What is typed comes whole into a file, and standard output is written in its own encoding."""
    script = tmp_path / "write.py"
    script.write_text(
        "import sys; from pathlib import Path\n"
        "from dsbench.console import replace_unwritable; from dsbench.files import write_atomically\n"
        "from dsbench.process import read_names_as_utf8\n"
        "read_names_as_utf8(); replace_unwritable()\n"
        "write_atomically(Path(sys.argv[1]), sys.argv[1]); print('\\u00b1 \\u2603')\n",
        encoding="utf-8",
    )
    file = tmp_path / "ü☃"
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    command = [sys.executable, str(script), str(file)]
    ended = subprocess.run(command, capture_output=True, env=plain | environment, cwd=ROOT, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert file.read_bytes() == str(file).encode()
    assert ended.stdout in ("± ☃\n".encode(), b"+- ?\n")
