"""What a sweep leaves on disk, and how its tables follow from the records of its runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from filelock import FileLock
from made_sweeps import four_cells, make
from synthetic import hexadecimal, read, run

from dsbench import provenance
from dsbench.errors import InputError
from dsbench.results.folder import SweepFolder, sweeps
from dsbench.results.query import sweep_folder
from dsbench.results.records import CODE, OUTCOMES, plain
from dsbench.run.lock import locked
from dsbench.run.outcome import Ended

Record = Callable[..., None]
Planned = Callable[[str], Any]
Train = Callable[..., dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path / "sweeps" / "first")


@pytest.fixture
def record(tmp_path: Path) -> Record:
    def write(*results: dict[str, Any]) -> None:
        for result in results:
            file = tmp_path / "runs" / result["run_id"] / "result.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(result))

    return write


def test_a_plan_says_what_was_asked(folder: SweepFolder) -> None:
    budget = {"kind": "params", "scope": "total", "match": "cnn", "target": 100.0, "actual": 99.0, "residual": -0.01}
    runs = [
        run(width=width, seed=seed, requested=budget if width == 2 else None) for width in (2, 1) for seed in (0, 1)
    ]
    folder.write_plan(read(runs), ["-m", "width=2,1"])
    assert folder.run_ids() == [record["run_id"] for record in runs]
    metadata = yaml.safe_load(folder.sweep_file.read_text())
    assert metadata["arguments"] == ["-m", "width=2,1"]
    assert metadata["budgets"] == {runs[0]["cell_id"]: budget}
    assert (metadata["versions"], metadata["git_sha"], metadata["finished"]) == (
        provenance.versions(),
        provenance.git_sha(),
        None,
    )
    table = pd.read_csv(folder.plan_file, dtype={"run_id": str})
    assert table["run_id"].tolist() == folder.run_ids()
    assert table["width"].tolist() == [2, 2, 1, 1]
    assert table["requested_target"].tolist()[:2] == [100, 100]
    assert not set(OUTCOMES) & set(table.columns)


def test_ids_that_look_like_numbers_stay_as_they_are(folder: SweepFolder, record: Record) -> None:
    ids = ["012345678901", "12e456789012", "0" * 12, "123456789012"]
    runs = [run(seed=seed) | {"run_id": run_id, "cell_id": run_id} for seed, run_id in enumerate(ids)]
    record(runs[0])
    folder.write_plan(read(runs), [])
    assert folder.run_ids() == ids
    table, cells = folder.collect()
    assert table["run_id"].tolist() == cells["cell_id"].tolist() == ids
    assert table["status"].tolist() == ["done", "missing", "missing", "missing"]


def test_of_two_requests_for_one_run_the_first_counts(folder: SweepFolder, record: Record) -> None:
    first, second = run(seed=0), run(seed=1)
    targets = [{"kind": "params", "target": float(target)} for target in (1, 2)]
    folder.write_plan(read([first | {"requested": targets[0]}, second, first | {"requested": targets[1]}]), [])
    record(first, second)
    assert folder.run_ids() == [first["run_id"], second["run_id"]]
    runs, cells = folder.collect()
    assert (len(runs), cells["n_done"].tolist()) == (2, [2])
    assert runs["requested_target"].tolist() == [1, 1]


def test_a_run_without_a_record_is_missing_and_says_what_was_planned(folder: SweepFolder, record: Record) -> None:
    settings = {"optimizer.lr": 0.1 + 0.2, "optimizer.betas": [0.9, 0.999], "arch.init": "0123"}
    runs = [run(seed=seed, params=77, intensity=1 / 3, kernel=[3, 5], settings=settings) for seed in range(3)]
    folder.write_plan(read(runs), [])
    record(runs[1])
    table, cells = folder.collect()
    assert table["status"].tolist() == ["missing", "done", "missing"]
    missing, done, _ = plain(table)
    same = [name for name in table.columns if name not in (*OUTCOMES, *CODE, "run_id", "seed")]
    assert {name: missing[name] for name in same} == {name: done[name] for name in same}
    assert (missing["seed"], missing["test_acc"]) == (0, None)
    (cell,) = plain(cells)
    assert [cell[f"n_{name}"] for name in ("runs", "done", "other")] == [3, 1, 2]


def test_names_and_budget_are_those_of_the_sweep(folder: SweepFolder, record: Record) -> None:
    """One run may be made under one name, for one budget, and be asked for again under another."""
    made = run(arch="mine", data="digits", study=None, requested={"kind": "macs", "target": 5.0})
    budget = {"kind": "params", "scope": "total", "match": None, "target": 10.0, "actual": 11.0, "residual": 0.1}
    folder.write_plan(
        read([made | {"arch": "plain", "data": "mnist5k", "study": "a/b", "experiment": "a/b", "requested": budget}]),
        [],
    )
    record(made)
    (row,) = plain(folder.collect()[0])
    assert (row["arch"], row["data"], row["study"]) == ("plain", "mnist5k", "a/b")
    assert row["test_acc"] == made["test_acc"]
    assert (row["requested_kind"], row["requested_target"], row["requested_residual"]) == ("params", 10, 0.1)
    folder.write_plan(read([made | {"requested": None}]), [])
    assert plain(folder.collect()[0])[0]["requested_kind"] is None


def test_the_files_hold_the_tables(folder: SweepFolder, record: Record) -> None:
    runs = [run(width=width, seed=seed, test_acc=0.1 * width + seed / 30) for width in (1, 2) for seed in range(3)]
    folder.write_plan(read(runs), [])
    record(*runs[:5])
    for table, file in zip(folder.collect(), (folder.runs_file, folder.cells_file), strict=True):
        ids = dict.fromkeys(("run_id", "cell_id"), str)
        kept = pd.read_csv(file, dtype=ids)
        assert list(kept.columns) == list(table.columns)
        for name in ("width", "cell_id", *(name for name in table.columns if name.startswith("test_acc"))):
            assert kept[name].dropna().tolist() == table[name].dropna().tolist(), name
    assert {path.name for path in folder.path.glob("[!.]*")} == {"sweep.yaml", "plan.csv", "runs.csv", "cells.csv"}


def test_reading_writes_nothing_and_collecting_follows_the_records(folder: SweepFolder, record: Record) -> None:
    planned = run(test_acc=0.1)
    folder.write_plan(read([planned]), [])
    assert folder.read()[0]["status"].tolist() == ["missing"]
    assert not folder.runs_file.exists()
    for accuracy in (0.1, 0.2):
        record(planned | {"test_acc": accuracy})
        folder.collect()
        assert pd.read_csv(folder.runs_file)["test_acc"].tolist() == [accuracy]


def test_tables_are_made_without_the_plan_too(folder: SweepFolder, record: Record) -> None:
    runs = [run(seed=0), run(seed=1)]
    folder.write_plan(read(runs), [])
    record(runs[0])
    folder.plan_file.unlink()
    table, cells = folder.collect()
    assert table["status"].tolist() == ["done", "missing"]
    assert cells["n_runs"].tolist() == [1, 1]


def test_a_sweep_has_finished_when_its_last_run_has_ended(folder: SweepFolder, record: Record) -> None:
    runs = [run(seed=seed, finished=f"2026-01-0{seed + 1}T00:00:00+00:00") for seed in range(3)]
    folder.write_plan(read(runs), [])
    course = []
    ended = [runs[2] | {"status": status} for status in ("failed", "killed", "timeout", "done")]
    for last in (None, runs[2] | {"status": "interrupted", "finished": None}, *ended):
        record(runs[0], runs[1], *([last] if last else []))
        folder.collect()
        course.append(yaml.safe_load(folder.sweep_file.read_text())["finished"])
    assert course == [None, None, *[runs[2]["finished"]] * 4]


def test_a_reason_that_no_record_could_take_is_in_the_tables_but_for_a_result(
    folder: SweepFolder, record: Record
) -> None:
    runs = [run(seed=seed) for seed in range(4)]
    folder.write_plan(read(runs), [])
    earlier = {"status": "killed", "error": "killed by SIGSEGV"}
    record(runs[0] | earlier, runs[1] | {"status": "running"}, runs[3])  # somebody else was quicker with the last one
    ended = [Ended("failed", "No space left on device")] * 2 + [Ended("timeout", "ran longer than timeout=8 s")] * 2
    table, cells = folder.collect({row["run_id"]: end for row, end in zip(runs, ended, strict=True)})
    assert table["status"].tolist() == ["failed", "failed", "timeout", "done"]
    assert table["error"].tolist()[:3] == [end.reason for end in ended[:3]]
    assert [plain(cells)[0][f"n_{name}"] for name in ("done", "failed", "timeout", "other")] == [1, 2, 1, 0]


def test_sweeps_of_one_name_with_other_seeds_share_their_tables_even_at_once(folder: SweepFolder) -> None:
    runs = [run(width=2, seed=seed) for seed in range(12)]
    other = run(width=3)
    folder.write_plan(read([runs[0], other]), ["width=2,3"])

    def sweep(seeds: list[dict[str, Any]]) -> None:
        mine = SweepFolder(folder.path)
        mine.write_plan(read(seeds), ["width=2"])
        mine.collect()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(sweep, [runs[i : i + 2] for i in range(0, 12, 2)]))
    table, cells = folder.collect()
    assert sorted(table["seed"]) == list(range(12))
    assert set(table["width"]) == {2}  # no sweep of now asked for the other cell
    assert cells["n_runs"].tolist() == [12]


def test_a_run_in_training_stays_among_those_of_a_sweep_of_its_name(folder: SweepFolder, record: Record) -> None:
    runs = [run(width=width) for width in (2, 3, 4)]
    folder.write_plan(read(runs[:2]), ["width=2,3"])
    record(*(facts | {"status": "running"} for facts in runs[:2]))  # the process of one of them is gone
    with locked(folder.outputs / "runs" / runs[0]["run_id"], lambda *_: None):
        folder.write_plan(read(runs[2:]), ["width=4"])
    assert folder.read()[0]["width"].tolist() == [4, 2]


def test_a_lock_that_is_never_given_back_is_named(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_plan(read([run()]), [])
    monkeypatch.setattr("dsbench.results.folder._LOCK_SECONDS", 0.05)
    lock = folder.path / ".lock"
    with FileLock(lock), pytest.raises(InputError, match=f"another process has had {lock} for 0.05 s"):
        folder.write_plan(read([run()]), [])


def test_a_sweep_that_goes_on_keeps_its_start(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []
    for moment, arguments in ((1, ["a"]), (2, ["a"]), (3, ["b"])):
        monkeypatch.setattr(provenance, "now", lambda moment=moment: f"moment {moment}")
        folder.write_plan(read([run()]), arguments)
        starts.append(yaml.safe_load(folder.sweep_file.read_text())["started"])
    assert starts == ["moment 1", "moment 1", "moment 3"]


def test_a_failed_write_leaves_the_old_files(
    folder: SweepFolder, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_plan(read([run()]), [])
    record(run())
    folder.collect()
    before = {path: path.read_bytes() for path in folder.path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    record(run(test_acc=0.2))
    with pytest.raises(OSError, match="No space left"):
        folder.collect()
    assert {path: path.read_bytes() for path in folder.path.iterdir()} == before


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "sweeps").touch()
    with pytest.raises(InputError, match=r"cannot write to .*first: Not a directory; set outputs="):
        SweepFolder(tmp_path / "sweeps" / "first").write_plan(read([run()]), [])
    for ask in (SweepFolder.run_ids, SweepFolder.read, SweepFolder.collect):
        with pytest.raises(InputError, match="no sweep in "):
            ask(SweepFolder(tmp_path / "sweeps" / "second"))


@pytest.mark.parametrize("how", ["", "runs: [", "- a list", "runs", "budgets", "finished", "versions: 3", "\xff"])
def test_a_damaged_sweep_file_is_named_and_the_same_sweep_mends_it(
    folder: SweepFolder, record: Record, how: str
) -> None:
    folder.write_plan(read([run()]), [])
    record(run())
    whole = yaml.safe_load(folder.sweep_file.read_text())
    if how in whole:
        how = yaml.safe_dump({key: value for key, value in whole.items() if key != how})
    elif how.startswith("versions"):
        how = yaml.safe_dump(whole | yaml.safe_load(how))
    folder.sweep_file.write_text(how, encoding="latin-1")
    for ask in (folder.read, folder.collect, lambda: folder.write_plan(read([run()]), [])):
        with pytest.raises(InputError, match=f"{folder.sweep_file} is damaged: .*; delete it") as caught:
            ask()
        assert "\n" not in str(caught.value)
    folder.sweep_file.unlink()
    folder.write_plan(read([run()]), [])
    assert folder.read()[0]["status"].tolist() == ["done"]


@pytest.mark.parametrize(
    ("where", "path"),
    [("sweeps/first", "."), ("sweeps", "first"), ("", "sweeps/first"), ("sweeps/first/figures", ".."), ("", "link")],
)
def test_a_sweep_is_itself_by_any_path_to_its_folder(
    folder: SweepFolder, record: Record, monkeypatch: pytest.MonkeyPatch, where: str, path: str
) -> None:
    folder.write_plan(read([run()]), [])
    record(run())
    (folder.path / "figures").mkdir()
    (folder.outputs / "link").symlink_to(folder.path)
    monkeypatch.chdir(folder.outputs / where)
    same = sweep_folder(Path("outputs"), path)
    assert (same.name, same.outputs) == (folder.name, folder.outputs)
    assert same.read()[0]["status"].tolist() == ["done"]


def test_a_sweep_kept_on_another_disk_has_its_runs_where_its_link_stands(
    folder: SweepFolder, record: Record, tmp_path: Path
) -> None:
    folder.write_plan(read([run()]), [])
    record(run())
    (tmp_path / "disk").mkdir()
    folder.path.rename(tmp_path / "disk" / "moved")
    folder.path.symlink_to(tmp_path / "disk" / "moved")
    assert sweep_folder(Path("outputs"), str(folder.path)).read()[0]["status"].tolist() == ["done"]
    with pytest.raises(InputError, match=r"disk/moved is not in its place, OUTPUTS/sweeps/NAME, with its runs in"):
        sweep_folder(Path("outputs"), str(tmp_path / "disk" / "moved"))


def test_sweeps_are_the_folders_with_a_sweep_in_them(tmp_path: Path) -> None:
    assert sweeps(tmp_path) == []
    for name in ("b", "a"):
        SweepFolder(tmp_path / "sweeps" / name).write_plan(read([run()]), [])
    (tmp_path / "sweeps" / "c").mkdir()
    assert sweeps(tmp_path) == ["a", "b"]


def test_a_real_sweep_is_collected(planned: Planned, trained: Train, outputs: Path) -> None:
    lines = [f"arch=mnist_7800_shallow train.max_epochs=1 width=8 seed={seed}" for seed in (0, 1, 2)]
    folder = SweepFolder(outputs / "sweeps" / "seeds")
    folder.write_plan([planned(line).facts() for line in lines], lines)
    results = [trained(line) for line in lines[:2]]
    runs, cells = folder.collect()
    assert runs["run_id"].tolist() == [planned(line).run_id for line in lines]
    assert runs["test_acc"].tolist()[:2] == [result["test_acc"] for result in results]
    (cell,) = plain(cells)
    assert (cell["cell_id"], cell["n_done"], cell["n_other"]) == (planned(lines[0]).cell_id, 2, 1)
    assert hexadecimal("not asked for") not in folder.run_ids()


def test_a_damaged_plan_is_named_with_what_to_do(tmp_path: Path) -> None:
    made = make(tmp_path, four_cells())
    file = made.folder.plan_file
    file.write_text(file.read_text()[:-5])
    with pytest.raises(
        InputError, match=r"plan\.csv is damaged: it is cut within its last line; delete it, and the same"
    ):
        made.folder.read()
