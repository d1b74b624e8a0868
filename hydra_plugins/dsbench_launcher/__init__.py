"""Hydra finds plugins here and nowhere else: dsbench's launcher and sweepers, a few lines over
dsbench.sweep, and where the YAML files of imported sets are."""

# No `from __future__ import annotations`: Hydra executes this module outside of sys.modules, where dataclasses look.
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

LOCAL = "dsbench.sweep.launch.local.Local"


class ImportedSets(SearchPathPlugin):
    """Lets `data=NAME` name the sets that `dsbench data import` has put into the folder of data sets."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Look there last: of two files with one name, dsbench's own wins."""
        folder = Path(os.environ.get("DSBENCH_DATA") or "data", "conf").absolute()
        if folder.is_dir():
            search_path.append("dsbench data import", f"file://{folder}")


class DsbenchLauncher(Launcher):
    """Runs jobs on a backend (see dsbench.sweep.launch.backend), by default side by side on this machine."""

    def __init__(self, backend: str = LOCAL, **options: Any) -> None:
        """`backend` is the full name of its class, `options` are those of its file in conf/hydra/launcher."""
        self._backend, self._options = backend, OmegaConf.to_container(OmegaConf.create(options))
        self.known: Any = None  # of the jobs of the next launch, a dsbench.sweep.launch.backend.KnownJobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what jobs need. Raises InputError where what runs them is not installed."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self._class = get_class(self._backend)
        if self._class.needs:
            _check_installed(f"hydra/launcher={config.hydra.runtime.choices['hydra/launcher']}", *self._class.needs)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns how each ended, in order."""
        from dsbench.sweep.launch.backend import KnownJobs
        from dsbench.sweep.launch.driver import launch

        known = self.known or KnownJobs()
        backend = self.backend(len(job_overrides), known)
        context, task = self.hydra_context, self.task_function
        return launch(backend, context, task, self.config, job_overrides, initial_job_idx, known.board)

    def backend(self, jobs: int, known: Any) -> Any:
        """What runs so many jobs, of which so much is `known`."""
        from dsbench.sweep.launch.backend import LaunchContext
        from dsbench.sweep.launch.job import is_ours

        ours = is_ours(self.task_function)
        folder = known.folder or Path(self.config.get("outputs", ".")).absolute() / "jobs"
        return self._class.of(LaunchContext(self.config, jobs, folder, ours, known.loads), **self._options)


def _check_installed(choice: str, package: str, extra: str) -> None:
    from dsbench.errors import InputError

    if util.find_spec(package) is None:
        raise InputError(f"{choice}: {package} is not installed: pip install 'dsbench[{extra}]'")


class DsbenchSweeper(Sweeper):
    """Plans every run before it launches any, collects them all when they have ended, and says what follows."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        """`params` are the axes of a named sweep."""
        self.params = [f"{name}={value}" for name, value in (params or {}).items()]

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what sweeps need, the launcher among it."""
        from hydra.core.plugins import Plugins

        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Launch the runs that are not done yet, and conclude. Raises SystemExit(1) where runs have no result."""
        sweep = self.swept(arguments)
        if sweep is None:
            return []
        if not sweep.complete():
            raise SystemExit(1)
        return sweep.returned

    def swept(self, arguments: list[str]) -> Any:
        """As sweep, whatever results there are; returns the dsbench.sweep.sweep.Sweep, None where it is only planned.

        Raises InputError and FailureError.
        """
        from dsbench.errors import FailureError, InputError

        try:
            sweep = self.conduct(self.config, arguments, self.params, self.hydra_context.config_loader, self.launcher)
            if sweep is not None:
                self.conclude(sweep)
                chosen = sweep.then() if sweep.then and sweep.complete() else None
                if chosen is not None:
                    sweep = chosen
                    self.conclude(sweep)
            return sweep
        except (InputError, FailureError):
            raise
        except Exception as error:  # what else Hydra raises is about the configuration
            raise FailureError(f"{type(error).__name__}: {error}") from error

    def conduct(self, *sweep: Any) -> Any:
        """Run all combinations."""
        from dsbench.sweep.conduct import conduct

        return conduct(*sweep)

    def conclude(self, sweep: Any) -> None:
        """Measure, print the verdict, write the page."""
        from dsbench.conclude import conclude

        conclude(sweep)


class OptunaSweeper(DsbenchSweeper):
    """Searches (extra `optuna`); `search` is how, see conf/hydra/sweeper/optuna.yaml."""

    def __init__(self, params: dict[str, str] | None = None, **search: Any) -> None:
        super().__init__(params)
        self.search = search

    def conduct(self, *sweep: Any) -> Any:
        """Run trial by trial."""
        _check_installed("hydra/sweeper=optuna", "optuna", "optuna")
        from dsbench.sweep.search import Search, search

        return search(*sweep, Search(**self.search))

    def conclude(self, sweep: Any) -> None:
        """Nothing but what W&B shows: a search decides nothing about its cells."""
        from dsbench.conclude import mirror

        mirror(sweep)


@dataclass
class DsbenchLauncherConf:
    """hydra/launcher=dsbench."""

    _target_: str = "hydra_plugins.dsbench_launcher.DsbenchLauncher"
    backend: str = LOCAL


@dataclass
class DsbenchSweeperConf:
    """hydra/sweeper=dsbench; `params` are the axes of a named sweep."""

    _target_: str = "hydra_plugins.dsbench_launcher.DsbenchSweeper"
    params: dict[str, str] | None = field(default_factory=dict)


ConfigStore.instance().store(group="hydra/launcher", name="dsbench", node=DsbenchLauncherConf, provider="dsbench")
ConfigStore.instance().store(group="hydra/sweeper", name="dsbench", node=DsbenchSweeperConf, provider="dsbench")
