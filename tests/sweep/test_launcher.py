"""Hydra's own tests of launchers, on dsbench's, and a launcher of one's own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite
from hydra.version import _UNSPECIFIED_, VersionBase
from omegaconf import DictConfig

from dsbench.run.outcome import ProcessDiedError
from dsbench.sweep.launch.backend import Backend
from dsbench.sweep.launch.job import Job, run_elsewhere
from hydra_plugins.dsbench_launcher import DsbenchLauncher


@pytest.fixture(autouse=True)
def _hydra_as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever composed a configuration before has told Hydra which version's defaults to follow."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", _UNSPECIFIED_)


def test_hydra_finds_the_launcher() -> None:
    assert DsbenchLauncher.__name__ in [plugin.__name__ for plugin in Plugins.instance().discover(Launcher)]


@pytest.mark.usefixtures("hydra_restore_singletons")
def test_a_job_that_hangs_before_its_run_begins_has_no_more_time_than_a_run(
    hydra_sweep_runner: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def hang_where_there_is_a_limit(config: DictConfig) -> int:
        time.sleep(600 if config.timeout else 0)
        return 100

    monkeypatch.setattr("dsbench.run.interrupts.GRACE_SECONDS", 0.1)
    sweep = hydra_sweep_runner(
        calling_file=None,
        calling_module="hydra.test_utils.a_module",
        task_function=hang_where_there_is_a_limit,
        config_path="configs",
        config_name="compose.yaml",
        overrides=["hydra/launcher=dsbench", "+timeout=0.5,null"],
        temp_dir=tmp_path,
    )
    with pytest.raises(ProcessDiedError, match=r"ran longer than timeout=0\.5 s") as died, sweep:
        pass
    assert died.value.ended.status == "timeout"
    assert "timeout=null: done" in capsys.readouterr().out


class Here(Backend):
    """Runs each job in this process, when it is started."""

    def __init__(self, cores: int) -> None:
        self.threads = cores

    def __str__(self) -> str:
        return "this process"

    def start(self, jobs: Sequence[Job]) -> list[Job]:
        self.ends = {job: run_elsewhere(job) for job in jobs}
        return list(jobs)

    def poll(self, running: Sequence[Job]) -> list[tuple[Job, JobReturn]]:
        return [(job, self.ends[job]) for job in running]

    def end(self, running: Sequence[Job], grace_seconds: float) -> None:
        assert not running


def test_a_class_and_its_yaml_file_are_a_launcher_whose_runs_have_the_threads_that_it_says(
    call: Callable[..., Any], overrides: Callable[[str], list[str]], outputs: Path, tmp_path: Path
) -> None:
    yaml = tmp_path / "conf" / "hydra" / "launcher" / "here.yaml"
    yaml.parent.mkdir(parents=True)
    yaml.write_text(
        f"_target_: hydra_plugins.dsbench_launcher.DsbenchLauncher\nbackend: {__name__}.{Here.__qualname__}\ncores: 2\n"
    )
    line = "arch=mnist_7800_shallow width=2 stop.by=seconds stop.target=0.1 hydra/launcher=here report=false seeds=1"
    given = [override for override in overrides(line) if not override.startswith("threads=")]
    ended = call("sweep", "-m", "--config-dir", str(tmp_path / "conf"), *given)
    assert (ended.code, ended.err) == (0, "")
    assert "1 job handed to this process\n" in ended.out
    assert "measuring" not in ended.out  # by turns, on a machine that has trained nothing
    (record,) = (json.loads(path.read_text()) for path in outputs.glob("runs/*/result.json"))
    assert (record["status"], record["threads"]) == ("done", 2)


@pytest.mark.parametrize(("launcher_name", "overrides"), [("dsbench", [])])
class TestDsbenchLauncher(LauncherTestSuite):
    """Run in this process's pool."""


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", "hydra/launcher=dsbench"])])
class TestDsbenchLauncherIntegration(IntegrationTestSuite):
    """Run from a script."""
