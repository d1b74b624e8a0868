"""A table of cells: a row for the runs that differ only in their seed, with means, intervals and failures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dsbench.quantities import COUNTED
from dsbench.results.records import CODE, NAMES, REQUESTED, settings, timings
from dsbench.statistics.means import half_width

if TYPE_CHECKING:
    import pandas as pd

ACCURACIES = ("test_acc", "best_val_acc")  # with mean, standard deviation and interval
MEANS = ("test_balanced_acc", "train_acc", "epochs", "train_seconds", "train_macs", "images_per_second")
# Runs of a cell by status; `other` is interrupted, running, missing or unreadable.
_STATUSES = ("done", "collapsed", "diverged", "failed", "killed", "timeout")
COUNTS = ("n_runs", *(f"n_{name}" for name in _STATUSES), "n_other")


def cells_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a cell of `runs` (see runs_table), in the order of their first runs.

    Of accuracies there are the mean, the standard deviation (n - 1) and the 95 % interval of the mean by Student's t,
    from `low` to `high`, which two runs or more have (and which may reach beyond 0 and 1); of times and timings the
    mean. All of these are over the runs that are done, and n_done is their number. Runs that ended otherwise, and those
    that have not ended, are counted apart and are in no mean: n_runs is the sum of the counts. A family that collapses
    is worse than its mean, so the counts belong beside it. Devices, threads, commits, sources and, where any run has
    it, how many were trained as one program are listed, each value once. Remarks, where any run has one, are counted:
    `2 undertrained`.
    """
    import pandas as pd

    key = runs["cell_id"]
    grouped = runs.groupby(key, sort=False)
    same = ["precision", "test_weights", *(cost.name for cost in COUNTED), *REQUESTED, *settings(runs)]
    same = [name for name in same if name in runs]
    done = runs[runs["status"] == "done"].groupby(key, sort=False)
    parts = [
        grouped[list(NAMES)].first(),
        _counts(runs["status"], key),
        *(_spread(done[name], name) for name in ACCURACIES if name in runs),
        done[[name for name in MEANS if name in runs]].mean().astype("float64").add_suffix("_mean"),
        done[timings(runs)].mean().astype("float64"),
        grouped[same].first(),
        *(_listed(runs[name], key) for name in ("device", "threads", *CODE)),
        *([_listed(runs["fused"], key)] if "fused" in runs else []),
        *([_remarks(runs["remark"], key)] if "remark" in runs else []),
    ]
    table = pd.concat([part.reindex(parts[0].index) for part in parts], axis=1).reset_index()
    table.attrs = runs.attrs
    return table


def not_in_means(row: Mapping[str, Any]) -> str:
    """The runs of a row of that table that are in no mean, such as `1 collapsed, 2 unfinished`, or an empty text."""
    counts = {name.removeprefix("n_"): row[name] for name in COUNTS[2:]}
    return ", ".join(
        f"{number} {'unfinished' if name == 'other' else name}" for name, number in counts.items() if number
    )


def _counts(status: pd.Series, key: pd.Series) -> pd.DataFrame:
    import pandas as pd

    counted = {f"n_{name}": status == name for name in _STATUSES}
    flags = pd.DataFrame({"n_runs": status.notna(), **counted}).astype("int64")
    flags["n_other"] = flags["n_runs"] - flags[list(counted)].sum(axis=1)
    return flags.groupby(key, sort=False).sum()[list(COUNTS)]


def _remarks(values: pd.Series, key: pd.Series) -> pd.Series:
    """The remarks of each cell's runs, each with how many have it."""
    counts = values.dropna().groupby(key, sort=False).value_counts(sort=False)
    listed = (counts.astype(str) + " " + counts.index.get_level_values("remark")).groupby(level=0, sort=False)
    return listed.agg(", ".join).astype("string").rename("remark")


def _spread(values: Any, name: str) -> pd.DataFrame:
    """Mean, standard deviation and interval of the mean of each group."""
    import pandas as pd

    n, mean, sd = values.count(), values.mean(), values.std(ddof=1)
    half = half_width(sd, n.clip(lower=2))  # one value has no sd
    return pd.DataFrame(
        {f"{name}_mean": mean, f"{name}_sd": sd, f"{name}_low": mean - half, f"{name}_high": mean + half}
    )


def _listed(values: pd.Series, key: pd.Series) -> pd.Series:
    """The values of each cell's runs, each value once, as text."""
    import pandas as pd

    pairs = pd.DataFrame({"cell": key, "value": values.astype("string")}).dropna().drop_duplicates()
    by_cell: dict[str, list[str]] = {}
    for cell, value in zip(pairs["cell"], pairs["value"], strict=True):
        by_cell.setdefault(cell, []).append(value)
    texts = [", ".join(values) for values in by_cell.values()]
    return pd.Series(texts, index=list(by_cell), dtype="string", name=values.name)
