"""Hydra's own tests of launchers, on dsbench's."""

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite
from hydra.version import _UNSPECIFIED_, VersionBase

from hydra_plugins.dsbench_launcher import DsbenchLauncher


@pytest.fixture(autouse=True)
def _hydra_as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever composed a configuration before has told Hydra which version's defaults to follow."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", _UNSPECIFIED_)


def test_hydra_finds_the_launcher() -> None:
    assert DsbenchLauncher.__name__ in [plugin.__name__ for plugin in Plugins.instance().discover(Launcher)]


@pytest.mark.parametrize(("launcher_name", "overrides"), [("dsbench", [])])
class TestDsbenchLauncher(LauncherTestSuite):
    """Run in this process's pool."""


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", "hydra/launcher=dsbench"])])
class TestDsbenchLauncherIntegration(IntegrationTestSuite):
    """Run from a script."""
