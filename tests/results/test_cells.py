"""Means, spreads and intervals over seeds, and what is never averaged in."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
from synthetic import run, table

from dsbench.results.cells import COUNTS, cells_table
from dsbench.results.records import plain
from dsbench.run.record import Status

Train = Callable[..., dict[str, Any]]


def cells(*records: dict[str, Any]) -> list[dict[str, Any]]:
    return plain(cells_table(table(records)))


def seeds(accuracies: list[float], **facts: Any) -> list[dict[str, Any]]:
    return [run(seed=seed, test_acc=accuracy, **facts) for seed, accuracy in enumerate(accuracies)]


@pytest.mark.parametrize("n", [2, 3, 5, 8, 40])
def test_mean_spread_and_interval_are_those_of_numpy_and_scipy(n: int) -> None:
    accuracies = np.random.default_rng(n).normal(0.97, 0.004, n).tolist()
    (cell,) = cells(*seeds(accuracies))
    low, high = scipy.stats.t.interval(0.95, n - 1, loc=np.mean(accuracies), scale=scipy.stats.sem(accuracies))
    figures = [cell[f"test_acc_{name}"] for name in ("mean", "sd", "low", "high")]
    np.testing.assert_allclose(figures, [np.mean(accuracies), np.std(accuracies, ddof=1), low, high], rtol=1e-12)


def test_the_interval_of_two_seeds_is_that_of_the_cauchy_distribution() -> None:
    """Student's t with one degree of freedom has the quantiles tan(pi (p - 1/2))."""
    (cell,) = cells(*seeds([0.9, 0.92]))
    half = math.tan(math.pi * 0.475) * 0.01
    assert (cell["test_acc_low"], cell["test_acc_high"]) == pytest.approx((0.91 - half, 0.91 + half), rel=1e-12)


def test_one_seed_has_a_mean_and_no_interval() -> None:
    (cell,) = cells(run(test_acc=0.9))
    assert (cell["test_acc_mean"], cell["n_done"]) == (0.9, 1)
    assert [cell[f"test_acc_{name}"] for name in ("sd", "low", "high")] == [None] * 3


@pytest.mark.parametrize("status", [status for status in Status if status != Status.DONE])
def test_a_run_that_is_not_done_is_counted_and_in_no_mean(status: str) -> None:
    done = seeds([0.9, 0.91, 0.92])
    (without,), (beside,) = cells(*done), cells(*done, run(status, seed=3, best_val_acc=0.1, test_acc=0.1))
    counts = {name: beside.pop(name) - without.pop(name) for name in COUNTS}
    named = f"n_{status}" if f"n_{status}" in COUNTS else "n_other"
    assert counts == dict.fromkeys(COUNTS, 0) | {"n_runs": 1, named: 1}
    assert beside == without


def test_a_cell_of_which_no_run_is_done_still_has_its_costs() -> None:
    (cell,) = cells(run("collapsed", seed=0, params=7), run("failed", seed=1, params=7))
    assert (cell["params"], cell["test_acc_mean"], cell["train_seconds_mean"]) == (7, None, None)
    assert (cell["n_runs"], cell["n_done"], cell["n_collapsed"], cell["n_failed"]) == (2, 0, 1, 1)


def test_cells_are_what_grouping_the_records_by_hand_gives() -> None:
    chance = random.Random(0)
    records = [
        run(chance.choice([*Status][:5]), width=width, seed=seed, settings={"optimizer.lr": lr})
        for width in (3, 1, 2)
        for lr in (0.1, 0.2)
        for seed in range(chance.randint(1, 12))
    ]
    for record in records:
        if record["status"] in ("done", "collapsed"):
            record |= {"test_acc": chance.random(), "best_val_acc": chance.random(), "train_seconds": chance.random()}
    chance.shuffle(records)
    groups: dict[tuple[int, float], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["width"], record["settings"]["optimizer.lr"]), []).append(record)
    rows = cells(*records)
    assert [(cell["width"], cell["optimizer.lr"]) for cell in rows] == list(groups)
    for cell, group in zip(rows, groups.values(), strict=True):
        done = [record for record in group if record["status"] == "done"]
        assert (cell["n_runs"], cell["n_done"]) == (len(group), len(done))
        assert cell["n_other"] == 0
        for name in ("test_acc", "best_val_acc", "train_seconds"):
            values = [record[name] for record in done]
            assert cell[f"{name}_mean"] == (pytest.approx(statistics.mean(values)) if values else None)
        spread = statistics.stdev([record["test_acc"] for record in done]) if len(done) > 1 else None
        assert cell["test_acc_sd"] == (spread if spread is None else pytest.approx(spread))


def test_devices_and_commits_are_listed_where_a_cell_has_several() -> None:
    (cell,) = cells(
        run(seed=0, device="A", threads=1, git_sha="x"),
        run(seed=1, device="B", threads=1, git_sha="y"),
        run(seed=2, device="A", threads=2, git_sha=None),
    )
    assert (cell["device"], cell["threads"], cell["git_sha"]) == ("A, B", "1, 2", "x, y")


def test_latency_is_averaged_where_it_is_recorded() -> None:
    timed = [{"batch_1": {"torch": {"median": ms, "iqr": 0.1}}} for ms in (1.0, 2.0)]
    (cell,) = cells(run(seed=0, latency_ms=timed[0]), run(seed=1, latency_ms=timed[1]), run(seed=2))
    assert cell["latency_ms/batch_1/torch"] == 1.5


def test_a_run_recorded_without_a_cell_is_one_of_its_own() -> None:
    records = seeds([0.9, 0.91])
    for record in records:
        del record["cell_id"]
    assert [cell["n_runs"] for cell in cells(*records)] == [1, 1]
    assert table(records)["cell_id"].tolist() == [record["run_id"] for record in records]
    assert [cell["cell_id"] for cell in cells(*records)] == [record["run_id"] for record in records]


def test_no_runs_make_no_cells() -> None:
    none = cells_table(table([]))
    assert none.empty
    assert {"cell_id", "test_acc_mean", "params"} <= set(none.columns)


def test_seeds_share_a_cell_and_nothing_else_does(planned: Callable[[str], Any]) -> None:
    plan = planned("")
    assert planned("seed=7").cell_id == plan.cell_id != plan.run_id
    assert planned("seed=7").facts().cell_id == plan.cell_id
    others = ("width=17", "optimizer.lr=0.2", "data.split=study", "train.max_epochs=2", "precision=bf16", "model=dwsep")
    assert len({planned(line).cell_id for line in others} | {plan.cell_id}) == len(others) + 1


def test_trained_seeds_make_one_cell(trained: Train) -> None:
    line = "arch=mnist_7800_shallow train.max_epochs=1"
    records = [trained(f"{line} width={width} seed={seed}") for width, seed in ((8, 0), (8, 1), (6, 0))]
    wide, narrow = cells(*records)
    assert [record["status"] for record in records] == ["done"] * 3
    assert (wide["width"], wide["n_done"], narrow["n_done"]) == (8, 2, 1)
    assert wide["test_acc_mean"] == pytest.approx((records[0]["test_acc"] + records[1]["test_acc"]) / 2)
    assert wide["params"] == records[0]["params"]
    assert wide["optimizer.lr"] == 0.1
