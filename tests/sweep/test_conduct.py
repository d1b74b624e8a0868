"""What a sweep has launched, whatever launcher it has, and what it makes of how runs ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from dsbench.config.compose import compose
from dsbench.errors import FailureError
from dsbench.run.outcome import Ended, ProcessDiedError, recorded_end
from dsbench.run.record import Status
from dsbench.sweep.conduct import Sweep, unrecorded, with_shared
from dsbench.sweep.name import SweepName
from dsbench.sweep.plan import SweepPlan, plan_sweep

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
    return Sweep(OmegaConf.create({"outputs": str(outputs), "verdict": margins}), SweepName("first"), [], launcher)


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
    assert unrecorded(planned.jobs, [failed], "2026-01-01T00:00:00+00:00") == {}
    assert unrecorded(planned.jobs, [failed], "2026-01-03T00:00:00+00:00") == {next(iter(planned.runs)): seen}
    record(planned, **ended | {"status": "running", "finished": None})
    assert recorded_end(folder, seen, "2026-01-03T00:00:00+00:00") == seen
    assert json.loads((folder / "result.json").read_text())["status"] == "killed"


def test_what_a_job_decides_by_itself_is_left_to_it() -> None:
    assert with_shared(["width=4", "threads=2"], ["threads=1"]) == ["width=4", "threads=2"]
    assert with_shared(["width=4"], ["threads=1"]) == ["width=4", "threads=1"]
