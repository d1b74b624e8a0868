"""What commands write."""

from __future__ import annotations

import os
from pathlib import Path

from dsbench.cli.output import write


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe, "a picture")
    assert os.read(reader, 100) == b"a picture"
    assert pipe.is_fifo()
