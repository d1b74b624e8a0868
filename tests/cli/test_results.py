"""dsbench results and dsbench clean, on the files that runs leave."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from synthetic import read

from dsbench.results.folder import SweepFolder

Call = Callable[..., Any]
SEEDS, WIDTHS = (0, 1, 2), (8, 4)


def result(width: int, seed: int, **facts: Any) -> dict[str, Any]:
    """A record, of what a run's record has, that tables need; accuracy .5 + width / 100 + seed / 1000."""
    run_id = f"{width:06x}{seed:06x}"
    names = {"run_id": run_id, "cell_id": f"{width:012x}", "model": "cnn", "arch": "plain", "data": "mnist"}
    costs = {"params": 10 * width, "macs": 1000 - width, "acts": 7}
    course = {
        "status": "done",
        "test_weights": "best",
        "git_sha": "a" * 40,
        "started": f"2026-01-{10 - width:02d}T0{seed}:00:00+00:00",
    }
    accuracy = {"width": width, "seed": seed, "test_acc": 0.5 + width / 100 + seed / 1000}
    return {**names, **costs, **course, **accuracy, "settings": {"optimizer.lr": 0.1}, **facts}


def write(outputs: Path, *results: dict[str, Any]) -> None:
    for result in results:
        folder = outputs / "runs" / result["run_id"]
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "metrics.csv").write_text("epoch\n")
        (folder / "checkpoints" / "last.ckpt").write_bytes(b"l" * 2_000_000)
        (folder / "checkpoints" / "best.ckpt").write_bytes(b"b" * 1_000_000)


@pytest.fixture
def recorded(outputs: Path) -> list[dict[str, Any]]:
    """Two cells of three seeds, of which one run of width 4 has failed."""
    results = [result(width, seed) for width in WIDTHS for seed in SEEDS]
    results[-1] |= {"status": "failed", "error": "out of memory", "test_acc": None}
    write(outputs, *results)
    return results


@pytest.fixture
def results(call: Call, outputs: Path) -> Call:
    return lambda *arguments: call("dsbench", "results", "--outputs", str(outputs), *arguments)


@pytest.fixture
def clean(call: Call, outputs: Path) -> Call:
    return lambda *arguments: call("dsbench", "clean", "--outputs", str(outputs), *arguments)


def rows(ended: Any) -> list[dict[str, str]]:
    assert (ended.code, ended.err) == (0, "")
    return list(csv.DictReader(io.StringIO(ended.out)))


def test_all_runs_are_shown_as_cells(recorded: list[dict[str, Any]], results: Call) -> None:
    ended = results()
    assert (ended.code, ended.err) == (0, "")
    shared, header, _, wide, narrow, _ = ended.out.splitlines()
    assert shared == "model cnn, arch plain, data mnist"
    assert " ".join(header.split()) == "width n test accuracy sd params MACs activations not in the mean"
    assert wide.split()[:4] == ["8", "3", "58.10", "±"]
    assert narrow.split()[:4] == ["4", "2", "54.05", "±"]
    assert narrow.endswith("1 failed")


def test_csv_and_json_hold_the_same_with_every_column(recorded: list[dict[str, Any]], results: Call) -> None:
    table, objects = rows(results("--csv")), json.loads(results("--json").out)
    assert [row["label"] for row in table] == [f"{row['model']} w{row['width']}" for row in table]
    assert [row["cell_id"] for row in table] == [cell["cell_id"] for cell in objects] == [f"{w:012x}" for w in WIDTHS]
    for row, cell in zip(table, objects, strict=True):
        assert set(row) == set(cell)
        done = [r["test_acc"] for r in recorded if r["width"] == cell["width"] and r["status"] == "done"]
        assert float(row["test_acc_mean"]) == cell["test_acc_mean"] == pytest.approx(mean(done))
        assert (int(row["n_failed"]), cell["n_failed"]) == (3 - len(done), 3 - len(done))
        assert (row["study"], cell["study"]) == ("", None)
    runs = json.loads(results("--runs", "--json").out)
    assert {run["run_id"]: run["test_acc"] for run in runs} == {
        record["run_id"]: record["test_acc"] for record in recorded
    }


@pytest.mark.parametrize(
    ("arguments", "widths"),
    [
        (["--sort", "macs"], [8, 4]),
        (["--sort", "-macs"], [4, 8]),
        (["--sort", "test_acc"], [4, 8]),
        (["--where", "width=4"], [4]),
        (["--where", "test_acc>0.55"], [8]),
        (["--where", "n_failed>0"], [4]),
        (["--where", "width=4,8", "--where", "params<=40"], [4]),
        (["--where", "width=9"], []),
    ],
)
@pytest.mark.usefixtures("recorded")
def test_cells_are_chosen_and_ordered(results: Call, arguments: list[str], widths: list[int]) -> None:
    assert [int(row["width"]) for row in rows(results("--csv", *arguments))] == widths


@pytest.mark.usefixtures("recorded")
def test_a_condition_on_accuracy_chooses_cells_not_the_runs_of_their_means(results: Call) -> None:
    """Of the seeds of width 8, .58, .581 and .582, one is above .5815, but the mean is not."""
    assert rows(results("--csv", "--where", "test_acc>0.5815")) == []
    (row,) = rows(results("--csv", "--where", "test_acc>0.5805"))
    assert (row["n_done"], float(row["test_acc_mean"])) == ("3", pytest.approx(0.581))
    assert len(rows(results("--csv", "--runs", "--where", "test_acc>0.5815"))) == 1


@pytest.mark.usefixtures("recorded")
def test_runs_and_cells_can_be_asked_for_by_the_label_that_they_are_listed_with(results: Call) -> None:
    for runs in ([], ["--runs"]):
        listed = rows(results("--csv", *runs))
        label = listed[-1]["label"]
        assert (" s" in label) == bool(runs)
        wanted = [row for row in listed if row["label"] == label]
        assert rows(results("--csv", *runs, "--where", f"label={label}")) == wanted
        assert rows(results("--csv", *runs, "--sort", "-label"))[0]["label"] == max(row["label"] for row in listed)


@pytest.mark.usefixtures("recorded")
def test_a_condition_on_the_seed_chooses_runs(results: Call) -> None:
    assert [row["n_runs"] for row in rows(results("--csv", "--where", "seed<2"))] == ["2", "2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--where", "widht=8"], "error: unknown column 'widht'; did you mean 'width'?"),
        (["--where", "status=done"], "error: status is a run's, not a cell's; ask for runs (--runs)"),
        (["--where", "width"], "error: where: 'width' is no condition; "),
        (["--sort", "mcas"], "error: unknown column 'mcas'; did you mean 'macs'?"),
        (["model=cnn"], "error: 'model=cnn' is no sweep but a condition; give it as one of where (--where model=cnn)"),
        (["frist"], "error: unknown sweep 'frist'; did you mean 'first'?"),
        (["../runs"], "error: unknown sweep '../runs'; there are first"),
        (["--csv", "--json"], "error: --csv, --json and --parquet exclude each other; give one"),
        (["--parquet", "no/such/folder/file"], "error: cannot write no/such/folder/file: No such file or directory"),
    ],
)
def test_a_mistake_is_one_line(
    recorded: list[dict[str, Any]], results: Call, outputs: Path, arguments: list[str], message: str
) -> None:
    SweepFolder(outputs / "sweeps" / "first").write_plan(read(recorded), [])
    ended = results(*arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith(message)


def test_a_folder_without_runs_is_one_line(results: Call, clean: Call) -> None:
    for ended in (results(), clean()):
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert ended.err.startswith("error: no runs in ")
    assert results("first").err.startswith("error: no sweeps in ")


def test_of_a_sweep_only_its_own_runs_are_shown_and_its_files_made_anew(
    recorded: list[dict[str, Any]], results: Call, outputs: Path
) -> None:
    never = result(4, 9)
    folder = SweepFolder(outputs / "sweeps" / "first")
    folder.write_plan(read([*recorded[3:], never]), ["width=4"])
    (row,) = rows(results("first", "--csv"))
    assert [row[f"n_{name}"] for name in ("runs", "done", "failed", "other")] == ["4", "2", "1", "1"]
    assert pd.read_csv(folder.runs_file)["status"].tolist() == ["done", "done", "failed", "missing"]
    text = results("first").out
    assert f"{outputs}/runs/{recorded[-1]['run_id']}/run.log" in text
    assert "failed: out of memory" in text
    assert "missing: not started" in text


def test_runs_of_several_commits_are_told_under_the_table(outputs: Path, results: Call) -> None:
    write(outputs, result(8, 0), result(8, 1, git_sha="b" * 40), result(4, 0))
    assert results().out.splitlines()[-1] == "made by 2 versions of the code: aaaaaaa (2 runs), bbbbbbb (1 run)"
    assert "versions of the code" not in results("--where", "width=4").out


def test_parquet_holds_the_table(recorded: list[dict[str, Any]], results: Call, tmp_path: Path) -> None:
    ended = results("--runs", "--parquet", str(tmp_path / "runs.parquet"))
    assert (ended.code, ended.out) == (0, "")
    table = pd.read_parquet(tmp_path / "runs.parquet")
    accuracies = {record["run_id"]: record["test_acc"] for record in recorded if record["test_acc"] is not None}
    assert table.set_index("run_id")["test_acc"].dropna().to_dict() == accuracies
    assert len(table) == len(recorded)


@pytest.mark.usefixtures("recorded")
def test_a_table_that_cannot_be_written_leaves_the_old_one(
    results: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "runs.parquet"
    file.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    ended = results("--runs", "--parquet", str(file))
    assert (ended.code, ended.err) == (2, f"error: cannot write {file}: No space left on device\n")
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {file.name}
    assert file.read_bytes() == b"old"


@pytest.mark.usefixtures("recorded")
def test_parquet_without_pyarrow_is_one_line(results: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ended = results("--parquet", str(tmp_path / "runs.parquet"))
    assert (ended.code, ended.err) == (2, "error: --parquet needs pyarrow; pip install 'dsbench[parquet]'\n")
    assert not (tmp_path / "runs.parquet").exists()


def files(outputs: Path) -> set[str]:
    return {str(path.relative_to(outputs)) for path in outputs.rglob("*.ckpt")}


def test_cleaning_says_first_and_removes_when_told(recorded: list[dict[str, Any]], clean: Call, outputs: Path) -> None:
    before = files(outputs)
    dry = clean()
    assert dry.out.splitlines() == [
        "would free 10.0 MB: 5 last.ckpt, of 5 of 6 runs",
        "left alone: 1 run not final",
        "--yes removes them",
    ]
    assert files(outputs) == before
    assert clean("--yes").out.splitlines()[0] == "freed 10.0 MB: 5 last.ckpt, of 5 of 6 runs"
    done = [record["run_id"] for record in recorded if record["status"] == "done"]
    assert before - files(outputs) == {f"runs/{run_id}/checkpoints/last.ckpt" for run_id in done}
    assert len(list(outputs.glob("runs/*/result.json"))) == len(list(outputs.glob("runs/*/metrics.csv"))) == 6
    assert clean("--yes").out.splitlines()[0] == "freed 0.0 MB: nothing, of 0 of 6 runs"


@pytest.mark.usefixtures("recorded")
def test_cleaning_keeps_to_its_conditions(clean: Call, outputs: Path) -> None:
    assert clean("--yes", "--keep", "none", "--where", "width=8", "--where", "seed>0").code == 0
    gone = [f"{8:06x}{seed:06x}" for seed in (1, 2)]
    assert len(files(outputs)) == 12 - 4
    assert not [name for name in files(outputs) if any(run_id in name for run_id in gone)]
    assert "of 0 of 0 runs" in clean("--yes", "--status", "collapsed,diverged").out
    assert "left alone: 1 run not final" in clean("--yes", "--status", "failed").out
    assert len(files(outputs)) == 12 - 4


def test_cleaning_leaves_a_run_that_a_process_trains(
    recorded: list[dict[str, Any]], clean: Call, outputs: Path
) -> None:
    run_id = recorded[0]["run_id"]
    with FileLock(outputs / "runs" / run_id / ".lock"):
        ended = clean("--yes", "--keep", "none")
    assert "left alone: 1 run in use" in ended.out
    assert {f"runs/{run_id}/checkpoints/{name}.ckpt" for name in ("last", "best")} <= files(outputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep", "bset"], "error: unknown --keep 'bset'; did you mean 'best'?"),
        (["--status", "dnoe"], "error: unknown status 'dnoe'; did you mean 'done'?"),
        (["--where", "widht=1"], "error: unknown column 'widht'; did you mean 'width'?"),
    ],
)
@pytest.mark.usefixtures("recorded")
def test_a_mistake_in_cleaning_is_one_line(clean: Call, outputs: Path, arguments: list[str], message: str) -> None:
    ended = clean("--yes", *arguments)
    assert (ended.code, ended.err) == (2, f"{message}\n")
    assert len(files(outputs)) == 12


@pytest.mark.usefixtures("recorded")
def test_neither_tables_nor_cleaning_wait_for_torch(outputs: Path) -> None:
    for command, unneeded in (("results", set()), ("clean", {"scipy"})):
        assert not {"torch", "wandb", "hydra", *unneeded} & imported(command, "--outputs", str(outputs))


def test_costs_do_not_wait_for_pandas() -> None:
    assert not {"pandas", "scipy", "torch"} & imported("cost", "data=mnist")


def imported(*arguments: str) -> set[str]:
    """The modules in a process that has run the dsbench command."""
    code = "import atexit, sys; atexit.register(lambda: print('\\n', *sys.modules)); "
    code += "from dsbench.cli.hydra import dsbench; dsbench()"
    line = [sys.executable, "-c", code, *arguments]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    return set(ended.stdout.splitlines()[-1].split())
