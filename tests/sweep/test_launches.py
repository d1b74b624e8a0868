"""What a sweep asks of a launcher, whatever launcher it is, and what it makes of how runs ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from dsbench.conclude import reasons
from dsbench.config.compose import compose
from dsbench.errors import FailureError
from dsbench.run.interrupts import TimedOut
from dsbench.run.outcome import Fate, ProcessDiedError, recorded
from dsbench.sweep.conduct import Launches
from dsbench.sweep.launch.cluster import Away, HandedIn
from dsbench.sweep.launch.local import ended_so, failed
from dsbench.sweep.plan import SweepPlan, plan_sweep

TINY = "arch=mnist_7800_shallow width=2"

Plan = Callable[..., SweepPlan]


@pytest.fixture
def plan(overrides: Callable[[str], list[str]]) -> Plan:
    """The plan of jobs, by what is special about each."""
    return lambda *lines: plan_sweep([overrides(f"{TINY} {line}") for line in lines], compose)


def record(plan: SweepPlan, **said: Any) -> Path:
    """The folder of the plan's first run, with a record that says this."""
    planned = plan.jobs[0].plan
    assert planned is not None
    planned.folder.create()
    planned.folder.write_result(replace(planned.facts(), **said))
    return planned.folder.path


class Launcher:
    """Keeps what it is given to launch."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        self.jobs = [set(one) for one in job_overrides]
        return []


def launches(outputs: Path, launcher: Any) -> Launches:
    return Launches(OmegaConf.create({"outputs": str(outputs)}), "first", [], launcher)


def test_a_run_in_wandb_has_the_sweep_for_its_group_unless_it_names_one(plan: Plan, outputs: Path) -> None:
    launcher = Launcher()
    sweep = launches(outputs, launcher)
    sweep.launch(plan("logger=csv", "logger=wandb seed=1", "logger=wandb logger.group=own seed=2"))
    groups = [{one for one in job if one.startswith("logger.group")} for job in launcher.jobs]
    assert groups == [set(), {"logger.group=first"}, {"logger.group=own"}]


def test_a_sweep_has_its_results_where_its_runs_have_them_whatever_its_table_lists(plan: Plan, outputs: Path) -> None:
    sweep, asked = launches(outputs, Launcher()), plan("")
    sweep.ask(asked)
    nothing = pd.DataFrame({"run_id": [], "status": []})
    assert not sweep.have_results(nothing)
    assert not sweep.have_results(pd.DataFrame({"run_id": ["0" * 12], "status": ["done"]}))
    assert sweep.have_results(pd.DataFrame({"run_id": list(asked.runs), "status": ["done"]}))
    record(asked, status="failed")
    assert not sweep.have_results(nothing)
    record(asked, status="done")
    assert sweep.have_results(nothing)


def test_tables_are_shown_before_what_ended_a_sweep_unless_its_launcher_refused(plan: Plan, outputs: Path) -> None:
    sweep, shown = launches(outputs, Launcher()), []
    sweep.ask(plan(""))
    for error in (FailureError("no sbatch"), KeyboardInterrupt()):
        with pytest.raises(type(error)), sweep.shown_anyway(lambda: shown.append(1 / 0)):
            raise error
        with pytest.raises(type(error)), sweep.shown_anyway(lambda error=error: shown.append(error)):
            raise error
    assert [type(one) for one in shown] == [KeyboardInterrupt]


def test_a_damaged_record_is_a_problem_of_its_run_alone(plan: Plan) -> None:
    folder = record(plan(""), status="done")
    (folder / "result.json").write_text('{"status": ')
    damaged, whole = plan("", "seed=1").jobs
    assert damaged.problem is not None
    assert f"the record {folder / 'result.json'} is damaged" in damaged.problem
    assert (whole.problem, whole.done) == (None, False)
    found = Fate("killed", "by the test")
    assert recorded(folder, found) == found


def test_what_a_run_says_of_its_end_goes_before_what_is_seen_of_it_if_it_is_of_this_end(plan: Plan) -> None:
    asked, seen = plan(""), Fate("killed", "its process ended with exit code 124")
    ended = {"status": "timeout", "error": "ran longer than timeout=8 s", "finished": "2026-01-02T00:00:00+00:00"}
    folder = record(asked, **ended)
    assert recorded(folder, seen, "2026-01-01T00:00:00+00:00") == Fate("timeout", ended["error"])
    assert recorded(folder, seen, "2026-01-03T00:00:00+00:00") == seen
    failed = JobReturn(status=JobStatus.FAILED)
    failed.return_value = ProcessDiedError(seen)
    assert reasons(asked.jobs, [failed], "2026-01-01T00:00:00+00:00") == {}
    assert reasons(asked.jobs, [failed], "2026-01-03T00:00:00+00:00") == {next(iter(asked.runs)): seen}
    record(asked, **ended | {"status": "running", "finished": None})
    assert recorded(folder, seen, "2026-01-03T00:00:00+00:00") == seen
    assert json.loads((folder / "result.json").read_text())["status"] == "killed"


def test_a_job_that_is_out_of_time_is_a_result_that_any_process_can_read() -> None:
    class Call:
        config = OmegaConf.create({"hydra": {"overrides": {"task": ["width=2"]}}})

        def __call__(self) -> None:
            raise TimedOut("ran longer than timeout=8 s")

    job = cloudpickle.loads(cloudpickle.dumps(Away(Call())()))  # type: ignore[arg-type]
    assert (job.status, job.overrides) == (JobStatus.FAILED, ["width=2"])
    assert job._return_value.fate == Fate("timeout", "ran longer than timeout=8 s")


def test_a_job_that_is_taken_from_a_cluster_goes_there_again_and_one_that_it_refuses_then_ends_no_other() -> None:
    class Call:
        def __init__(self, width: int) -> None:
            self.config = OmegaConf.create({"hydra": {"overrides": {"task": [f"width={width}"]}}})

    class Preempting:
        cpus_per_task, at_once = 1, 1

        def __init__(self) -> None:
            self.seen: list[str] = []

        def submit(self, calls: Sequence[Away]) -> list[Any]:
            self.seen += calls[0].call.config.hydra.overrides.task
            if self.seen.count("width=3") == 2:
                raise FailureError("no more jobs")
            return [(call.call.config, len(self.seen)) for call in calls]

        def ended(self, jobs: Sequence[Any]) -> Sequence[Any]:
            return jobs

        def outcome(self, job: Any) -> JobReturn:
            config, number = job
            if number > 3:
                return ended_so(Fate("done", ""), config)
            return failed(config, ProcessDiedError(Fate(("interrupted", "killed", "timeout")[number - 1], "so")))

        def cancel(self, jobs: Sequence[Any]) -> None:
            raise AssertionError

    cluster = Preempting()
    jobs = HandedIn(cluster, [Call(width) for width in (2, 3, 4)], ["a", "b", "c"], retries=1).run()  # type: ignore[list-item, misc]
    assert cluster.seen == ["width=2", "width=3", "width=4", "width=2", "width=3"]
    assert [job.status for job in jobs] == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.FAILED]
    assert [str(job._return_value) for job in jobs[1:]] == ["no more jobs", "so"]
