"""Hydra finds plugins here and nowhere else: dsbench's launcher and its sweeper, a few lines over dsbench.sweep."""

# No `from __future__ import annotations`: Hydra executes this module outside of sys.modules, where dataclasses look.
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class DsbenchLauncher(Launcher):
    """Runs jobs side by side on this machine, each in a process of its own."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what jobs need."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns how each ended, in order."""
        from dsbench.sweep.local import launch

        return launch(self.hydra_context, self.task_function, self.config, job_overrides, initial_job_idx)


class DsbenchSweeper(BasicSweeper):
    """Plans every run before it launches any, and collects them all when they have ended."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        super().__init__(None, params)

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, launch what is not done yet, collect."""
        from dsbench.errors import FailureError, InputError
        from dsbench.sweep.conduct import conduct

        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        try:
            return conduct(self.config, arguments, self._parse_config(), loader, self.launcher)
        except InputError:
            raise
        except Exception as error:  # what else Hydra raises is about the configuration
            raise FailureError(f"{type(error).__name__}: {error}") from error


@dataclass
class DsbenchLauncherConf:
    """hydra/launcher=dsbench."""

    _target_: str = "hydra_plugins.dsbench_launcher.DsbenchLauncher"


@dataclass
class DsbenchSweeperConf:
    """hydra/sweeper=dsbench; `params` are the axes of a named sweep."""

    _target_: str = "hydra_plugins.dsbench_launcher.DsbenchSweeper"
    params: dict[str, str] | None = field(default_factory=dict)


ConfigStore.instance().store(group="hydra/launcher", name="dsbench", node=DsbenchLauncherConf, provider="dsbench")
ConfigStore.instance().store(group="hydra/sweeper", name="dsbench", node=DsbenchSweeperConf, provider="dsbench")
