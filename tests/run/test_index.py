"""The index of runs says what the records say, whoever writes beside it."""

from __future__ import annotations

import csv
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_sweeps import four_cells, make
from synthetic import run

from dsbench.results.query import runs_of
from dsbench.run import index
from dsbench.run.record import Record


def lines(outputs: Path) -> dict[str, dict[str, str]]:
    """The last line of each run."""
    with index.file_of(outputs).open(encoding="utf-8", newline="") as file:
        return {row["run_id"]: row for row in csv.DictReader(file)}


def recorded(outputs: Path, record: dict[str, Any]) -> Record:
    """A run that has ended, with its record in its folder."""
    out = Record.of(record)
    folder = outputs / "runs" / out.run_id
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(out.to_json())
    return out


def test_a_table_of_all_runs_writes_it_and_a_run_adds_its_line_from_then_on(tmp_path: Path) -> None:
    records = four_cells(2)
    late = recorded(tmp_path, run(model="hybrid", width=31, fine_width=69, seed=3, test_acc=0.5))
    index.add(tmp_path, late)
    assert not index.file_of(tmp_path).exists()  # nobody has asked for one
    made = make(tmp_path, records)
    runs_of(tmp_path, None)
    rows = lines(tmp_path)
    assert rows.keys() == {late.run_id, *made.runs["run_id"]}
    assert (rows[late.run_id]["label"], rows[late.run_id]["sweeps"]) == ("hybrid w31/69 s3", "")
    first = rows[records[0]["run_id"]]
    assert (first["label"], first["sweeps"], first["status"]) == ("cnn w4 s0", "made", "done")
    assert float(first["test_acc"]) == records[0]["test_acc"]
    later = recorded(tmp_path, run(seed=9))
    index.add(tmp_path, later)
    assert lines(tmp_path)[later.run_id]["label"] == "cnn w8 s9"
    before = index.file_of(tmp_path).stat().st_mtime_ns
    runs_of(tmp_path, None)
    after = index.file_of(tmp_path).stat().st_mtime_ns
    runs_of(tmp_path, None)
    assert before < after == index.file_of(tmp_path).stat().st_mtime_ns  # in order of their starts, then untouched


def test_a_sweep_brings_its_own_lines_up_to_date_and_leaves_the_others(tmp_path: Path) -> None:
    made = make(tmp_path, four_cells(1))
    made.folder.collect()
    other = recorded(tmp_path, run(seed=7))
    index.add(tmp_path, other)
    index.add(tmp_path, other)  # as after an interruption
    made.folder.collect()
    rows = lines(tmp_path)
    assert rows[other.run_id]["sweeps"] == ""
    assert {rows[run_id]["sweeps"] for run_id in made.runs["run_id"]} == {"made"}
    assert index.file_of(tmp_path).read_text().count(other.run_id) == 1
    (tmp_path / "runs" / other.run_id / "result.json").unlink()
    made.folder.collect()
    assert other.run_id not in lines(tmp_path)


def test_runs_that_end_together_have_a_whole_line_each(tmp_path: Path) -> None:
    make(tmp_path, four_cells(1)).folder.collect()
    records = [recorded(tmp_path, run(seed=seed, data="d" * 200)) for seed in range(100, 140)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda record: index.add(tmp_path, record), records))
    rows = lines(tmp_path)
    assert all(rows[record.run_id]["data"] == "d" * 200 for record in records)


@pytest.mark.parametrize("content", ["", "run_id,label\n0123456789ab,x\n", '"\x00"broken', "\xff"])
def test_whatever_is_in_the_file_no_run_fails_for_it(tmp_path: Path, content: str) -> None:
    make(tmp_path, four_cells(1))
    index.file_of(tmp_path).write_bytes(content.encode("latin-1"))
    assert len(runs_of(tmp_path, None)[0]) == 4
    index.add(tmp_path, Record.of(run()))


def test_a_folder_that_cannot_be_written_to_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    made = make(tmp_path, four_cells(1))
    monkeypatch.setattr(index, "write_atomically", refused)
    monkeypatch.setattr(index, "os", SimpleNamespace(**vars(os) | {"open": refused}))
    assert len(runs_of(tmp_path, None)[0]) == 4
    index.add(tmp_path, Record.of(run()))
    assert len(made.folder.collect()[0]) == 4
