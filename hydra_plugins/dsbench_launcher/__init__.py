"""Hydra finds plugins here and nowhere else: dsbench's launcher and its sweeper, a few lines over dsbench.sweep."""

# No `from __future__ import annotations`: Hydra executes this module outside of sys.modules, where dataclasses look.
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class DsbenchLauncher(Launcher):
    """Runs jobs side by side on this machine, each in a process of its own."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what jobs need."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns how each ended, in order."""
        from dsbench.sweep.launch.local import launch

        return launch(self.hydra_context, self.task_function, self.config, job_overrides, initial_job_idx)


class RayLauncher(DsbenchLauncher):
    """Runs jobs as tasks of Ray (extra `ray`)."""

    def __init__(self, address: str | None, cpus_per_task: int, gpus_per_task: float) -> None:
        self.options = (address, cpus_per_task, gpus_per_task)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what jobs need. Raises InputError where Ray is not installed."""
        _check_installed("hydra/launcher=ray", "ray", "ray")
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns how each ended, in order."""
        from dsbench.sweep.launch.cluster import launch
        from dsbench.sweep.launch.ray import connected

        with connected(*self.options) as ray:
            return launch(ray, self.hydra_context, self.task_function, self.config, job_overrides, initial_job_idx)


class SubmititLauncher(DsbenchLauncher):
    """Runs jobs over submitit (extra `slurm`); `parameters` are submitit's, `folder` is where it has its files."""

    folder: Path | None = None

    def __init__(self, cluster: str, **parameters: Any) -> None:
        self.cluster, self.parameters = cluster, parameters

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what jobs need. Raises InputError where submitit is not installed."""
        _check_installed(f"hydra/launcher=submitit_{self.cluster}", "submitit", "slurm")
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns how each ended, in order."""
        from dsbench.sweep.launch.cluster import launch
        from dsbench.sweep.launch.submitit import Submitit

        folder = self.folder or Path(self.config.outputs).absolute() / "jobs"
        there = Submitit(self.cluster, folder, OmegaConf.to_container(OmegaConf.create(self.parameters)))
        return launch(there, self.hydra_context, self.task_function, self.config, job_overrides, initial_job_idx)


def _check_installed(choice: str, package: str, extra: str) -> None:
    from dsbench.errors import InputError

    if util.find_spec(package) is None:
        raise InputError(f"{choice}: {package} is not installed: pip install 'dsbench[{extra}]'")


class DsbenchSweeper(BasicSweeper):
    """Plans every run before it launches any, and collects them all when they have ended."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        super().__init__(None, params)

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, launch what is not done yet, collect."""
        from dsbench.errors import FailureError, InputError

        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        try:
            return self._conduct(self.config, arguments, self._parse_config(), loader, self.launcher)
        except (InputError, FailureError):
            raise
        except Exception as error:  # what else Hydra raises is about the configuration
            raise FailureError(f"{type(error).__name__}: {error}") from error

    def _conduct(self, *sweep: Any) -> Any:
        from dsbench.sweep.conduct import conduct

        return conduct(*sweep)


class OptunaSweeper(DsbenchSweeper):
    """Searches (extra `optuna`); `search` is how, see conf/hydra/sweeper/optuna.yaml."""

    def __init__(self, params: dict[str, str] | None = None, **search: Any) -> None:
        super().__init__(params)
        self.search = search

    def _conduct(self, *sweep: Any) -> Any:
        _check_installed("hydra/sweeper=optuna", "optuna", "optuna")
        from dsbench.sweep.search import Search, search

        return search(*sweep, Search(**self.search))


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
