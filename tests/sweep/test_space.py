"""What a search is over and what it goes by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from dsbench.errors import InputError
from dsbench.run.record import Record, Status
from dsbench.sweep.objective import figures, objectives
from dsbench.sweep.search import space


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model=cnn,dwsep", CategoricalDistribution(["cnn", "dwsep"])),
        ("width=8,16", CategoricalDistribution(["8", "16"])),
        ("width=range(4,13,4)", IntDistribution(4, 12, step=4)),
        ("width=range(4,12,4)", IntDistribution(4, 8, step=4)),  # as of all ranges in Hydra, the end is outside
        ("width=int(interval(4,64))", IntDistribution(4, 64)),
        ("width=tag(log,int(interval(4,64)))", IntDistribution(4, 64, log=True)),
        ("optimizer.lr=interval(0,1)", FloatDistribution(0.0, 1.0)),
        ("optimizer.lr=tag(log,interval(0.001,1))", FloatDistribution(0.001, 1.0, log=True)),
    ],
)
def test_hydras_sweeps_are_optunas_distributions(override: str, expected: Any) -> None:
    assert space([override, "data=mnist5k"]) == ({override.split("=")[0]: expected}, ["data=mnist5k"])


def test_a_value_on_the_command_line_fixes_what_a_named_sweep_searches() -> None:
    assert space(["model=cnn,dwsep", "width=8,16", "model=cnn"])[1] == ["model=cnn"]


@pytest.mark.parametrize("objective", ["test_acc", ["val_acc", "latency"], [], None, ["macs", "macs"]])
def test_an_objective_is_one_of_a_few_and_never_a_test_figure(objective: Any) -> None:
    with pytest.raises(InputError, match="objective"):
        objectives(objective)


def test_validation_on_test_images_is_no_objective() -> None:
    record = Record.of({"run_id": "a", "status": "done", "best_val_acc": 0.9, "macs": 10, "split": "study"})
    assert figures(record, ["val_acc", "macs"]) is None
    assert figures(record, ["macs"]) == [10.0]
    assert figures(replace(record, split="standard"), ["val_acc", "macs"]) == [0.9, 10.0]
    assert figures(replace(record, split="standard", status=Status.DIVERGED), ["val_acc"]) is None
