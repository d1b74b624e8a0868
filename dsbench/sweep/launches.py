"""The runs of one sweep on their way: asked for on disk, launched where they are missing, shown in tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from dsbench.sweep.fate import Fate
from dsbench.sweep.finish import reasons, show
from dsbench.sweep.folder import SweepFolder
from dsbench.sweep.plan import Job, SweepPlan
from dsbench.sweep.settle import precision

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.config.schema import Config


class Launches:
    """The runs of the sweep `name`, launched at once or plan by plan; `returned` is what came of each launch."""

    def __init__(self, config: DictConfig, name: str, arguments: Sequence[str], launcher: Launcher) -> None:
        """`config` is the sweep's own configuration, `arguments` are its command line."""
        self.folder = SweepFolder(Path(config.outputs).absolute() / "sweeps" / name)
        self.jobs: list[Job] = []
        self.returned: list[Sequence[JobReturn]] = []
        self._arguments, self._launcher = arguments, launcher
        self._group = [f"logger.group={name}"] if config.logger.get("group", "") is None else []
        self._reasons: dict[str, Fate] = {}
        launcher.folder = self.folder.path / "jobs"  # type: ignore[attr-defined]  # where one that has files keeps them

    @property
    def example(self) -> Config:
        """The configuration of a run."""
        assert self.jobs[0].plan is not None
        return self.jobs[0].plan.config

    def ask(self, plan: SweepPlan) -> None:
        """Write down the runs of `plan`, beside those asked for before. Raises InputError where that cannot be."""
        self.jobs += plan.runs.values()
        if self.jobs:
            self.folder.write_plan([job.plan.facts() for job in self.jobs if job.plan], self._arguments)

    def launch(self, plan: SweepPlan) -> None:
        """Have those runs of `plan` trained that are not done yet."""
        missing = plan.missing
        if missing:
            overrides = [[*job.overrides, *precision(job), *self._group] for job in missing]
            self.returned.append(self._launcher.launch(overrides, 0))
            self._reasons |= reasons(missing, self.returned[-1])

    def show(self) -> pd.DataFrame:
        """Write and print the tables of what there is; returns that of runs."""
        return show(self.folder, self._reasons)
