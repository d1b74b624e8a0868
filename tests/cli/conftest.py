"""The command line, called in this process as a shell would call it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Ended]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls an entry point (train, sweep, dsbench) with a command line."""
    from dsbench.cli import entry

    def run(name: str, *arguments: str) -> Ended:
        for variable in ("DSBENCH_FULL_ERROR", "DSBENCH_HYDRA_DIR"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            getattr(entry, name)()
        out, err = capsys.readouterr()
        return Ended(ended.value.code or 0, out, err)  # type: ignore[arg-type]

    return run


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """The command line sets up logging for a process of its own; here it is taken back."""
    names = ("dsbench", "pytorch_lightning", "lightning_fabric")
    before = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).propagate) for name in names}
    yield
    for name, (handlers, propagate) in before.items():
        logging.getLogger(name).handlers[:] = handlers
        logging.getLogger(name).propagate = propagate
    logging.getLogger("dsbench").setLevel(logging.NOTSET)


@pytest.fixture
def nothing_left(outputs: Path, tmp_path: Path) -> Iterator[None]:
    """Fails where the test leaves anything behind."""
    before = set(tmp_path.rglob("*"))
    yield
    assert set(tmp_path.rglob("*")) == before
    assert not outputs.exists()
