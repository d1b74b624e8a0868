"""The verdict on runs that lie on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dsbench.sweep.cells import cells_table
from dsbench.sweep.collect import timings
from dsbench.sweep.records import record
from dsbench.verdict.judge import Verdict, judge
from dsbench.verdict.times.timings import Records

if TYPE_CHECKING:
    import pandas as pd


def verdict(outputs: Path, runs: pd.DataFrame, compare: str | None = None) -> Verdict:
    """The verdict on `runs` (see runs_table), whose folders lie under `outputs`; see dsbench.verdict.judge.judge."""
    return judge(runs, cells_table(runs), measured(outputs, runs), compare)


def measured(outputs: Path, runs: pd.DataFrame) -> Records:
    """The records of the runs that times were measured of, by run_id: tables hold medians alone."""
    timed = runs[runs[timings(runs)].notna().any(axis=1)]
    return {run_id: record(outputs, run_id) for run_id in timed["run_id"]}
