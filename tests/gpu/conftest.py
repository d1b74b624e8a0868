"""The device of these tests: CUDA where there is one, or, with DSBENCH_GPU_TESTS=cpu, a rehearsal on the CPU.

What is measured and not promised, such as which results repeat bit for bit, is said at the end of the output, and line
by line in the file that DSBENCH_GPU_SEEN names.
"""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.training.place import is_there

HERE = Path(__file__).parent
REHEARSED = os.environ.get("DSBENCH_GPU_TESTS") == "cpu"
_SEEN = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SEEN] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies here, and skip it where there is nothing to try it on.

    On a card the versions of torch and of the rest are not those that dsbench is developed with: their warnings are
    listed, as pytest does, and fail nothing.
    """
    own = [item for item in items if HERE in item.path.parents]
    there = REHEARSED or not own or is_there("cuda")
    for item in own:
        item.add_marker(pytest.mark.gpu)
        if not REHEARSED:
            item.add_marker(pytest.mark.filterwarnings("default"))
        if not there:
            item.add_marker(pytest.mark.skip(reason="no CUDA device; DSBENCH_GPU_TESTS=cpu rehearses on the CPU"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    seen = config.stash[_SEEN]
    if seen:
        terminalreporter.section("seen on the CPU, in a rehearsal" if REHEARSED else f"seen on {_where()}")
        terminalreporter.write_line("\n".join(seen))


def _where() -> str:
    versions = f"torch {torch.__version__}, CUDA {torch.version.cuda}, Python {platform.python_version()}"
    return f"{torch.cuda.get_device_name()}, {versions}"


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keeps a line of what was seen."""

    def keep(line: str) -> None:
        request.config.stash[_SEEN].append(line)
        if path := os.environ.get("DSBENCH_GPU_SEEN"):
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    return keep


@pytest.fixture(scope="session")
def device() -> str:
    """cuda, or in a rehearsal cpu."""
    return "cpu" if REHEARSED else "cuda"


@pytest.fixture
def cuda() -> None:
    """For what nothing but CUDA can show."""
    if REHEARSED:
        pytest.skip("needs CUDA itself, which a rehearsal does without")


@pytest.fixture(scope="session")
def quick(quick: tuple[str, ...], device: str) -> tuple[str, ...]:
    """What all quick runs have on their command line, on the device of these tests, in a format that none measures."""
    return (*quick, f"device={device}", "train.memory_format=channels_last")


@pytest.fixture(scope="session")
def elsewhere(device: str) -> str:
    """The memory format on the device beside a reference in channels_last on the CPU.

    In a rehearsal it is contiguous, so that other kernels add up the same numbers in another order.
    """
    return "contiguous" if device == "cpu" else "channels_last"


@pytest.fixture
def held() -> Callable[[], int]:
    """Bytes of tensors that live on after a collection: by CUDA's allocator, in a rehearsal of those that there are."""

    def count() -> int:
        gc.collect()
        if not REHEARSED:
            torch.cuda.synchronize()
            return torch.cuda.memory_allocated()
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for tensor in gc.get_objects()
            if type(tensor) in (torch.Tensor, torch.nn.Parameter) and not tensor.is_meta
        }
        return sum(storages.values())

    return count
