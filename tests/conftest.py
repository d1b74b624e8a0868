"""Runs for all tests: the 5,000 bundled digits, prepared once a process, and an environment that is nobody's own."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from dsbench import torchvision_ops

torchvision_ops.ensure()  # as the command line does, before Lightning imports torchvision

# Properties are tried on the same few examples each time; on many new ones with pytest --hypothesis-profile=thorough.
settings.register_profile("quick", max_examples=25, derandomize=True, deadline=None)
settings.register_profile("thorough", max_examples=2000, print_blob=True, deadline=None)
settings.load_profile("quick")

QUICK = ("data=mnist5k", "logger=csv", "precision=32", "threads=1", "progress=none")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the user's W&B account or settings or width, nor changes the process for the next one."""
    monkeypatch.delenv("COLUMNS", raising=False)  # as wide as pytest-xdist's own terminal
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / "wandb"
    home.mkdir(exist_ok=True)
    (home / "netrc").touch()
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(home))
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


@pytest.fixture(scope="session")
def named() -> Callable[[str], Any]:
    """The network that a line of overrides names."""
    from dsbench.config.compose import compose
    from dsbench.config.network import network_of

    return cache(lambda line: network_of(compose(line.split())))


@pytest.fixture
def compute() -> Any:
    """One thread of a CPU, in full precision."""
    import torch

    from dsbench.training.device import Compute

    torch.set_num_threads(1)
    return Compute(torch.device("cpu"), "a CPU", "32", 1)


@pytest.fixture
def subject(compute: Any) -> Callable[..., Any]:
    """The network that a line of overrides names, with its recipe."""
    from dsbench.config.compose import compose
    from dsbench.config.network import network_of
    from dsbench.measure.subject import StepRecipe, Subject

    def make(line: str, where: Any = compute) -> Subject:
        composed = compose(line.split())
        recipe = StepRecipe.of(composed.config.optimizer, composed.config.train)
        return Subject(network_of(composed), where, recipe)

    return make


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Where this test's runs leave their results; not there yet."""
    return tmp_path / "outputs"


@pytest.fixture(scope="session")
def quick(data_root: Path) -> tuple[str, ...]:
    """What all quick runs have on their command line."""
    return (*QUICK, f"data.root={data_root}")


@pytest.fixture
def overrides(quick: tuple[str, ...], outputs: Path) -> Callable[[str], list[str]]:
    """The command line of a quick run on mnist5k, given what is special about it."""
    return lambda line="": [*quick, f"outputs={outputs}", *line.split()]


@pytest.fixture
def planned(overrides: Callable[[str], list[str]]) -> Callable[[str], Any]:
    """The plan of a quick run; the same line is planned once, until the test calls `cache_clear`."""
    from dsbench.config.compose import compose
    from dsbench.run.plan import plan

    return cache(lambda line="": plan(compose(overrides(line))))


@pytest.fixture
def trained(planned: Callable[[str], Any]) -> Callable[..., dict[str, Any]]:
    """Trains a quick run and returns its record, as result.json has it.

    `stop_at=(epoch, batch)`, both from 1, interrupts it as a signal would once that batch is done; (epoch,) once that
    epoch is.
    """
    from dsbench.run.execute import execute

    def train(line: str = "", stop_at: tuple[int, int] | tuple[int] | None = None) -> dict[str, Any]:
        return execute(planned(line), _view(stop_at)).plain()

    return train


@pytest.fixture(scope="session")
def ran(quick: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Any]]:
    """The plan and the record of a quick run that nobody stops, trained once for all tests that only look at it."""
    from dsbench.config.compose import compose
    from dsbench.run.execute import execute
    from dsbench.run.plan import plan

    outputs = tmp_path_factory.mktemp("ran")

    @cache
    def run(line: str) -> tuple[Any, Any]:
        planned = plan(compose([*quick, f"outputs={outputs}", *line.split()]))
        return planned, execute(planned, _view(None)).plain()

    return run


@pytest.fixture
def finished(ran: Callable[[str], tuple[Any, Any]], tmp_path: Path) -> Path:
    """The folder of a quick run that is done, this test's own copy; one is trained for all of them."""
    plan, _ = ran("arch=mnist_7800_shallow model=dwsep width=6 train.max_epochs=3")
    return Path(shutil.copytree(plan.folder.path, tmp_path / "runs" / plan.run_id))


def _view(stop_at: tuple[int, ...] | None) -> Any:
    from dsbench.run.interrupts import Interrupted
    from dsbench.run.progress import Progress

    class View(Progress):
        @contextmanager
        def training(self, plan: Any) -> Iterator[Any]:
            yield self  # is told of each step, as a bar is

        def step(self, epoch: int, steps: int, seconds: float) -> None:
            if (epoch + 1, steps) == stop_at:
                raise Interrupted(signal.SIGTERM)

        def epoch(self, row: Any) -> None:
            if (row["epoch"],) == stop_at:
                raise Interrupted(signal.SIGTERM)

    return View("none")


@pytest.fixture
def inspected(outputs: Path) -> Callable[..., Any]:
    """What W&B's own reader says of an offline run: its summary, or with `records` all records.

    It is the run in `folder`, or the only one in outputs. W&B's service, which writes the file, has ended before: when
    a run of this process is finished for us, the service may still have all of it to write.
    """

    def inspect(records: bool = False, folder: Path | None = None) -> Any:
        (folder,) = [folder] if folder else (outputs / "wandb").glob("offline-run-*")
        if "wandb" in sys.modules:
            sys.modules["wandb"].teardown()
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *([] if records else ["--summary"])]
        text = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True, timeout=60).stdout
        return [json.loads(line) for line in text.splitlines()] if records else json.loads(text)

    return inspect


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Ended]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], _logging: None) -> Call:
    """Calls an entry point (train, sweep, dsbench) with a command line, in this process, as a shell would."""
    from dsbench.cli import hydra

    def run(name: str, *arguments: str) -> Ended:
        for variable in ("DSBENCH_FULL_ERROR", "DSBENCH_HYDRA_DIR"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            getattr(hydra, name)()
        out, err = capsys.readouterr()
        return Ended(ended.value.code or 0, out, err)  # type: ignore[arg-type]

    return run


@pytest.fixture
def _logging() -> Iterator[None]:
    """The command line sets up logging for a process of its own; here it is taken back."""
    names = ("dsbench", "pytorch_lightning", "lightning_fabric")
    before = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).propagate) for name in names}
    yield
    for name, (handlers, propagate) in before.items():
        logging.getLogger(name).handlers[:] = handlers
        logging.getLogger(name).propagate = propagate
    logging.getLogger("dsbench").setLevel(logging.NOTSET)
