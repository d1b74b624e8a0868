"""Settings of the whole process."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEAVING = """
from dsbench.process import end_quickly
class Cycle:
    def __init__(self):
        self.itself = self
    def __del__(self):
        print("collected")
Cycle()
"""


@pytest.mark.parametrize(("line", "printed"), [("", "collected\n"), ("end_quickly()", "")])
def test_a_process_that_is_to_end_quickly_collects_nothing_at_its_end(line: str, printed: str) -> None:
    ended = subprocess.run([sys.executable, "-c", LEAVING + line], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, printed, "")
