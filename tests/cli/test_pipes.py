"""Commands whose output nobody reads to its end, as with `| head`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from dsbench.cli.app import app

ROOT = Path(__file__).parents[2]
DSBENCH = str(Path(sys.executable).parent / "dsbench")
CLOSED = 128 + signal.SIGPIPE
# Each in a process of its own, forked from one that has imported what all need.
HELP = """
import os, sys
import dsbench.cli.app
from dsbench.cli import hydra

for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, 1)
        sys.argv = ["dsbench", name, "--help"]
        hydra.dsbench()
    print(name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def closed() -> int:
    """The end to write to of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def test_every_commands_help_ends_silently_in_a_pipe_that_closes() -> None:
    names = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert {"train", "sweep", "cost", "bench", "results", "verdict"} <= set(names)
    ended = subprocess.run([sys.executable, "-c", HELP, *names], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [f"{name} {CLOSED}" for name in names]


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "train.py", "--help"],
        [DSBENCH, "cost", "model=cnn", "data=mnist5k"],
        [DSBENCH, "cost", "model=cnn,dwsep", "data=mnist5k", "--json"],
        [DSBENCH, "data", "list"],
    ],
    ids=lambda command: " ".join(command[1:]),
)
def test_what_is_printed_ends_silently_in_a_pipe_that_closes(command: list[str], closed: int) -> None:
    ended = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=120)
    assert (ended.returncode, ended.stderr) == (CLOSED, "")


def test_a_run_whose_view_nobody_reads_ends_silently_before_it_begins(
    closed: int, overrides: Callable[[str], list[str]], outputs: Path
) -> None:
    command = [sys.executable, "train.py", *overrides("arch=mnist_7800_shallow width=2 train.max_epochs=1")]
    ended = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=120)
    assert (ended.returncode, ended.stderr) == (CLOSED, "")
    assert not [path for path in outputs.rglob("*") if path.is_file()]


def test_a_mistake_ends_as_ever_where_nobody_reads_errors_either(closed: int) -> None:
    command = [sys.executable, "train.py", "widht=3"]
    assert subprocess.run(command, stdout=closed, stderr=closed, cwd=ROOT, timeout=120).returncode == 2
