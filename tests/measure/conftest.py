"""Commands that share a measurement."""

from __future__ import annotations

from typing import Any

import pytest

from dsbench.cli import bench as bench_command
from dsbench.measure.by_turns import RunningCosts, running_costs


@pytest.fixture
def measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All `dsbench bench` of a test but the first show what the first has measured."""
    results: list[RunningCosts] = []

    def measure(*arguments: Any, **options: Any) -> list[RunningCosts]:
        results[:] = results or running_costs(*arguments, **options)
        return results

    monkeypatch.setattr(bench_command, "running_costs", measure)
