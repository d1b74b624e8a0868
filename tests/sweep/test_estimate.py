"""How long a sweep is said to take."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.core.utils import JobReturn, JobStatus
from rich.console import Console
from scipy.optimize import nnls

from dsbench.config.compose import compose
from dsbench.measure import subject
from dsbench.measure.timing import Timing
from dsbench.run.record import Record, Result, Status
from dsbench.sweep import estimate
from dsbench.sweep.estimate import Rate, ended, expected, learned
from dsbench.sweep.launch import view
from dsbench.sweep.launch.time_left import seconds_left
from dsbench.sweep.plan import PlannedJob, SweepPlan, plan_sweep
from dsbench.training.device import Compute

IMAGES = 4000 + (500 + 500) / 3  # of mnist5k: trained on, validated and tested, a forward pass being a third


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The widths of the networks that are timed, each at a microsecond a MAC, on a machine that does nothing else."""
    widths: list[int] = []

    def one_microsecond_a_mac(plan: estimate.Plan, share: float) -> float:
        widths.append(plan.config.width)
        return 1e-6 * plan.cost.macs

    monkeypatch.setattr(estimate, "_seconds_an_image", one_microsecond_a_mac)
    return widths


def small(outputs: Path, *widths: int) -> SweepPlan:
    common = ["data=mnist5k", "arch=mnist_7800_shallow", f"outputs={outputs}", "train.batch_size=1", "device=cpu"]
    return plan_sweep([(*common, f"width={width}", "train.max_epochs=1") for width in widths], compose)


def macs(plan: SweepPlan) -> dict[int, int]:
    return {job.plan.config.width: job.plan.cost.macs for job in plan.jobs if job.plan}


def test_networks_too_large_to_be_timed_in_a_moment_are_not(tmp_path: Path, timed: list[int]) -> None:
    plan = small(tmp_path, 2, 4, 400)
    assert 5e-6 * macs(plan)[4] < estimate.LARGEST_SECONDS < 5e-6 * macs(plan)[400]  # what this test is about
    seconds = estimate.seconds_left(plan, 1, share=1.0)
    assert set(timed) == {2, 4}
    once = 3 * estimate.RUN_SECONDS + estimate.START_SECONDS
    assert seconds == pytest.approx(IMAGES * 1e-6 * sum(macs(plan).values()) + once, rel=0.05)


def test_what_follows_the_runs_counts_and_only_computing_waits_for_others(tmp_path: Path, timed: list[int]) -> None:
    plan = small(tmp_path, 2, 4)
    alone = estimate.seconds_left(plan, 2, share=1.0)
    longest = IMAGES * 1e-6 * max(macs(plan).values()) + estimate.RUN_SECONDS
    assert alone == pytest.approx(longest + estimate.START_SECONDS, rel=0.01)
    assert estimate.seconds_left(plan, 2, 1.0, bench_minutes=0.5) == pytest.approx(alone + 30)
    assert estimate.seconds_left(plan, 2, 1.0, report=True) == pytest.approx(alone + estimate.REPORT_SECONDS)
    single = small(tmp_path, 4)  # nothing to compare
    assert estimate.seconds_left(single, 2, 1.0, bench_minutes=0.5) == pytest.approx(alone)
    assert estimate.seconds_left(plan, 2, 0.25, bench_minutes=0.5) == pytest.approx(4 * alone + 30)


def test_runs_that_have_ended_say_how_long_the_next_take(tmp_path: Path, timed: list[int]) -> None:
    plan = small(tmp_path, 2, 4)
    before = estimate.seconds_left(plan, 1, share=1.0) - estimate.START_SECONDS - 2 * estimate.RUN_SECONDS
    other = small(tmp_path, 8).jobs[0].plan
    assert other is not None
    other.folder.create()
    rate = 1 / (0.5e-6 * other.cost.macs)  # half as long as the steps that were timed
    done = replace(other.facts(), status=Status.DONE, result=Result(images_per_second=rate))
    other.folder.write_result(done)
    after = estimate.seconds_left(plan, 1, share=1.0) - estimate.START_SECONDS - 2 * estimate.RUN_SECONDS
    assert after == pytest.approx(before / 2, rel=0.05)


def test_runs_that_stopped_early_say_that_others_of_their_cell_will(tmp_path: Path, timed: list[int]) -> None:
    common = ["data=mnist5k", "arch=mnist_7800_shallow", f"outputs={tmp_path}", "train.max_epochs=8", "device=cpu"]
    plan = plan_sweep([(*common, f"seed={seed}") for seed in range(3)], compose)
    once = estimate.START_SECONDS + estimate.RUN_SECONDS
    all_epochs = estimate.seconds_left(plan, 3, share=1.0) - once
    first = plan.jobs[0].plan
    assert first is not None
    first.folder.create()
    first.folder.write_result(replace(first.facts(), status=Status.DONE, result=Result(epochs=2)))
    plan = SweepPlan(tuple(PlannedJob(job.overrides, job.plan) for job in plan.jobs))
    assert estimate.seconds_left(plan, 3, share=1.0) - once == pytest.approx(all_epochs / 4, rel=0.1)


def run(cell: str, seconds: float, **facts: object) -> Record:
    made = Record(
        run_id=cell,
        cell_id=cell,
        status=Status.DONE,
        device="a CPU",
        threads=1,
        precision="32",
        costs={"macs": 1000, "acts": 100},
        settings={"train.batch_size": 128},
        result=Result(images_per_second=1 / seconds),
    )
    return replace(made, **facts)  # type: ignore[arg-type]


def test_only_runs_under_the_same_conditions_tell() -> None:
    like = run("a", 1.0)
    others = [
        run("b", 1.0, device="another"),
        run("c", 1.0, threads=2),
        run("d", 1.0, precision="bf16"),
        run("e", 1.0, settings={"train.batch_size": 64}),
        run("f", 1.0, status=Status.FAILED),
        run("g", 1.0, result=None),
        run("h", 1.0, costs={}),
        run("i", 1.0, fused=8),
    ]
    assert ended([like, *others], like) == [Rate(1000, 100, 1.0)]


def test_of_the_runs_of_one_network_the_fastest_counts() -> None:
    assert ended([run("a", 3.0), run("a", 1.0), run("a", 2.0)], run("a", 1.0)) == [Rate(1000, 100, 1.0)]


def test_networks_between_those_timed_take_what_macs_and_activations_cost() -> None:
    rates = [Rate(macs, acts, 2e-9 * macs + 5e-9 * acts) for macs, acts in ((1000, 100), (8000, 300), (9000, 4000))]
    assert expected(rates, 5000, 1000) == pytest.approx(2e-9 * 5000 + 5e-9 * 1000, rel=1e-6)


def test_two_weights_are_those_of_scipys_nnls() -> None:
    generator = np.random.default_rng(0)
    negative = 0
    for _ in range(200):
        costs = generator.uniform(0.01, 5, size=(generator.integers(1, 8), 2))
        weights, residual = nnls(costs, np.ones(len(costs)))
        own = estimate._shares(costs)
        assert np.linalg.norm(costs @ own - 1) == pytest.approx(residual, abs=1e-9)
        assert len(costs) == 1 or own == pytest.approx(weights, abs=1e-6)  # of a single rate many weights do
        negative += bool((weights == 0).any())
    assert 50 < negative < 190


def test_a_network_that_was_timed_takes_just_that() -> None:
    rates = [Rate(1000, 100, 1.0), Rate(8000, 300, 1.5), Rate(8000, 300, 1.4)]
    assert expected(rates, 8000, 300) == 1.4


def test_probes_are_brought_to_the_level_of_the_runs() -> None:
    probes = [Rate(1000, 100, 1.0), Rate(4000, 100, 4.0)]
    assert learned(probes, [Rate(4000, 100, 4.8)]) == [
        Rate(1000, 100, pytest.approx(1.2)),
        Rate(4000, 100, pytest.approx(4.8)),
        Rate(4000, 100, 4.8),
    ]


def test_runs_that_waited_for_others_are_forgotten() -> None:
    probes = [Rate(1000, 100, 1.0), Rate(4000, 100, 4.0)]
    assert learned(probes, [Rate(1000, 100, 3.0), Rate(4000, 100, 11.0)]) == probes


def test_a_probe_that_is_taken_while_others_are_busy_is_not_kept(tmp_path: Path) -> None:
    plan = small(tmp_path, 2).jobs[0].plan
    assert plan is not None
    kept = tmp_path / "latency" / "probes"
    assert estimate._seconds_an_image(plan, share=0.5) > 0
    assert not list(kept.glob("*.json"))
    assert estimate._seconds_an_image(plan, share=1.0) > 0
    assert len(list(kept.glob("*.json"))) == 1


def test_a_probe_on_one_thread_is_without_what_that_waits_for_a_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = small(tmp_path, 2).jobs[0].plan
    assert plan is not None
    step = subject.Training.step

    def waits(training: subject.Training, *batch: Any) -> None:
        step(training, *batch)
        time.sleep(0.1)

    monkeypatch.setattr(subject.Training, "step", waits)
    assert estimate._step_timing(plan, replace(plan.place, asked_threads=1).compute()).median_ms < 90
    assert estimate._step_timing(plan, replace(plan.place, asked_threads=2).compute()).median_ms > 100


def test_on_a_busy_machine_one_thread_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def four_seconds(plan: object, compute: Compute) -> Timing:
        threads.append(compute.threads)
        return Timing(4000.0, 0.0, (4000.0,) * 9, settled=True)

    monkeypatch.setattr(estimate, "_step_timing", four_seconds)
    plan = small(tmp_path, 2).jobs[0].plan
    assert plan is not None
    plan = replace(plan, resources=replace(plan.resources, place=replace(plan.place, asked_threads=4)))
    assert estimate._seconds_an_image(plan, share=1.0) == 4.0
    assert estimate._seconds_an_image(plan, share=0.5) == 2.0
    assert threads == [4, 1]


def test_processes_that_want_more_cores_than_there_are_get_a_share(tmp_path: Path) -> None:
    plan = small(tmp_path, 2)
    many = 4 * (os.cpu_count() or 1)
    assert 0 < estimate.share_of_cores(plan, many) < 0.5


def test_runs_that_have_ended_say_how_long_those_of_their_cells_still_take() -> None:
    took = {"small": [1.0, 3.0], "large": [10.0]}
    assert seconds_left(took, [("small", 0.5), ("large", 4.0), ("large", 0.0)], at_once=1) == 1.5 + 6.0 + 10.0
    assert seconds_left(took, [("small", 0.5), ("large", 4.0)], at_once=2) == 6.0  # the longest
    assert seconds_left(took, [("small", 5.0)], at_once=1) == 0.0  # longer than the others: any moment now
    assert seconds_left(took, [("unknown", 0.0)], at_once=1) == (2.0 + 10.0) / 2
    assert seconds_left({}, [("small", 0.5)], at_once=1) is None
    assert seconds_left(took, [], at_once=1) == 0.0


def test_a_sweep_in_a_terminal_says_how_long_its_runs_still_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(view.time, "monotonic", lambda: now)
    console = Console(force_terminal=True, width=200)
    shown = view.View(["small seed=0", "small seed=1", "large seed=0"], ["small", "small", "large"], 1, console)
    now = 100.0
    shown.started(0)
    assert "left" not in str(shown._summary())
    now = 110.0
    shown.ended(0, JobReturn(status=JobStatus.COMPLETED), again=False)
    shown.started(1)
    assert str(shown._summary()).endswith("about 20 s left")
    now = 120.0
    shown.ended(1, JobReturn(status=JobStatus.COMPLETED), again=False)
    shown.started(2)
    shown.heard(2, {"kind": "started", "epochs": 4, "log": "log"})
    now = 125.0
    shown.heard(2, {"kind": "epoch", "epoch": 1, "val_acc": 0.5})
    assert str(shown._summary()).endswith("about 15 s left")
