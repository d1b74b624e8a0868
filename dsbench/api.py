"""The Python side, what `import dsbench` offers: configurations, networks and costs, results, verdicts, and sweeps.

All functions take overrides as the command line does, as texts (`"model=dwsep"`), and values by name (`width=8`; a name
with a dot as `**{"train.max_epochs": 3}`); paths are texts or Paths. What is wrong with them is an InputError of one
line, what fails for another reason a FailureError.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.errors import FailureError, InputError

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn

    from dsbench.config.compose import Composed
    from dsbench.report.judgement import Judgement
    from dsbench.run.predict import Loaded

__all__ = ["FailureError", "InputError", "build", "compose", "cost", "load", "results", "runs", "sweep", "verdict"]

StrPath = str | os.PathLike[str]
OUTPUTS = "outputs"


def compose(*overrides: str, config_dir: StrPath | None = None, **values: Any) -> Composed:
    """The typed configuration of a run, `.config`, with the choice of each group, `.choices`.

    `config_dir` is a further folder of YAML files. Raises InputError.
    """
    from dsbench.config import compose as composition
    from dsbench.config.overrides import spelled

    with _prepared():
        return composition.compose(spelled(overrides, values), _path(config_dir))


def build(
    *overrides: str | Composed,
    config_dir: StrPath | None = None,
    device: str | torch.device = "cpu",
    **values: Any,
) -> nn.Sequential:
    """The network as a module on `device`: images (B, C, H, W) to logits (B, classes), as training starts from it.

    A budget solves its width, as in a run, and `seed` draws its weights; on the device `meta` there are none. Raises
    InputError.
    """
    from dsbench.config import compose as composition
    from dsbench.config.overrides import spelled
    from dsbench.network.build import build as module_of
    from dsbench.sweep.networks import named
    from dsbench.training.device import moved

    with _prepared():
        given = _composed_alone(overrides, config_dir, values)
        found = named(given or composition.compose(spelled(overrides, values), _path(config_dir)))
    if str(device) == "meta":
        return module_of(found.network)
    return moved(module_of(found.network, found.composed.config.seed), device)


def cost(
    *overrides: str | Composed,
    layers: bool = False,
    precision: str = "32",
    config_dir: StrPath | None = None,
    **values: Any,
) -> pd.DataFrame:
    """What networks cost for one image: a row a network, `"model=cnn,dwsep"` names two; with `layers` a row a layer.

    Columns are those of `dsbench cost --csv`; bytes are those of `precision`: 32, bf16 or 16. Raises InputError.
    """
    import pandas as pd

    from dsbench.config.overrides import spelled
    from dsbench.errors import choose
    from dsbench.network.cost import DTYPE_BYTES
    from dsbench.sweep.networks import Costed, named, networks

    choose("precision", precision, DTYPE_BYTES)
    with _prepared():
        given = _composed_alone(overrides, config_dir, values)
        found = [named(given)] if given else networks(spelled(overrides, values), _path(config_dir))
    return pd.DataFrame([row for network in found for row in Costed.of(network, precision).rows(layers)])


def results(
    sweep: StrPath | None = None, *, where: str | Sequence[str] = (), outputs: StrPath = OUTPUTS
) -> pd.DataFrame:
    """The cells of a sweep, or of all runs in `outputs`: a row for all runs that differ only in their seed.

    `sweep` is its name, its folder or its runs.csv, or what `dsbench.sweep` returned; `where` are conditions such as
    `"model=dwsep,cnn"` and `"macs<=1e6"`. Raises InputError.
    """
    return _table(sweep, where, outputs, as_runs=False)


def runs(sweep: StrPath | None = None, *, where: str | Sequence[str] = (), outputs: StrPath = OUTPUTS) -> pd.DataFrame:
    """The runs of a sweep, or all in `outputs`, a row a run, with every figure of their records; see `results`."""
    return _table(sweep, where, outputs, as_runs=True)


def load(run: StrPath, *, outputs: StrPath = OUTPUTS, device: str | torch.device = "cpu") -> Loaded:
    """A finished run, its network on `device`.

    `run` is its folder, its id, the beginning of its id, or what it is called (`"dwsep w8 s0"`), where one run alone in
    `outputs` is meant. Raises InputError where there is none, its weights are gone, or it is not done.
    """
    from dsbench.results.query import run_folder
    from dsbench.run import trained
    from dsbench.run.predict import Loaded

    return Loaded(trained.load(run_folder(Path(outputs), os.fspath(run))), device)


def verdict(
    sweep: StrPath | pd.DataFrame | None = None,
    *,
    compare: str | None = None,
    margin: float | None = None,
    outputs: StrPath = OUTPUTS,
) -> Judgement:
    """Whether separable networks of a sweep were lighter, faster, better and more reliable, and by how much.

    `sweep` is its name, its folder or its runs.csv, what `dsbench.sweep` returned, or a table of runs (`dsbench.runs`);
    without one all runs in `outputs` are judged. `compare` names two cells, "A,B", to be compared alone; `margin` is in
    percentage points. Raises InputError.
    """
    from dsbench.report.judgement import Judgement
    from dsbench.results.query import runs_of, sweep_folder
    from dsbench.sweep.looks import rule_of
    from dsbench.verdict.verdict import verdict as judge

    where, folder = Path(outputs), None
    if sweep is None or isinstance(sweep, (str, os.PathLike)):
        name = _path(sweep)
        table, where = runs_of(where, name)
        folder = None if name is None else sweep_folder(Path(outputs), name)
    else:
        table = _of_runs(sweep)
    return Judgement(judge(where, table, compare, rule_of(folder, margin)))


def sweep(overrides: str | Sequence[str] = (), *, config_dir: StrPath | None = None, **values: Any) -> Swept | None:
    """Train every combination of what `overrides` list, as sweep.py does: what is done already is not done again.

    `overrides` are those of the command line, `["model=cnn,dwsep", "width=8,16", "seeds=3"]`. Shows how far it is, and
    at the end the verdict; returns what `verdict` and `results` take, None with plan=true. An interrupt (the notebook's
    stop button) ends it, and the same call goes on where it was. Raises InputError and FailureError.
    """
    from dsbench.cli.hydra import job
    from dsbench.config import hydra_internals, schema
    from dsbench.config.compose import searched
    from dsbench.config.messages import one_line
    from dsbench.config.overrides import check_overrides, spelled, without_trainer
    from dsbench.process import scratch_for_hydra
    from dsbench.run.interrupts import Interrupted, interruptible
    from dsbench.sweep.axes import spelled_out

    given = spelled_out(spelled([overrides] if isinstance(overrides, str) else overrides, values))
    check_overrides(given)
    given = without_trainer(given)
    if config_dir is not None:
        given.append(searched(os.fspath(config_dir)))
    try:
        with _prepared(), scratch_for_hydra(), interruptible():
            try:
                sweeper, arguments = hydra_internals.sweeper(str(schema.conf_dir()), "sweep", given, job)
            except (InputError, FailureError):
                raise
            except Exception as error:  # of Hydra, which could not compose
                raise InputError(one_line(error)) from error
            if not hasattr(sweeper, "swept"):
                raise InputError("hydra/sweeper: sweeps of dsbench's own sweepers alone can be run from Python")
            swept = sweeper.swept(arguments)
    except Interrupted as asked:
        raise KeyboardInterrupt(f"{asked}; the same call goes on") from None
    return None if swept is None else Swept(swept.folder.path, swept.complete())


@dataclass(frozen=True)
class Swept:
    """A sweep that has ended: its folder, and whether every run has a result. `verdict`, `results`, `runs` take it."""

    folder: Path
    complete: bool

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.folder.name

    def __fspath__(self) -> str:
        return str(self.folder)

    def __str__(self) -> str:
        return self.name


def _table(sweep: StrPath | None, where: str | Sequence[str], outputs: StrPath, as_runs: bool) -> pd.DataFrame:
    from dsbench.results.query import runs_of, selection

    conditions = [where] if isinstance(where, str) else list(where)
    _, shown = selection(runs_of(Path(outputs), _path(sweep))[0], conditions, as_runs)
    return shown.reset_index(drop=True)


def _of_runs(table: Any) -> pd.DataFrame:
    """The table, if it is one of runs. Raises InputError."""
    if "run_id" not in getattr(table, "columns", ()) or "labels" not in table.attrs:
        raise InputError("a verdict is on a sweep, or on a table of runs as dsbench.runs gives it, or rows of that")
    if table.empty:
        raise InputError("the table has no runs")
    return table


@contextmanager
def _prepared() -> Iterator[None]:
    """Within, configurations can be composed, whatever Hydra application whoever calls is or has."""
    from dsbench.config import hydra_internals, schema
    from dsbench.config.compose import forget_choices

    with hydra_internals.without_application():
        schema.register()
        forget_choices()
        yield


def _composed_alone(
    overrides: Sequence[str | Composed], config_dir: StrPath | None, values: Mapping[str, Any]
) -> Composed | None:
    """The composed configuration among `overrides`, None where there is none; InputError where there is more."""
    from dsbench.config.compose import Composed

    given = [override for override in overrides if isinstance(override, Composed)]
    if given and (len(overrides) > 1 or values or config_dir is not None):
        raise InputError("a composed configuration stands alone; give overrides when it is composed")
    return given[0] if given else None


def _path(path: StrPath | None) -> str | None:
    return None if path is None else os.fspath(path)
