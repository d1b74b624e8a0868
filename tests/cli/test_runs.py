"""Runs from the command line: exit codes, several at once, and from any folder."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from dsbench.machine import cores
from dsbench.measure import roofline
from dsbench.run.trained import load

ROOT = Path(__file__).parents[2]
DSBENCH = str(Path(sys.executable).parent / "dsbench")

Call = Callable[..., Any]
Overrides = Callable[[str], list[str]]

QUICK = "arch=mnist_7800_shallow width=2 train.max_epochs=1 progress=lines"
BRIEF = "bench_minutes=0 report=false"  # nothing but runs and tables
SWEPT = f"arch=mnist_7800_shallow train.max_epochs=1 {BRIEF}"


def results(outputs: Path) -> list[dict[str, Any]]:
    out = [json.loads(path.read_text()) for path in (outputs / "runs").glob("*/result.json")]
    return sorted(out, key=lambda result: result["width"])


def test_a_run_ends_with_exit_code_0_and_a_silent_stderr(call: Call, overrides: Overrides, outputs: Path) -> None:
    ended = call("train", *overrides(QUICK))
    assert (ended.code, ended.err) == (0, "")
    assert [result["status"] for result in results(outputs)] == ["done"]
    assert f"{100 * results(outputs)[0]['test_acc']:.2f} %" in ended.out


def test_a_diverged_run_is_an_outcome_not_an_error(call: Call, overrides: Overrides, outputs: Path) -> None:
    ended = call("train", *overrides(f"{QUICK} optimizer.lr=1e30"))
    assert (ended.code, ended.err) == (0, "")
    assert results(outputs)[0]["status"] == "diverged"


def test_a_failure_while_running_is_one_line_and_exit_code_1_and_its_traceback_is_in_the_log(
    call: Call, overrides: Overrides, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def full(source: Any, target: Any) -> None:
        if Path(target).name == "last.ckpt":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    ended = call("train", *overrides(QUICK))
    assert (ended.code, ended.err) == (1, "error: OSError: [Errno 28] No space left on device\n")
    assert results(outputs)[0]["status"] == "failed"
    (log,) = outputs.glob("runs/*/run.log")
    assert "Traceback (most recent call last)" in log.read_text()


def test_a_sweep_runs_every_job_shows_them_here_and_in_wandb_and_again_trains_nothing(
    call: Call, overrides: Overrides, outputs: Path, inspected: Callable[..., Any]
) -> None:
    """What precision=auto is, is settled for all, wherever they are trained; in W&B the sweep is a group, its cells a
    table, and the same sweep again leaves no second summary."""
    common = [part.replace("precision=32", "precision=auto") for part in overrides(f"{SWEPT} width=2,3")]
    line = [part for part in common if part != "logger=csv"]
    ended = call("sweep", "-m", *line)
    assert (ended.code, ended.err) == (0, "")
    recorded = results(outputs)
    assert [(result["width"], result["status"]) for result in recorded] == [(2, "done"), (3, "done")]
    table = ended.out[ended.out.index("test accuracy") :]
    for result in recorded:
        assert f"{100 * result['test_acc']:.2f} %" in table
        assert f"{result['macs']:,}" in table
    precisions = [yaml.safe_load(path.read_text())["precision"] for path in outputs.glob("runs/*/config.yaml")]
    assert precisions == [recorded[0]["precision"]] * 2 != ["auto"] * 2
    before = {path: path.stat().st_mtime_ns for path in outputs.glob("runs/*/result.json")}
    ended = call("sweep", "-m", *line)
    assert (ended.code, ended.err) == (0, "")
    assert "2 runs in 2 cells, 2 done, 0 to train" in ended.out
    assert {path: path.stat().st_mtime_ns for path in outputs.glob("runs/*/result.json")} == before
    groups = []
    for folder in (outputs / "wandb").glob("offline-run-*"):
        groups += [entry["run"]["run_group"] for entry in inspected(True, folder) if entry["type"] == "run"]
    (sweep,) = (outputs / "sweeps").iterdir()
    assert groups == [sweep.name] * 3
    (summary,) = (outputs / "wandb").glob(f"offline-run-*/run-sweep-{sweep.name}.wandb")  # its folder may end in -1
    (file,) = summary.parent.rglob("cells_*.table.json")
    shown = json.loads(file.read_text())
    cells = pd.read_csv(sweep / "cells.csv").set_index("width")["test_acc_mean"].to_dict()
    width, accuracy = (shown["columns"].index(name) for name in ("width", "test_acc_mean"))
    assert {row[width]: row[accuracy] for row in shown["data"]} == pytest.approx(cells)


def test_a_plan_trains_nothing(call: Call, overrides: Overrides, outputs: Path) -> None:
    ended = call("sweep", "plan=true", *overrides(f"{SWEPT} width=2,3,2 seeds=2"))
    assert (ended.code, ended.err) == (0, "")
    assert "4 runs in 2 cells, 0 done, 2 folded into a run that another comes to, 4 to train, about" in ended.out
    assert not (outputs / "runs").exists()
    assert not (outputs / "sweeps").exists()


def test_a_sweep_matches_families_group_by_group(call: Call, overrides: Overrides, outputs: Path) -> None:
    line = f"{SWEPT} block=keras model=cnn,dwsep width=6,8"
    ended = call("sweep", "-m", *overrides(line), "budget.match=cnn", "budget.by=params", "budget.tolerance=0.05")
    assert (ended.code, ended.err) == (0, "")
    params_of = {(result["model"], result["requested"]["target"]): result["params"] for result in results(outputs)}
    targets = {params for (model, _), params in params_of.items() if model == "cnn"}
    assert len(params_of) == 4
    assert all(abs(params / target - 1) <= 0.05 for (_, target), params in params_of.items())
    assert {target for _, target in params_of} == targets
    for folder in outputs.glob("runs/*/"):
        load(folder)  # as dsbench bench does: a sweep's run is like any other
        assert not {"plan", "n_jobs"} & yaml.safe_load((folder / "config.yaml").read_text()).keys()
    assert {result["n_jobs"] for result in results(outputs)} == {min(4, cores())}
    assert "\ncnn and dwsep on mnist5k, mnist_7800_shallow, 1 epoch, 1 seed   4/4 done\n" in ended.out
    verdict = ended.out[ended.out.index("\ncnn and dwsep on") :]
    assert re.search(r"^ +lighter +faster +better +reliable *$", verdict, re.MULTILINE)
    for target in targets:
        assert " ".join(verdict.split()).count(f"t {target:,} parameters") == 2  # in the table and in the sentence
    for word in ("heavier", "not measured", "3 runs a side decide", "0 of 1 and 0 of 1"):
        assert verdict.count(word) == 2, word
    (folder,) = (outputs / "sweeps").iterdir()
    assert re.fullmatch(r"cnn-dwsep-mnist_7800_shallow-mnist5k-\d\.\dk-\d\.\dk", folder.name)
    assert ended.out.endswith(f"\ndetails  dsbench verdict {folder} --details\n")
    assert "page  " not in ended.out


def test_a_sweep_ends_with_measured_times_a_verdict_and_a_page(
    call: Call, overrides: Overrides, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(measure: Any, seconds: float, end: float, refused: Any, say: Any) -> Any:
        return measure(seconds, refused=refused, say=say)

    monkeypatch.setattr("dsbench.measure.repeats.in_fresh_process", here)  # patches do not reach another process
    monkeypatch.setattr("dsbench.conclude.START_SECONDS", 0.0)
    monkeypatch.setattr("dsbench.conclude.RATES_SECONDS", 0.5)
    monkeypatch.setattr("dsbench.conclude.ENOUGH_SECONDS", 0.1)
    monkeypatch.setattr(roofline, "SECONDS", 0.01)
    monkeypatch.setitem(roofline.SIZES, "cpu", roofline.Sizes((64,), (roofline.ConvProblem(8, 8, 2),), 2, 1))
    line = "arch=mnist_7800_shallow block=keras train.max_epochs=1 model=cnn,dwsep width=2 bench_minutes=0.15"
    ended = call("sweep", "-m", *overrides(line))
    assert (ended.code, ended.err) == (0, "")
    assert all(result["latency_ms"]["batch_1"]["torch"]["median"] > 0 for result in results(outputs))
    head = "cnn and dwsep on mnist5k, mnist_7800_shallow, 1 epoch, at equal width 2, 1 seed   2/2 done"
    verdict = ended.out[ended.out.index(f"\n{head}\n") :]
    assert re.search(r"^ +lighter +faster +better +reliable *$", verdict, re.MULTILINE)
    assert "not measured" not in verdict
    assert "At equal width 2 the separable network" in " ".join(verdict.split())
    (folder,) = (outputs / "sweeps").iterdir()
    last = f"page     {folder / 'report.html'}\ndetails  dsbench verdict {folder} --details\n"
    assert verdict.endswith(f"\n\n{last}")
    content = json.loads((folder / "report.json").read_text())
    assert {cell["n_done"] for cell in content["cells"]} == {1}
    ((comparison,),) = (group["comparisons"] for group in content["verdict"]["groups"])
    deciding = [time for time in comparison["measured"] if time["decides"]]
    assert {time["answer"] for time in deciding} <= {"faster", "slower", "as fast", "cannot tell"}
    (repeats,) = {time["n"] for time in deciding}
    assert 1 <= repeats <= 5  # as many as there was time for, which is for the machine to say
    assert "roofline" in content["pictures"]
    (why,) = content["why"]
    assert re.match(
        r"Layer by layer, in a measurement of its own: dwsep has 0\.\d+ times the MACs of cnn and takes ", why
    )
    assert why in (folder / "report.html").read_text()


@pytest.mark.thorough
def test_what_measuring_came_to_is_told_as_it_was(
    call: Call,
    overrides: Overrides,
    outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Too little time, a failure, and where nobody asked for it, three sentences that are not one another's."""
    line = overrides("arch=mnist_7800_shallow train.max_epochs=1 model=cnn,dwsep width=2 report=false")

    def swept(minutes: str) -> str:
        ended = call("sweep", "-m", *line, f"bench_minutes={minutes}")
        assert ended.code == 0
        return " ".join(ended.out.split())

    assert "which is faster is not measured: 2 cells need bench_minutes=0.3" in swept("0.2")
    assert "which is faster is not measured: " not in swept("0")
    monkeypatch.setattr("dsbench.measure.repeats.repeated", lambda *_, **__: ([], 2))
    assert "2 of 5 repeats; bench_minutes=0.6 gives them longer" in swept("0.3")

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no clock")

    monkeypatch.setattr("dsbench.measure.repeats.repeated", broken)
    printed = swept("0.3")
    assert "measuring 2 cells by turns" in printed
    assert "of 5 repeats" not in printed
    assert "the cells could not be measured, so which is faster is not said: no clock" in caplog.text


def test_flags_may_stand_between_overrides(call: Call, overrides: Overrides) -> None:
    ended = call("sweep", *overrides(SWEPT), "-m", "plan=true", "width=2,3")
    assert (ended.code, ended.err) == (0, "")
    assert "2 runs in 2 cells" in ended.out


def test_a_run_that_cannot_be_stops_a_sweep_before_it_starts(call: Call, overrides: Overrides, outputs: Path) -> None:
    ended = call("sweep", "-m", *overrides(f"{SWEPT} width=2,0,3"))
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "width=0" in ended.err
    assert ended.err.endswith("width 0 is not a positive integer\n")
    assert "impossible" in ended.out
    assert not outputs.exists()


def test_a_run_that_cannot_be_is_skipped_where_that_is_asked_for_and_an_experiment_keeps_its_label(
    call: Call, overrides: Overrides, outputs: Path
) -> None:
    line = f"experiment=mnist_7800/cnn width=0,2 train.max_epochs=1 seed=1 {BRIEF}"
    ended = call("sweep", "-m", "on_error=skip", *overrides(line))
    assert (ended.code, ended.err) == (0, "")
    assert "1 impossible" in ended.out
    assert [(result["width"], result["study"]) for result in results(outputs)] == [
        (2, "mnist_7800/cnn (modified: data, width, train.max_epochs)")
    ]


PARAMS = 3 * 25 + 2 * 3 + 3 * 14 * 14 * 10 + 10  # of the network in `elsewhere`: convolution, batch norm, linear


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that is not the repository, with an architecture and an experiment of one's own in `mine`."""
    folder = tmp_path / "elsewhere"
    (folder / "mine" / "arch").mkdir(parents=True)
    (folder / "mine" / "experiment").mkdir()
    layers = "layers: [{conv: {width: 1, kernel: 5}}, max_pool, flatten, {linear: classes}]\n"
    (folder / "mine" / "arch" / "tiny.yaml").write_text(layers)
    experiment = "# @package _global_\ndefaults:\n  - override /arch: tiny\nwidth: 3\n"
    (folder / "mine" / "experiment" / "own.yaml").write_text(experiment)
    return folder


def test_dsbench_trains_from_any_folder_with_files_of_ones_own(
    elsewhere: Path, call: Call, overrides: Overrides, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = [*overrides("experiment=own train.max_epochs=1"), "--config-dir", "mine", "--outputs", "here"]
    line = [part for part in line if not part.startswith(("outputs=", "data.root="))]
    monkeypatch.setenv("DSBENCH_DATA", str(data_root))
    monkeypatch.chdir(elsewhere)
    ended = call("dsbench", "train", *line)
    assert (ended.code, ended.err) == (0, "")
    (result,) = results(elsewhere / "here")
    assert (result["arch"], result["params"]) == ("tiny", PARAMS)
    assert result["study"] == "own (modified: data, precision, train.max_epochs)"
    assert {path.name for path in elsewhere.iterdir()} == {"mine", "here"}


def test_the_installed_command_counts_the_same_network_from_any_folder(elsewhere: Path) -> None:
    command = [DSBENCH, "cost", "experiment=own", "data=mnist5k", "--config-dir", "mine", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=elsewhere, timeout=60, check=True)
    assert json.loads(ended.stdout)["params"] == PARAMS


def test_dsbench_lists_the_data_that_are_there(call: Call, data_root: Path) -> None:
    ended = call("dsbench", "data", "list", "--root", str(data_root))
    assert ended.code == 0
    states = {line.split()[0]: line for line in ended.out.splitlines()[1:]}
    assert "verified" in states["mnist5k"]
    assert "absent" in states["cifar10"]


@pytest.mark.parametrize("arguments", [["data", "get", "foo"], ["cost", "width=0"], ["nonsense"], ["data", "get"]])
def test_dsbench_answers_a_mistake_with_one_line(call: Call, arguments: list[str]) -> None:
    ended = call("dsbench", *arguments)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith("error: ")
