"""A sweep says which of its results other code has made, and trains them anew when told."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from dsbench import provenance
from dsbench.config.compose import compose
from dsbench.sweep.plan import SweepPlan, plan_sweep, planned

RUN = "arch=mnist_7800_shallow width=2 train.max_epochs=1"


@pytest.fixture
def swept(overrides: Callable[[str], list[str]]) -> Callable[[str], SweepPlan]:
    """The plan of two seeds with a line of overrides."""
    return lambda line="": plan_sweep([[*overrides(f"{RUN} {line}"), f"seed={seed}"] for seed in (0, 1)], compose)


def last_line(plan: SweepPlan) -> str:
    file = io.StringIO()
    Console(file=file, width=200).print(*planned(plan), sep="\n")
    return file.getvalue().splitlines()[-1].strip()


def test_results_of_other_code_are_counted_and_trained_anew_when_told(
    swept: Callable[[str], SweepPlan], trained: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(RUN)
    assert last_line(swept("")) == "2 runs in 1 cell, 1 done, 1 to train"
    assert last_line(swept("rerun=stale")) == "2 runs in 1 cell, 1 done, 1 to train"
    monkeypatch.setattr(provenance, "source_sha256", lambda: "another")
    with_stale = "2 runs in 1 cell, 1 done, 1 made by other code (rerun=stale trains these anew), 1 to train"
    assert last_line(swept("")) == with_stale
    assert last_line(swept("rerun=stale")) == "2 runs in 1 cell, 0 done, 1 made by other code, 2 to train"
    assert [job.plan.config.seed for job in swept("rerun=stale").missing if job.plan] == [0, 1]
