"""One damaged file of a run costs a sweep that run, and none of its tables, figures and pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_sweeps import four_cells, make

Call = Callable[..., Any]
DAMAGE = {
    "half a file": lambda text: text[: len(text) // 2],
    "nothing": lambda text: "",
    "no text": lambda text: "\0" * 100,
    "no record": lambda text: "[1, 2]",
    "an accuracy in words": lambda text: json.dumps(json.loads(text) | {"test_acc": "high"}),
    "a time without keys": lambda text: json.dumps(json.loads(text) | {"latency_ms": 3}),
}


def test_damaged_records_leave_a_sweep_its_tables_verdict_figures_and_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.chdir(tmp_path)
    made = make(tmp_path / "outputs", four_cells())
    for damaged, run_id in zip(DAMAGE.values(), made.runs["run_id"][::2], strict=True):
        lost = tmp_path / "outputs" / "runs" / run_id / "result.json"
        lost.write_text(damaged(lost.read_text()))
    rows = json.loads(call("dsbench", "results", "made", "--runs", "--json").out)
    assert [row["status"] for row in rows] == ["unreadable", "done"] * len(DAMAGE)
    assert all(row["error"].startswith("result.json: ") for row in rows[::2])
    for command in ("results", "verdict", "figures", "report"):
        assert call("dsbench", command, "made").code == 0
    assert (made.folder.path / "figures" / "confusion.svg").exists()
    assert (made.folder.path / "report.md").read_text().count("result.json: ") >= len(DAMAGE)


def test_a_damaged_confusion_matrix_leaves_those_of_the_other_runs(tmp_path: Path) -> None:
    from dsbench.figures.confusion import confusions

    made = make(tmp_path, four_cells())
    first, second, third = (tmp_path / "runs" / run_id / "confusion.json" for run_id in made.runs["run_id"][:3])
    kept = [json.loads(file.read_text()) for file in (second, third)]
    first.write_text("[[1, 2")
    whole = confusions(made.runs, tmp_path)[made.runs["cell_id"][0]]
    assert whole.tolist() == [[sum(matrix[i][j] for matrix in kept) for j in (0, 1)] for i in (0, 1)]
