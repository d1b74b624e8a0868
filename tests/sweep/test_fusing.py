"""Seeds of a cell as one job: how they are grouped, what is said of it, and that each has its own end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from test_driver import Stub, StubJobs

from dsbench.config.compose import compose
from dsbench.errors import FailureError, InputError
from dsbench.run.interrupts import TimedOut
from dsbench.run.lock import locked
from dsbench.run.outcome import Ended, ProcessDiedError
from dsbench.run.plan import Resources
from dsbench.run.record import Result, Status
from dsbench.sweep import groups as grouping
from dsbench.sweep.estimate import seconds_left
from dsbench.sweep.groups import Group, fused, groups
from dsbench.sweep.launch.driver import Launch
from dsbench.sweep.launch.view import labels, seeds_text
from dsbench.sweep.plan import PlannedJob, SweepPlan, plan_sweep
from dsbench.sweep.sweep import board, unrecorded
from dsbench.training.place import Place

TINY = "arch=mnist_7800_shallow block=keras width=2"
ONE, TWO = f"{TINY} train.max_epochs=1", f"{TINY} train.max_epochs=2"
MIB = 1 << 20

Planning = Callable[..., SweepPlan]


@pytest.fixture
def seeds(overrides: Callable[[str], list[str]]) -> Planning:
    """The plan of so many seeds, of one cell with each of `lines`."""

    def planned(count: int, *lines: str) -> SweepPlan:
        return plan_sweep([overrides(f"{TINY} {line} seed={i}") for i in range(count) for line in lines], compose)

    return planned


def cut(plan: SweepPlan) -> list[list[int]]:
    """The seeds of each group."""
    return [[each.config.seed for each in group.plans] for group in groups(plan)]


def end(plan: SweepPlan, seed: int, status: str, **facts: Any) -> Path:
    """The folder of the plan's run of that seed, whose record has that status."""
    planned = next(job.plan for job in plan.jobs if job.plan and job.plan.config.seed == seed)
    planned.folder.create()
    planned.folder.write_result(replace(planned.facts(), status=Status(status), **facts))
    return planned.folder.path


def test_a_run_that_another_process_is_training_comes_last(seeds: Planning) -> None:
    plan = seeds(3, "")
    first = plan.jobs[0].plan
    assert first is not None
    first.folder.create()
    with locked(first.folder.path, lambda *_: pytest.fail("nobody else has it")):
        assert cut(plan) == [[1], [2], [0]]
    assert cut(plan) == [[0], [1], [2]]


def test_the_missing_seeds_of_a_cell_are_cut_into_jobs_of_about_equal_size(seeds: Planning) -> None:
    assert cut(seeds(10, "fuse=4")) == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    end(seeds(5, ""), 1, "done", result=Result(test_acc=0.9))
    end(seeds(5, ""), 2, "killed")
    assert cut(seeds(5, "fuse=8")) == [[0, 2, 3, 4]]
    assert cut(seeds(3, "")) == cut(seeds(3, "fuse=1")) == [[0], [2]]
    (group,) = groups(seeds(5, "fuse=8"))
    assert group.overrides[-2:] == ("seed=0", "together=[0,2,3,4]")
    assert "together" not in " ".join(groups(seeds(5, ""))[0].overrides)


def test_runs_that_differ_in_more_than_their_seeds_are_no_group_even_where_that_decides_no_result(
    seeds: Planning,
) -> None:
    two = seeds(2, "fuse=2 model=cnn", "fuse=2 model=dwsep")
    assert [(group.first.config.model.family, len(group.plans)) for group in groups(two)] == [("cnn", 2), ("dwsep", 2)]
    lines = ("fuse=2 logger=csv", "fuse=2 logger=tensorboard")
    plan = seeds(2, *lines)
    half = SweepPlan((plan.jobs[0], plan.jobs[3]))  # seed 0 with one logger, seed 1 with the other
    assert len(half.cells) == 1
    assert cut(half) == [[0], [1]]


def test_a_plan_says_how_its_runs_are_fused_and_nothing_where_they_are_not(seeds: Planning) -> None:
    assert fused(groups(seeds(3, ""))) is None
    assert fused(groups(seeds(1, "fuse=8"))) is None
    assert fused(groups(seeds(8, "fuse=8"))) == "8 seeds a program, 1 program"
    assert fused(groups(seeds(5, "fuse=3"))) == "2 to 3 seeds a program, 2 programs"
    assert fused(groups(seeds(3, "fuse=2"))) == "1 to 2 seeds a program, 2 programs"


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SweepPlan]:
    """The plan as a machine with GPUs of so much memory has it."""

    def moved(plan: SweepPlan, memory: int, gpus: int = 1, precision: str = "32") -> SweepPlan:
        monkeypatch.setattr(Resources, "limit_bytes", memory)
        monkeypatch.setattr(grouping, "gpus", lambda: gpus)
        monkeypatch.setattr(grouping, "free_of_gpu", lambda: None)
        there = Place("cuda", "NVIDIA X", precision, 1)
        jobs = []
        for job in plan.jobs:
            assert job.plan is not None
            resources = replace(job.plan.resources, place=there)
            jobs.append(PlannedJob(job.overrides, replace(job.plan, resources=resources)))
        return SweepPlan(tuple(jobs))

    return moved


def test_on_a_gpu_a_program_has_what_its_memory_holds_and_no_gpu_is_left_idle(
    seeds: Planning, on_gpu: Callable[..., SweepPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, asked = seeds(20, ""), seeds(20, "fuse=20")
    assert [len(of) for of in cut(on_gpu(plan, 80_000 * MIB))] == [10, 10]  # 16 at the most
    assert [len(of) for of in cut(on_gpu(plan, 80_000 * MIB, gpus=4))] == [5] * 4
    assert plan.jobs[0].plan is not None
    four = grouping.taken_of_gpu(4 * plan.jobs[0].plan.memory_bytes + 5000 * 28 * 28)
    assert [len(of) for of in cut(on_gpu(plan, four))] == [4] * 5
    there = on_gpu(plan, 80_000 * MIB)
    monkeypatch.setattr(grouping, "free_of_gpu", lambda: four)  # others have the rest
    assert [len(of) for of in cut(there)] == [4] * 5
    assert [len(of) for of in cut(on_gpu(asked, 80_000 * MIB, gpus=4))] == [20]


def test_a_plan_says_why_a_gpu_trains_seeds_by_themselves(seeds: Planning, on_gpu: Callable[..., SweepPlan]) -> None:
    plan, alone = seeds(2, ""), seeds(2, "fuse=1")
    halves = groups(on_gpu(plan, 80_000 * MIB, precision="16"))
    assert fused(halves) == "one seed a program: precision=16 has one scale of the loss for all of a program; " + (
        "take 32 or bf16"
    )
    assert fused(groups(on_gpu(plan, 4 * MIB))) == (
        "one seed a program: the images of mnist5k do not fit into the memory of NVIDIA X"
    )
    assert fused(groups(on_gpu(alone, 80_000 * MIB, precision="16"))) is None


def test_what_a_group_takes_is_that_of_its_runs(seeds: Planning, on_gpu: Callable[..., SweepPlan]) -> None:
    plan = seeds(3, "fuse=3")
    (group,), first = groups(plan), plan.jobs[0].plan
    assert first is not None
    assert group.load.bytes == 3 * first.memory_bytes
    assert group.load.step_macs == 3 * 3 * first.cost.macs * 128
    (there,) = groups(on_gpu(plan, 80_000 * MIB))
    assert there.load.bytes == 3 * first.memory_bytes + 5000 * 28 * 28  # with the images, once


def test_a_group_takes_the_time_of_its_runs_and_on_a_gpu_nobody_knows(
    seeds: Planning, on_gpu: Callable[..., SweepPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = seeds(4, "fuse=4")
    monkeypatch.setattr("dsbench.sweep.estimate._seconds_of_cells", lambda plan, share: dict.fromkeys(plan.cells, 5.0))
    monkeypatch.setattr("dsbench.sweep.estimate.START_SECONDS", 0.0)
    assert seconds_left(plan, 2, 1.0) == 20.0  # a second worker has nothing to do
    assert seconds_left(seeds(4, "fuse=1"), 2, 1.0) == 10.0
    known = dict.fromkeys(plan.cells, 5.0)
    (shown,) = board(plan, groups(plan), known).jobs
    assert (shown.label, shown.runs, shown.seconds) == ("cnn w2 seeds 0-3", 4, 20.0)
    there = on_gpu(plan, 80_000 * MIB)
    assert board(there, groups(there), known).jobs[0].seconds is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fuse=0", "fuse 0 is neither auto nor a number of seeds from 1 to 10,000"),
        ("fuse=2.5", "fuse 2.5 is neither auto nor"),
        ("fuse=many", "fuse many is neither auto nor"),
        ("fuse=true", "fuse True is neither auto nor"),
        ("fuse=null", "fuse has no value; auto, 1 or a number of seeds"),
        ("together=[1,2]", "together [1, 2] lacks seed 0; one of these is the run's own, seed=N"),
        ("together=[]", "together [] lacks seed 0"),
        ("together=[0,0]", "together [0, 0] are not different seeds from 0 to 4294967295"),
        ("together=[0,-1]", "together [0, -1] are not different seeds"),
        ("together=[0,1] stop.by=seconds stop.target=1", "together=[0, 1]: stop.by=seconds ends each run by its own"),
    ],
)
def test_seeds_that_cannot_be_are_one_line(planned: Callable[[str], Any], line: str, says: str) -> None:
    with pytest.raises(InputError) as error:
        planned(f"{TINY} {line}")
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)


def test_a_group_too_large_for_the_memory_is_refused_with_what_would_fit(
    planned: Callable[[str], Any], overrides: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = planned(TINY).memory_bytes
    monkeypatch.setattr(Resources, "limit_bytes", 2 * one)
    words = r"3 seeds as one program need [0-9]+ MiB, this machine has [0-9]+ MiB for it; fuse=2 would fit"
    with pytest.raises(InputError, match=words):
        planned(f"{TINY} together=[0,1,2]").prepare()
    planned(f"{TINY} together=[0,1]").prepare()
    jobs = [overrides(f"{TINY} fuse=8 seed={seed}") for seed in range(3)]
    assert {job.problem.partition(" need")[0] for job in plan_sweep(jobs, compose).jobs if job.problem} == {
        "3 seeds as one program"
    }
    assert plan_sweep(jobs[:2], compose).problems == []
    assert plan_sweep(jobs, compose, here=False).problems == []


def test_a_sweep_that_cannot_be_fused_starts_nothing(
    call: Callable[..., Any], overrides: Callable[[str], list[str]], outputs: Path
) -> None:
    line = "arch=mnist_7800_shallow width=2 seeds=2"
    seconds = call("sweep", "-m", *overrides(f"{line} fuse=2 stop.by=seconds stop.target=1"))
    assert seconds.code == 2
    assert seconds.err.endswith(": fuse=2: stop.by=seconds ends each run by its own clock; take epochs or train_macs\n")
    search = call("sweep", "-m", *overrides(f"{line} fuse=2 model=cnn,dwsep"), "hydra/sweeper=optuna")
    assert search.err == "error: fuse=2: a search trains each run by itself; fuse is for sweeps of all combinations\n"
    by_hand = call("sweep", "-m", *overrides(f"{line} together=[0,1]"))
    assert (by_hand.code, by_hand.err) == (
        2,
        "error: together is set by a sweep itself; fuse=N says how many seeds train as one program\n",
    )
    assert not outputs.exists()


def records(outputs: Path) -> dict[int, dict[str, Any]]:
    """The records by seed."""
    read = [json.loads(path.read_text()) for path in outputs.glob("runs/*/result.json")]
    return {record["seed"]: record for record in read}


BRIEF = "bench_minutes=0 report=false n_jobs=2"


def test_a_fused_sweep_has_the_results_of_its_runs_alone_and_goes_on_after_a_kill(
    call: Callable[..., Any],
    overrides: Callable[[str], list[str]],
    trained: Callable[[str], dict[str, Any]],
    outputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process of the first group dies once, with seeds in training."""
    monkeypatch.setenv("DIED", str(tmp_path / "died"))
    breaking = "+hydra.callbacks.breaking={_target_:breaking.Breaking,ways:{2:die_once}}"
    line = [*overrides(f"{TWO} seeds=4 fuse=3 retries=1 {BRIEF}"), breaking]
    swept = call("sweep", "-m", *line)
    assert (swept.code, swept.err) == (0, ""), swept.out
    assert "2 seeds a program, 2 programs\n" in swept.out
    assert re.search(r"\] seeds=\S+: tried again: killed by SIGKILL.*; log: \S+/run\.log\n", swept.out)
    assert len(re.findall(r"\] seeds=\S+: 2 done, mean test [0-9.]+ %, [0-9]+ s\n", swept.out)) == 2
    assert "[4/4] seeds=" in swept.out
    ended = records(outputs)
    assert {seed: record["status"] for seed, record in ended.items()} == dict.fromkeys(range(4), "done")
    assert {seed: record["fused"] for seed, record in ended.items()} == dict.fromkeys(range(4), 2)
    attempts = [{ended[seed]["attempts"] for seed in group} for group in ((0, 1), (2, 3))]
    assert sorted(map(sorted, attempts)) == [[1], [2]]
    for seed in (0, 3):
        alone = trained(f"{TWO} seed={seed} outputs={tmp_path}/alone")
        assert alone["run_id"] == ended[seed]["run_id"]
        assert ended[seed]["test_acc"] == pytest.approx(alone["test_acc"], abs=0.02)
    again = call("sweep", "-m", *line)
    assert (again.code, "4 done, 0 to train" in again.out) == (0, True)


def test_a_run_of_a_group_that_fails_is_named_and_the_others_count(
    call: Callable[..., Any], overrides: Callable[[str], list[str]], seeds: Planning, outputs: Path
) -> None:
    second = seeds(2, "train.max_epochs=1").jobs[1].plan
    assert second is not None
    (second.folder.path / "metrics.csv").mkdir(parents=True)  # where its epochs would be written
    swept = call("sweep", "-m", *overrides(f"{ONE} seeds=3 fuse=3 {BRIEF}"))
    assert (swept.code, swept.err) == (1, ""), swept.out
    ended = records(outputs)
    assert {seed: record["status"] for seed, record in ended.items()} == {0: "done", 1: "failed", 2: "done"}
    (line,) = (text for text in swept.out.splitlines() if ": failed: " in text)
    assert "failed: seed 1: " in line
    assert ended[1]["error"] in line
    assert "2/3 done" in swept.out
    assert ended[1]["error"] in swept.out.partition("not in a mean because")[2]


@pytest.mark.thorough
def test_with_seeds_auto_those_of_a_look_are_a_group(
    call: Callable[..., Any], overrides: Callable[[str], list[str]], outputs: Path
) -> None:
    line = f"{ONE} model=cnn,dwsep seeds=auto max_seeds=5 looks=[3] verdict.margin=0 fuse=9 {BRIEF}"
    given = overrides(line)
    swept = call("sweep", "-m", *given)
    assert swept.code == 0, swept.out
    assert "2 to 3 seeds a program, 4 programs\n" in swept.out
    assert "model=cnn seeds=0-2: 3 " in swept.out
    assert "look 1 of 2, at 3 seeds" in swept.out
    assert records(outputs).keys() >= {0, 1, 2}


def test_a_run_by_hand_of_several_seeds_is_each_of_them(
    call: Callable[..., Any], overrides: Callable[[str], list[str]], outputs: Path
) -> None:
    ended = call("train", *overrides(f"{ONE} seed=3 together=[3,5]"))
    assert (ended.code, ended.err) == (0, "")
    assert {seed: record["status"] for seed, record in records(outputs).items()} == {3: "done", 5: "done"}
    (outputs.parent / "taken").mkdir()
    (outputs.parent / "taken" / "runs").touch()  # where folders would be
    ended = call("train", *overrides(f"{ONE} seed=3 together=[3,5] outputs={outputs.parent / 'taken'}"))
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "seed 3: " in ended.err
    assert "seed 5: " in ended.err


def test_a_group_that_died_has_the_end_that_those_without_a_result_have(seeds: Planning) -> None:
    """Those with one keep it; where all have one the job has done what it was for."""
    plan = seeds(3, "")
    later = "2999-01-01T00:00:00+00:00"
    folders = [end(plan, 0, "done", finished=later, result=Result(test_acc=0.5)), end(plan, 1, "running")]

    class Group(StubJobs):
        def folders(self, number: int) -> list[Path]:
            return folders

    def launched() -> JobReturn:
        (returned,) = Launch(Stub(True, [Ended("killed", "so")]), Group(2), ["a"], 0).run()  # type: ignore[arg-type]
        return returned

    first = launched()
    assert (first.status, str(first._return_value)) == (JobStatus.FAILED, "so")
    assert json.loads((folders[1] / "result.json").read_text())["status"] == "killed"
    end(plan, 1, "collapsed", finished=later)
    assert launched().status == JobStatus.COMPLETED
    folders.append(end(plan, 2, "missing").parent / "none")  # it has not begun
    assert launched().status == JobStatus.FAILED


def test_what_no_record_says_is_the_end_of_every_run_of_a_group_that_has_none(seeds: Planning) -> None:
    plan = seeds(3, "fuse=3")
    end(plan, 0, "done", finished="2026-01-02T00:00:00+00:00")
    died = JobReturn(status=JobStatus.FAILED)
    died.return_value = ProcessDiedError(Ended("killed", "so"))
    (group,) = [Group.of(plan.jobs)]
    ids = [each.run_id for each in group.plans]
    assert unrecorded([group], [died], "2026-01-01T00:00:00+00:00") == dict.fromkeys(ids[1:], Ended("killed", "so"))


def test_the_error_of_a_job_names_the_seeds_that_failed_and_why() -> None:
    from dsbench.cli.hydra import _failed

    out = RuntimeError("no memory\nand more")
    assert _failed({7: out}, 1) is out
    some = _failed({0: out, 3: RuntimeError("no memory"), 5: OSError("no disk")}, 8)
    assert isinstance(some, FailureError)
    assert str(some) == "seeds 0, 3: no memory; seed 5: no disk"
    late = TimedOut("ran longer than timeout=8 s")
    assert _failed({0: late, 1: late}, 2) is late
    assert str(_failed({0: late}, 2)) == "seed 0: ran longer than timeout=8 s"


def test_seeds_are_written_in_brief_and_a_group_is_called_by_them() -> None:
    assert seeds_text([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"
    jobs = [["width=2", "seed=0", "together=[0,1,2]"], ["width=2", "seed=3"], ["width=4", "seed=0", "together=[0,9]"]]
    assert labels(jobs) == ["width=2 seeds=0-2", "width=2 seed=3", "width=4 seeds=0,9"]
