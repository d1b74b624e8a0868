"""What a sweep has launched, whatever launcher it has, and what it makes of how runs ended."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from dsbench.config.compose import compose
from dsbench.errors import FailureError
from dsbench.run.interrupts import Interrupted
from dsbench.run.outcome import Ended, ProcessDiedError, recorded_end
from dsbench.run.record import Result, Status
from dsbench.sweep.conduct import with_shared
from dsbench.sweep.groups import groups
from dsbench.sweep.launch.backend import KnownJobs
from dsbench.sweep.name import SweepName
from dsbench.sweep.plan import SweepPlan, plan_sweep
from dsbench.sweep.sweep import Sweep, board, so_far, unrecorded

TINY = "arch=mnist_7800_shallow width=2"

Plan = Callable[..., SweepPlan]


@pytest.fixture
def plan(overrides: Callable[[str], list[str]]) -> Plan:
    """The plan of jobs, by what is special about each."""
    return lambda *lines: plan_sweep([overrides(f"{TINY} {line}") for line in lines], compose)


def record(plan: SweepPlan, status: str, **facts: Any) -> Path:
    """The folder of the plan's first run, with a record of that status that has these facts."""
    planned = plan.jobs[0].plan
    assert planned is not None
    planned.folder.create()
    planned.folder.write_result(replace(planned.facts(), status=Status(status), **facts))
    return planned.folder.path


class Launcher:
    """Keeps what it is given to launch."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        self.jobs = [set(overrides) for overrides in job_overrides]
        return []


def sweeping(outputs: Path, launcher: Any) -> Sweep:
    margins = {"margin": None, "speed_margin": 10.0}
    own = {"outputs": str(outputs), "verdict": margins, "hydra": {"runtime": {"config_sources": []}}}
    return Sweep(OmegaConf.create(own), SweepName("first"), [], launcher)


def test_a_run_in_wandb_has_the_sweep_for_its_group_unless_it_names_one(plan: Plan, outputs: Path) -> None:
    launcher = Launcher()
    sweep = sweeping(outputs, launcher)
    sweep.launch(plan("logger=csv", "logger=wandb seed=1", "logger=wandb logger.group=own seed=2"))
    groups = [{override for override in job if override.startswith("logger.group")} for job in launcher.jobs]
    assert groups == [set(), {"logger.group=first"}, {"logger.group=own"}]


def test_a_sweep_has_its_results_where_its_runs_have_them_whatever_its_table_lists(plan: Plan, outputs: Path) -> None:
    sweep, first, second = sweeping(outputs, Launcher()), plan("seed=1"), plan("seed=2")
    sweep.write(first)
    sweep.show()
    assert not sweep.complete()
    record(first, status="failed")
    sweep.show()
    assert not sweep.complete()
    record(first, status="done")
    assert sweep.complete()  # before a table lists it
    sweep.show()
    assert sweep.complete()
    sweep.write(second)  # the table shown last knows nothing of it
    assert not sweep.complete()
    record(second, status="collapsed")
    assert sweep.complete()


def test_tables_are_shown_before_what_ended_a_sweep_unless_its_launcher_refused(plan: Plan, outputs: Path) -> None:
    sweep, shown = sweeping(outputs, Launcher()), []
    sweep.write(plan(""))
    for error in (FailureError("no sbatch"), KeyboardInterrupt()):
        with pytest.raises(type(error)), sweep.told_anyway(lambda: shown.append(1 / 0)):
            raise error
        with pytest.raises(type(error)), sweep.told_anyway(lambda error=error: shown.append(error)):
            raise error
    assert [type(error) for error in shown] == [KeyboardInterrupt]


def test_a_damaged_record_is_a_problem_of_its_run_alone(plan: Plan) -> None:
    folder = record(plan(""), status="done")
    (folder / "result.json").write_text('{"status": ')
    damaged, whole = plan("", "seed=1").jobs
    assert damaged.problem is not None
    assert f"the record {folder / 'result.json'} is damaged" in damaged.problem
    assert (whole.problem, whole.done) == (None, False)
    ended = Ended("killed", "by the test")
    assert recorded_end(folder, ended, "") == ended


def test_a_record_of_this_end_goes_before_what_is_seen_of_it(plan: Plan) -> None:
    planned, seen = plan(""), Ended("killed", "its process ended with exit code 124")
    ended: dict[str, Any] = {
        "status": "timeout",
        "error": "ran longer than timeout=8 s",
        "finished": "2026-01-02T00:00:00+00:00",
    }
    folder = record(planned, **ended)
    assert recorded_end(folder, seen, "2026-01-01T00:00:00+00:00") == Ended("timeout", ended["error"])
    assert recorded_end(folder, seen, "2026-01-03T00:00:00+00:00") == seen
    failed = JobReturn(status=JobStatus.FAILED)
    failed.return_value = ProcessDiedError(seen)
    assert unrecorded(groups(planned), [failed], "2026-01-01T00:00:00+00:00") == {}
    assert unrecorded(groups(planned), [failed], "2026-01-03T00:00:00+00:00") == {next(iter(planned.runs)): seen}
    record(planned, **ended | {"status": "running", "finished": None})
    assert recorded_end(folder, seen, "2026-01-03T00:00:00+00:00") == seen
    assert json.loads((folder / "result.json").read_text())["status"] == "killed"


def test_what_a_job_decides_by_itself_is_left_to_it() -> None:
    assert with_shared(["width=4", "threads=2"], ["threads=1"]) == ["width=4", "threads=2"]
    assert with_shared(["width=4"], ["threads=1"]) == ["width=4", "threads=1"]


def test_a_launcher_knows_of_a_launch_where_its_files_go_what_runs_take_and_how_they_are_shown(
    plan: Plan, outputs: Path
) -> None:
    class Ours(Launcher):
        known = KnownJobs()

        def backend(self, jobs: int, known: KnownJobs) -> None:
            raise AssertionError("a launch makes its own")

    launcher, planned = Ours(), plan("seed=0", "seed=1")
    sweeping(outputs, launcher).launch(planned)
    assert launcher.known.folder == outputs / "sweeps" / "first" / "jobs"
    assert [load.bytes for load in launcher.known.loads] == [job.plan.memory_bytes for job in planned.jobs if job.plan]
    assert launcher.known.board is not None
    assert len(launcher.known.board.jobs) == 2


def test_ctrl_c_shows_nothing_and_says_how_far_the_sweep_had_come(plan: Plan, outputs: Path) -> None:
    sweep = sweeping(outputs, Launcher())
    sweep.write(plan("", "seed=1", "seed=2", "seed=3"))
    record(plan("seed=1"), status="done")
    record(plan("seed=2"), status="interrupted")
    kept: list[str] = []
    interrupted = Interrupted(signal.SIGINT)
    with pytest.raises(Interrupted), sweep.told_anyway(lambda: kept.append("shown"), lambda: kept.append("kept")):
        raise interrupted
    assert (interrupted.so_far, kept) == ("1 of 4 done, 1 stopped, 2 not begun", ["kept"])
    assert sweep.folder.runs_file.exists()


@pytest.mark.parametrize(
    ("statuses", "line"),
    [
        (["done", "collapsed", "diverged"], "3 of 3 done"),
        (["interrupted", "killed", "missing"], "0 of 3 done, 2 stopped, 1 not begun"),
        (["done", "failed", "timeout", "running"], "1 of 4 done, 2 failed, 1 trained by another process"),
    ],
)
def test_how_far_a_sweep_has_come_names_what_there_is(statuses: list[str], line: str) -> None:
    assert so_far(statuses) == line


def test_a_view_is_told_what_is_done_of_each_cell_and_what_its_jobs_are_called(plan: Plan) -> None:
    record(plan("seed=1"), status="done", result=Result(test_acc=0.5))
    both = plan("", "seed=1", "model=dwsep")
    seconds = dict.fromkeys(both.cells, 3.0)
    shown = board(both, groups(both), seconds)
    assert [(cell.name, cell.runs, cell.accuracies) for cell in shown.cells] == [("cnn", 2, [0.5]), ("dwsep", 1, [])]
    assert [(job.label, job.cell.name) for job in shown.jobs] == [("cnn w2 s0", "cnn"), ("dwsep w2 s0", "dwsep")]
    assert {job.seconds for job in shown.jobs} == {3.0}
