"""Hydra's own tests of launchers, on dsbench's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite
from hydra.version import _UNSPECIFIED_, VersionBase
from omegaconf import DictConfig

from dsbench.run.outcome import ProcessDiedError
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


@pytest.mark.parametrize(("launcher_name", "overrides"), [("dsbench", [])])
class TestDsbenchLauncher(LauncherTestSuite):
    """Run in this process's pool."""


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", "hydra/launcher=dsbench"])])
class TestDsbenchLauncherIntegration(IntegrationTestSuite):
    """Run from a script."""
