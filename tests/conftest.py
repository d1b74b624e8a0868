"""Runs for all tests: the 5,000 bundled digits, prepared once a process, and an environment that is nobody's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dsbench import torchvision_ops

torchvision_ops.ensure()  # as the command line does, before Lightning imports torchvision

QUICK = ("data=mnist5k", "logger=csv", "precision=32", "threads=1", "progress=none")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the user's W&B account or settings, nor changes the process for the next one."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    netrc = tmp_path_factory.getbasetemp() / "netrc"
    netrc.touch()
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HYDRA_FULL_ERROR", "DSBENCH_FULL_ERROR", "DSBENCH_HYDRA_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with mnist5k in it."""
    from dsbench.data import prepared

    root = tmp_path_factory.mktemp("data")
    prepared.prepare("mnist5k", root)
    return root


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Where this test's runs leave their results; not there yet."""
    return tmp_path / "outputs"


@pytest.fixture
def overrides(data_root: Path, outputs: Path) -> Callable[[str], list[str]]:
    """The command line of a quick run on mnist5k, given what is special about it."""
    return lambda line="": [*QUICK, f"data.root={data_root}", f"outputs={outputs}", *line.split()]


@pytest.fixture
def planned(overrides: Callable[[str], list[str]]) -> Callable[[str], Any]:
    """The plan of a quick run."""
    from dsbench.config.compose import compose
    from dsbench.run.plan import plan

    return lambda line="": plan(compose(overrides(line)))


class Stop(Exception):
    """What a test interrupts a run with."""


@pytest.fixture
def stop() -> type[Stop]:
    """What `trained` raises when it is told to stop a run."""
    return Stop


@pytest.fixture
def trained(planned: Callable[[str], Any]) -> Callable[..., dict[str, Any]]:
    """Trains a quick run and returns its record. `stop_at=(epoch, batch)`, from 1, raises Stop once that batch is done,
    or, without a batch, once that epoch is."""
    from dsbench.run.execute import execute

    def train(line: str = "", stop_at: tuple[int, int] | tuple[int] | None = None) -> dict[str, Any]:
        return execute(planned(line), _view(stop_at))

    return train


def _view(stop_at: tuple[int, ...] | None) -> Any:
    from pytorch_lightning import Callback

    from dsbench.run.progress import Progress

    class StopAtBatch(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            if (trainer.current_epoch + 1, batch_idx + 1) == stop_at:
                raise Stop

    class View(Progress):
        @contextmanager
        def _callbacks(self) -> Any:
            yield [StopAtBatch()]

        def training(self, plan: Any) -> AbstractContextManager[Any]:
            return self._callbacks()

        def epoch(self, row: Any) -> None:
            if (row["epoch"],) == stop_at:
                raise Stop

    return View("none")
