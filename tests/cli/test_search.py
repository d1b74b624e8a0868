"""Searches from the command line: what a trial is worth, that a search costs each run once, and what ends none."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

Overrides = Callable[[str], list[str]]
TINY = "arch=mnist_7800_shallow train.max_epochs=1 hydra/sweeper=optuna"


def trials(outputs: Path) -> list[dict[str, str]]:
    (path,) = outputs.glob("sweeps/*/trials.csv")
    with path.open() as file:
        return list(csv.DictReader(file))


def records(outputs: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in outputs.glob("runs/*/result.json")]


def dominated(trial: dict[str, str], others: list[dict[str, str]]) -> bool:
    better = [
        o for o in others if float(o["val_acc"]) >= float(trial["val_acc"]) and float(o["macs"]) <= float(trial["macs"])
    ]
    return any((o["val_acc"], o["macs"]) != (trial["val_acc"], trial["macs"]) for o in better)


@pytest.mark.thorough
def test_a_trial_is_worth_the_mean_over_its_seeds_and_one_that_diverges_ends_no_search(
    call: Any, overrides: Overrides, outputs: Path
) -> None:
    space_ = "model=cnn,dwsep block=keras width=int(interval(2,4)) optimizer.lr=0.1,1e30 seeds=2"
    how = "sweep=pareto hydra.sweeper.n_trials=4 hydra.sweeper.batch=2 kernel=3"
    line = overrides(f"{TINY} {how} {space_}")
    ended = call("sweep", *line)
    assert (ended.code, ended.err) == (0, "")  # diverged is an outcome
    table, made = trials(outputs), records(outputs)
    assert [trial["state"] for trial in table].count("FAIL") == ended.out.count("counts for nothing: seed=")
    good = [trial for trial in table if trial["state"] == "COMPLETE"]
    assert 0 < len(good) < 4
    for trial in good:
        cell = [
            record
            for record in made
            if (record["model"], record["width"], record["settings"]["optimizer.lr"])
            == (trial["params_model"], int(trial["params_width"]), float(trial["params_optimizer.lr"]))
        ]
        assert [record["seed"] for record in sorted(cell, key=lambda record: record["seed"])] == [0, 1]
        assert float(trial["val_acc"]) == pytest.approx(mean(record["best_val_acc"] for record in cell))
        assert float(trial["macs"]) == cell[0]["macs"]
        assert (trial["best"] == "True") == (not dominated(trial, good))
    before = {path: path.stat().st_mtime_ns for path in outputs.glob("runs/*/result.json")}
    again = call("sweep", *line)
    assert again.code == 0
    assert "started" not in again.out
    assert trials(outputs) == table
    assert {path: path.stat().st_mtime_ns for path in outputs.glob("runs/*/result.json")} == before
    other = call("sweep", *line, "objective=params", "hydra.sweeper.n_trials=1")
    assert (other.code, other.err) == (0, "")
    assert len(list(outputs.glob("sweeps/*"))) == 2  # another question, another table


def test_a_run_that_fails_counts_for_nothing_and_the_search_goes_on(
    call: Any, overrides: Overrides, outputs: Path, planned: Callable[[str], Any]
) -> None:
    blocked = planned(f"{TINY.rsplit(' ', 1)[0]} width=3").folder.path
    (blocked / "checkpoints" / "best.ckpt").mkdir(parents=True)  # a folder where a file must be
    how = "hydra.sweeper.sampler=random hydra.sweeper.n_trials=4 hydra.sweeper.batch=4"
    ended = call("sweep", *overrides(f"{TINY} width=2,3 {how}"))
    assert (ended.code, ended.err) == (1, "")
    assert {trial["params_width"]: trial["state"] for trial in trials(outputs)} == {"2": "COMPLETE", "3": "FAIL"}
    assert "counts for nothing: the run is failed" in ended.out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "width=2,3 hydra.sweeper.sampler=grid",
            "unknown hydra.sweeper.sampler 'grid'; choose one of tpe, nsga2, rand",
        ),
        ("width=2,3 hydra.sweeper.n_trials=0", "hydra.sweeper.n_trials 0 is not a positive integer"),
        ("width=2", "nothing to search: list what to choose from"),
        ("width=2,3 objective=test_acc", "unknown objective 'test_acc'; choose one of val_acc, macs, params, acts"),
        ("width=2,3 objective=-1", "unknown objective -1; choose one of val_acc, macs, params, acts"),
        ("width=2,3 data.split=study", "objective=val_acc would choose on the test images under data.split=study"),
        ("width=0,-1", "is not a positive integer"),
    ],
)
def test_a_search_that_makes_no_sense_costs_one_line(
    call: Any, overrides: Overrides, outputs: Path, line: str, message: str
) -> None:
    ended = call("sweep", "-m", *overrides(f"{TINY} {line}"))
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert message in ended.err
    assert not outputs.exists()


def test_a_plan_of_a_search_shows_its_first_trials_and_trains_nothing(
    call: Any, overrides: Overrides, outputs: Path
) -> None:
    ended = call("sweep", *overrides(f"{TINY} width=2,3 plan=true hydra.sweeper.batch=2"))
    assert (ended.code, ended.err) == (0, "")
    assert "the first 2 of 30 trials" in ended.out
    assert not outputs.exists()
