"""Sweeps on disk that were never trained."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from made_sweeps import Made, four_cells, make


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Made]:
    """Writes a sweep, see made_sweeps.make."""
    return partial(make, tmp_path)


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Two families at two widths, three seeds each, all done; of all tests, so that none may write there."""
    return make(tmp_path_factory.mktemp("four"), four_cells())
