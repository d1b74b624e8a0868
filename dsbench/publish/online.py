"""The view of a project in W&B, its panels and its table of runs, and how views and reports are saved there.

The view is made without the network; saving it, and the account of the login, need it.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.errors import FailureError, InputError
from dsbench.files import write_atomically
from dsbench.quantities import QUANTITIES, SHOWN_ONLINE
from dsbench.tracking.server import check_reachable, own_environment
from dsbench.tracking.wandb import METRICS

if TYPE_CHECKING:
    import wandb_workspaces.reports.v2 as reports
    from wandb_workspaces.expr import And
    from wandb_workspaces.workspaces import Workspace

CELL = "cell"  # the key of a run's configuration that names its cell (see dsbench.run.mirror.card)
ACCURACY = "test_acc"
# Titles by key of a run's summary; the last two keys are there once the run is measured.
COST_TITLES = {cost.path: ", ".join(filter(None, (cost.wording, cost.unit))) for cost in SHOWN_ONLINE}
CURVES = {METRICS[name][0]: QUANTITIES[name].wording for name in ("val_acc", "val_loss", "train_acc", "train_loss")}
FACTS = ("model", "block", "width", "kernel", "data", "seed")  # of a run, in its configuration
COORDINATES = ("model", "width", "kernel")
COLUMNS = (
    "run:displayName",
    "run:state",
    *(f"config:{name}.value" for name in FACTS),
    *("summary:status", f"summary:{ACCURACY}", "summary:val_acc"),
    *(f"summary:{name}" for name in COST_TITLES),
)
_RUNS = 100  # the most that a panel shows


def workspace(entity: str, project: str, sweep: str | None, run_ids: Sequence[str] | None) -> Workspace:
    """The view of the sweep's runs, `run_ids`, or of all of the project.

    Accuracy against each cost, learning curves by cell, parallel coordinates, and the table of runs, best first.
    """
    from wandb_workspaces import expr
    from wandb_workspaces import workspaces as ws

    sections = [ws.Section(name=name, panels=panels, is_open=True) for name, panels in sections_of_panels().items()]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"dsbench: {sweep}" if sweep else "dsbench",
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis="epoch", max_runs=_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=filters(run_ids),
            order=[expr.Ordering(expr.Summary(ACCURACY), ascending=False)],
            pinned_columns=list(COLUMNS),
        ),
    )


def filters(run_ids: Sequence[str] | None) -> And:
    """The filter for runs of training, of `run_ids` where they are given, without the sweeps' summaries."""
    from wandb_workspaces import expr

    kept = [expr.Metric("JobType") == "train"]
    return expr.And(*kept, *([expr.Metric("ID").isin(list(run_ids))] if run_ids is not None else []))


def sections_of_panels() -> dict[str, list[Any]]:
    """The panels by the sections they stand in."""
    return {
        "Accuracy against cost": [_against(cost, title) for cost, title in COST_TITLES.items()],
        "Learning curves": [_curve(metric, title) for metric, title in CURVES.items()],
        "All at once": [_coordinates()],
    }


def _against(cost: str, title: str) -> Any:
    import wandb_workspaces.reports.v2 as wr

    x, y = wr.SummaryMetric(cost), wr.SummaryMetric(ACCURACY)
    return wr.ScatterPlot(title=f"test accuracy against {title}", x=x, y=y, log_x=True)


def _curve(metric: str, title: str) -> Any:
    """The mean over the runs of a cell, which differ in their seeds, within the least and the greatest.

    A panel cannot leave out runs that the table beside it shows, so its title names those in the mean.
    """
    import wandb_workspaces.reports.v2 as wr

    return wr.LinePlot(
        title=f"{title}, mean of all runs, those that collapsed or diverged too",
        x="epoch",
        y=[metric],
        groupby=wr.Config(CELL),
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
        max_runs_to_show=_RUNS,
    )


def _coordinates() -> Any:
    import wandb_workspaces.reports.v2 as wr

    facts = [wr.ParallelCoordinatesPlotColumn(wr.Config(name), display_name=name) for name in COORDINATES]
    costs = [
        wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(name), display_name=COST_TITLES[name], log=True)
        for name in ("params", "macs", "train_seconds")
    ]
    accuracy = wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(ACCURACY), display_name="test accuracy")
    return wr.ParallelCoordinatesPlot(title="model, width, kernel, costs, accuracy", columns=[*facts, *costs, accuracy])


def check_installed() -> None:
    """Raise InputError where the package that saves views is not installed."""
    if find_spec("wandb_workspaces") is None:
        raise InputError("dsbench dashboard --online needs a package: pip install 'dsbench[dashboards]'")


@contextmanager
def saving() -> Iterator[None]:
    """Within, W&B prints nothing, and whatever it raises becomes FailureError, one line.

    Raises FailureError where its server does not answer.
    """
    check_reachable()
    try:
        with redirect_stderr(io.StringIO()), own_environment("online"):
            yield
    except (InputError, FailureError):
        raise
    except Exception as error:
        raise FailureError(f"W&B: {error}") from error


def default_entity() -> str:
    """The account that WANDB_ENTITY names, or that of the login. Raises FailureError where W&B does not know it."""
    import wandb

    if "WANDB_ENTITY" in os.environ:
        return os.environ["WANDB_ENTITY"]

    entity = wandb.Api().default_entity
    if not entity:
        raise FailureError("W&B does not say whose the login is; give --entity")
    return str(entity)


def save_view(view: Workspace, memory: Path) -> str:
    """Save the view in place of that recorded in the file `memory`; returns its address."""

    def save(earlier: dict[str, str]) -> dict[str, str]:
        view._internal_name, view._internal_id = earlier.get("name", ""), earlier.get("id", "")
        view.save()
        return {"name": view._internal_name, "id": view._internal_id}

    _replacing(memory, f"view {view.entity}/{view.project}/{view.name}", save)
    return str(view.url)


def save_report(report: reports.Report, memory: Path) -> str:
    """Save the report in place of that recorded in the file `memory`; returns its address."""

    def save(earlier: dict[str, str]) -> dict[str, str]:
        report.id = earlier.get("id", "")
        report.save()
        return {"id": report.id}

    _replacing(memory, f"report {report.entity}/{report.project}/{report.title}", save)
    return str(report.url)


def _replacing(memory: Path, key: str, save: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Save in place of the entry `key` of `memory`; as new where there is none, or W&B has it no more."""
    saved = json.loads(memory.read_text(encoding="utf-8")) if memory.exists() else {}
    try:
        now = save(saved.get(key, {}))
    except Exception:
        if key not in saved:
            raise
        now = save({})
    memory.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(memory, json.dumps(saved | {key: now}, indent=1) + "\n")
