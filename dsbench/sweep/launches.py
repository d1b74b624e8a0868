"""The runs of one sweep on their way: asked for on disk, launched where they are missing, shown in tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from dsbench.config.messages import one_line
from dsbench.config.schema import WandbConfig
from dsbench.errors import FailureError, InputError
from dsbench.run import facts
from dsbench.run.status import FINAL
from dsbench.sweep.fate import Fate
from dsbench.sweep.finish import reasons, show
from dsbench.sweep.folder import SweepFolder
from dsbench.sweep.plan import Job, SweepPlan
from dsbench.sweep.records import record
from dsbench.sweep.settle import precision

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.config.schema import Config

log = logging.getLogger("dsbench")


class Launches:
    """The runs of the sweep `name`, launched at once or plan by plan; `returned` is what came of each launch."""

    def __init__(self, config: DictConfig, name: str, arguments: Sequence[str], launcher: Launcher) -> None:
        """`config` is the sweep's own configuration, `arguments` are its command line."""
        self.folder = SweepFolder(Path(config.outputs).absolute() / "sweeps" / name)
        self.jobs: list[Job] = []
        self.returned: list[Sequence[JobReturn]] = []
        self._arguments, self._launcher = arguments, launcher
        self.reasons: dict[str, Fate] = {}
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
            overrides = [[*job.overrides, *precision(job), *self._group(job)] for job in missing]
            began = facts.now()
            self.returned.append(self._launcher.launch(overrides, 0))
            self.reasons |= reasons(missing, self.returned[-1], began)

    def show(self) -> pd.DataFrame:
        """Write and print the tables of what there is; returns that of runs."""
        return show(self.folder, self.reasons)

    @contextmanager
    def shown_anyway(self, show: Callable[[], object]) -> Iterator[None]:
        """Within, an end before the end (Ctrl-C) calls `show` and is raised again, whatever comes of that.

        Where the launcher has refused there is nothing to show.
        """
        try:
            yield
        except BaseException as error:
            refused = isinstance(error, (InputError, FailureError)) and not self.returned
            if self.folder.sweep_file.exists() and not refused:
                try:
                    show()
                except Exception as other:
                    log.warning("the tables so far could not be made: %s", one_line(other))
            raise

    def have_results(self, runs: pd.DataFrame) -> bool:
        """Whether every run that was asked for has a result; `runs`, the table, may be of another command's by now."""
        there = set(runs.loc[runs["status"].isin(FINAL), "run_id"])
        asked = (job.plan.run_id for job in self.jobs if job.plan)
        return all(one in there or record(self.folder.outputs, one)["status"] in FINAL for one in asked)

    def _group(self, job: Job) -> list[str]:
        """The sweep's name as the run's group in W&B, where that has no other."""
        logger = job.plan.config.logger if job.plan else None
        return [f"logger.group={self.folder.name}"] if isinstance(logger, WandbConfig) and logger.group is None else []
