"""Settings of the whole process."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from multiprocessing import spawn

import pytest

from dsbench.process import without_main

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


def test_processes_that_are_started_within_do_not_run_the_callers_script_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> set[str]:
        """What multiprocessing tells a new process of the main module."""
        return {name for name in spawn.get_preparation_data("new") if name.startswith("init_main")}

    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    main = sys.modules["__main__"]
    assert told()
    with without_main():
        assert not told()
    assert sys.modules["__main__"] is main


MAPPED = """
import ctypes
import torch
from dsbench.process import keep_freed_memory
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]
mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Info
kept = keep_freed_memory()
before = mallinfo2().hblks
activation = torch.empty(64 * 2**20, dtype=torch.uint8)
print(kept, mallinfo2().hblks - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="malloc is not glibc's of 2.33 or newer")
def test_an_activation_of_64_mib_is_not_mapped_anew_at_each_step() -> None:
    asked = subprocess.run([sys.executable, "-c", MAPPED], capture_output=True, text=True, timeout=60)
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "True 0\n", "")
