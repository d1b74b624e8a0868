"""What an older version left on disk is read, shown and taken up as it was then (see tests/old_outputs/README.md)."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dsbench.results.records import record, records
from dsbench.run.folder import RunFolder
from dsbench.run.progress import Progress
from dsbench.run.record import BROKEN, FINAL, Label, Record, Status

Call = Callable[..., Any]
OLD = Path(__file__).parent / "old_outputs"
SWEEPS = sorted(path.name for path in (OLD / "outputs" / "sweeps").iterdir())
RESULTS = sorted(
    path.parent.name
    for path in (OLD / "outputs" / "runs").glob("*/result.json")
    if json.loads(path.read_text())["status"] in FINAL
)
DISPLAYED = {"results": ("results",), "results_runs": ("results", "--runs")}
# A run of each kind, and what was asked for
OVERRIDES = {
    "771ce74b8b70": "model=dwsep width=8 train.max_epochs=3",
    "c83fcc711908": "model=hybrid model.pattern=stage_2 width=6 train.max_epochs=2",
    "6eb810b176d4": "model=hybrid model.pattern=[plain,separable,plain,separable,plain,separable] kernel=[3,5,3,5,3,3] "
    "width=4 train.max_epochs=1",
    "874b1b46c960": "model=dwsep block=inverted_residual optimizer=adamw schedule=cosine width=4 train.max_epochs=2",
    "df9ef4b56878": "arch=mnist_7800_deep model=dwsep block=keras width=6 optimizer=adam schedule=constant "
    "train.batch_size=100 train.max_epochs=2",
    "f089d7ee83b1": "precision=bf16 model=dwsep width=4 train.max_epochs=1",
    "bb1b877edc2a": "model=cnn width=4 stop.by=train_macs stop.target=1e10 schedule=multistep optimizer.lr=0.02",
    "84a6f0302a54": "model=cnn width=4 data.split=study train.max_epochs=2 schedule=exponential",
    "66faf569d6a0": "model=cnn width=5 optimizer.lr=0.001 train.max_epochs=6 train.early_stopping.monitor=val_loss "
    "train.early_stopping.patience=1 train.early_stopping.rule=worsening",
    "fb332eafcc14": "model=dwsep budget.params=4000 train.max_epochs=1 train.label_smoothing=0.1 "
    "train.grad_clip_norm=1.0 seed=7",
    "bcd414eec4c0": "arch=mnist_7800_deep model=dwsep block=keras width=8 optimizer.lr=3 train.max_epochs=2",
    "66cbb165248a": "model=cnn width=4 optimizer.lr=1e30 train.max_epochs=2",
}


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The old folder of results, this test's own copy, `outputs` of the working directory."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(OLD / "outputs", tmp_path / "outputs"))


def contents(folder: Path) -> dict[Path, bytes]:
    """By file; leases and the index of runs, which is newer, aside."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if path.name[:2] != ".l" and path.name != "index.csv"}


def test_every_old_record_is_read_with_all_that_it_says() -> None:
    old_records = records(OLD / "outputs")
    statuses = {old_record.status for old_record in old_records}
    assert statuses == {Status.DONE, Status.COLLAPSED, Status.DIVERGED, Status.INTERRUPTED, *BROKEN}
    for old_record in old_records:
        file = OLD / "outputs" / "runs" / old_record.run_id / "result.json"
        plain = json.loads(file.read_text())
        added = {"experiment", "modified", "test_balanced_acc"}
        kept = Record.of(plain).plain()
        assert kept.keys() - plain.keys() <= added
        if "roofline" in plain:
            del plain["roofline"]["verdict"]  # a paragraph, which follows from the numbers
        assert {key: kept[key] for key in plain} == plain
        matrix = RunFolder(file.parent).confusion()
        assert (matrix is not None) == (old_record.status in (Status.DONE, Status.COLLAPSED))
        assert matrix == plain.get("test_confusion")


def test_an_old_label_is_split_into_experiment_and_modifications() -> None:
    labels = {record(OLD / "outputs", run_id).label for run_id in ("2dc8548c5778", "acab71a4cad2", "771ce74b8b70")}
    modified = ("train.max_epochs",)
    assert labels == {Label("mnist_7800/cnn", modified), Label("mnist_7800/dwsep_same_width", modified), Label()}


def lines(text: str) -> list[list[str]]:
    """The words of each line of a printout; of these the heading `besides` alone has become `not in the mean`.

    Today there are rules below heads, and empty lines around tables; an interval ends at 0 and at 100 %.
    """
    today = re.sub(
        r" besides *$", " not in the mean", text.replace("; besides: runs in no mean", ""), flags=re.MULTILINE
    )
    today = re.sub(r"(\d+\.\d+) ± (\d+\.\d+) %", _within_all, today)
    return [line.split() for line in today.split("\n") if line.strip(" ─")]


def _within_all(shown: re.Match[str]) -> str:
    mean, half = float(shown[1]), float(shown[2])
    if half <= mean <= 100 - half:
        return shown[0]
    low, high = f"{mean - half:.2f}" if mean > half else "0", f"{mean + half:.2f}" if mean + half < 100 else "100"
    return f"{mean:.2f} ({low} to {high}) %"


@pytest.mark.parametrize("sweep", SWEEPS)
@pytest.mark.parametrize("what", DISPLAYED)
def test_tables_of_an_old_sweep_are_those_of_then(old: Path, call: Call, sweep: str, what: str) -> None:
    before = contents(old)
    command, *options = DISPLAYED[what]
    ended = call("dsbench", command, sweep, *options)
    text = f"{ended.out}--- standard error\n{ended.err}--- exit code {ended.code}\n"
    assert lines(text) == lines((OLD / "printed" / f"{what}_of_{sweep}.txt").read_text())
    assert contents(old) == before  # runs.csv and cells.csv are made anew, and the same


@pytest.mark.parametrize("sweep", SWEEPS)
def test_an_old_sweep_is_judged_by_the_rule_of_today(old: Path, call: Call, sweep: str) -> None:
    before = contents(old)
    ended = call("dsbench", "verdict", sweep, "--json")
    verdict = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert sum(verdict["statuses"].values()) == sum(len(cell["runs"]) for cell in verdict["cells"]) > 0
    assert contents(old) == before


@pytest.mark.parametrize("run_id", OVERRIDES)
def test_an_old_result_asked_for_again_is_taken_up(old: Path, data_root: Path, run_id: str) -> None:
    from dsbench.config.compose import compose
    from dsbench.run.execute import execute
    from dsbench.run.plan import plan

    line = f"data=mnist5k data.root={data_root} threads=1 precision=32 logger=csv outputs={old} {OVERRIDES[run_id]}"
    overrides = [override for override in line.split() if override != "precision=32" or "precision=bf16" not in line]
    planned = plan(compose(overrides))
    assert planned.run_id == run_id
    before = contents(old)
    assert execute(planned, Progress("none")).run_id == run_id
    assert {path: text for path, text in contents(old).items() if path.name != "run.log"} == before


@pytest.mark.parametrize("run_id", RESULTS)
def test_an_old_result_stays_and_its_folder_is_written_by_nobody(run_id: str) -> None:
    old_record = record(OLD / "outputs", run_id)
    assert old_record.stays(force=False, rerun="never")
    assert old_record.stale  # rerun=stale alone cares
    assert not old_record.stays(force=False, rerun="stale")


def test_what_is_measured_of_an_old_run_joins_its_record_and_nothing_is_lost(old: Path) -> None:
    folder = RunFolder(old / "runs" / "771ce74b8b70")
    plain, before = json.loads(folder.result_file.read_text()), folder.result()
    assert before is not None
    folder.write_result(replace(before, measured={"peak_memory_bytes": 7}))
    today = {"experiment": None, "modified": [], "test_balanced_acc": None}
    assert json.loads(folder.result_file.read_text()) == plain | today | {"peak_memory_bytes": 7}
    assert folder.confusion() == plain["test_confusion"]
