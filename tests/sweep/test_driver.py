"""A launch, whatever runs its jobs: what is composed, tried again, ended and told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import OmegaConf

from dsbench.cli import hydra
from dsbench.config import schema
from dsbench.config.schema import conf_dir
from dsbench.errors import FailureError
from dsbench.run.interrupts import TimedOut
from dsbench.run.outcome import Ended
from dsbench.sweep.composition import Composer
from dsbench.sweep.launch import job as launched
from dsbench.sweep.launch.driver import Launch
from dsbench.sweep.launch.job import Job, Jobs


@pytest.fixture
def two_jobs() -> Iterator[Callable[..., Jobs]]:
    """The jobs of a launch of dsbench's runs, the first of which Hydra counts as its tenth."""
    schema.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("sweep", return_hydra_config=True)
        context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
        yield lambda **how: Jobs(
            context, hydra.job, config, [["width=3"], ["width=4", "threads=7"]], 10, threads=2, **how
        )


def test_jobs_are_composed_when_they_are_asked_for(
    two_jobs: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    composed: list[list[str]] = []
    original = Composer.__call__

    def counted(self: Composer, overrides: Any) -> Any:
        composed.append(list(overrides))
        return original(self, overrides)

    monkeypatch.setattr(Composer, "__call__", counted)
    jobs = two_jobs()
    assert (len(jobs), composed) == (2, [])
    second = jobs[1].config
    assert (second.width, second.threads, second.hydra.job.num) == (4, 7, 11)
    assert jobs[1].config is second
    assert composed == [["width=4", "threads=7"]]
    assert jobs[0].config.threads == 2


def test_folders_are_the_sweeps_own_wherever_a_job_runs(
    two_jobs: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    there, here = two_jobs(absolute=True)[0].config, two_jobs()[0].config
    assert (there.outputs, here.outputs) == (str(tmp_path / "outputs"), "outputs")


def test_a_job_that_is_out_of_time_is_a_result_that_any_process_can_read(
    two_jobs: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_time(**_: Any) -> None:
        raise TimedOut("ran longer than timeout=8 s")

    monkeypatch.setattr(launched, "run_job", out_of_time)
    returned = cloudpickle.loads(cloudpickle.dumps(two_jobs()[0]()))
    assert (returned.status, returned.overrides) == (JobStatus.FAILED, ["width=3"])
    assert returned._return_value.ended == Ended("timeout", "ran longer than timeout=8 s")


class StubJobs(list[Job]):
    """Jobs of those widths, none of which is a run."""

    def __init__(self, *widths: int) -> None:
        configs = [OmegaConf.create({"hydra": {"overrides": {"task": [f"width={width}"]}}}) for width in widths]
        super().__init__(Job(number, config, b"") for number, config in enumerate(configs))

    def folders(self, number: int) -> list[Path]:
        return []


class Stub:
    """A backend of a single worker, whose jobs come to what `ends` lists, one after the other."""

    threads, at_once = 1, 1

    def __init__(self, watched: bool, ends: Sequence[Any]) -> None:
        self.watched, self.ends, self.seen = watched, list(ends), list[str]()

    def __enter__(self) -> Stub:
        return self

    def __exit__(self, *error: object) -> None:
        assert self.ends == []

    def start(self, jobs: Sequence[Job]) -> list[Any]:
        self.seen += jobs[0].config.hydra.overrides.task
        self.end_of_job = self.ends.pop(0)
        if isinstance(self.end_of_job, Exception):
            raise self.end_of_job
        return list(jobs)

    def poll(self, running: Sequence[Job]) -> list[tuple[Job, Any]]:
        return [(job, self.end_of_job or job.ended(Ended("done", ""))) for job in running]

    def end(self, running: Sequence[Job], grace_seconds: float) -> None:
        assert not running


def launched_on(backend: Stub, widths: Sequence[int], retries: int) -> list[str]:
    """How each job ended: nothing, or why it failed."""
    returned: list[JobReturn] = Launch(backend, StubJobs(*widths), "abc"[: len(widths)], retries).run()  # type: ignore[arg-type]
    return [str(job._return_value) if job.status == JobStatus.FAILED else "" for job in returned]


def test_a_job_that_is_taken_from_a_cluster_goes_there_again_and_one_that_it_refuses_then_ends_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ends = [
        Ended("interrupted", "so"),
        Ended("killed", "so"),
        Ended("timeout", "so"),
        None,
        FailureError("no more jobs"),
    ]
    cluster = Stub(False, ends)
    assert launched_on(cluster, (2, 3, 4), retries=1) == ["", "no more jobs", "so"]
    assert cluster.seen == ["width=2", "width=3", "width=4", "width=2", "width=3"]
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines == [
        "[0/3] a: handed in again: so",
        "[0/3] b: handed in again: so",
        "[1/3] c: failed: so",
        "[2/3] a: ended",
        "[3/3] b: failed: no more jobs",
    ]


def test_on_this_machine_a_job_that_is_killed_is_tried_again_and_one_that_somebody_stops_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ends = [Ended("killed", "so"), Ended("interrupted", "by hand"), Ended("killed", "so"), Ended("killed", "so")]
    assert launched_on(Stub(True, ends), (2, 3), retries=2) == ["so", "by hand"]
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.endswith("started")] == [
        "[0/2] a: tried again: so",
        "[0/2] b: failed: by hand",
        "[1/2] a: tried again: so",
        "[1/2] a: failed: so",
    ]


def test_a_backend_that_takes_none_at_all_is_an_error() -> None:
    with pytest.raises(FailureError, match="no sbatch"):
        launched_on(Stub(False, [FailureError("no sbatch")]), (2, 3), retries=1)


WEIGHED = """
import psutil
from hydra.core.utils import JobReturn, JobStatus
from dsbench.sweep.launch import driver
from dsbench.sweep.launch.local import Local
from dsbench.sweep.launch.workers import Workers
class Job:
    config = {}
    def __init__(self, number):
        self.number = number
    def __call__(self):
        job = JobReturn(overrides=[], status=JobStatus.COMPLETED)
        job.return_value = self.number
        return job
class Weighing(driver.Launch):
    def _keep(self, job, returned, again):
        super()._keep(job, returned, again)
        sizes.append(psutil.Process().memory_info().rss)
sizes = []
count = 160
launch = Weighing(Local(Workers(({}, {}), 1)), [Job(i) for i in range(count)], ["job"] * count, 0)
launch._view.console.quiet = True
assert [job.return_value for job in launch.run()] == list(range(count))
print(max(sizes[-30:]) - max(sizes[30:60]))
"""


def test_memory_does_not_grow_with_the_number_of_jobs() -> None:
    ended = subprocess.run([sys.executable, "-c", WEIGHED], capture_output=True, text=True, timeout=120)
    assert int(ended.stdout) < 1 << 20, ended.stderr
