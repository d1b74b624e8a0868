"""What the command line must not leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def nothing_left(outputs: Path, tmp_path: Path) -> Iterator[None]:
    """Fails where the test leaves anything behind."""
    before = set(tmp_path.rglob("*"))
    yield
    assert set(tmp_path.rglob("*")) == before
    assert not outputs.exists()
