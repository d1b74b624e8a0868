"""One damaged file of a run costs a sweep that run, and none of its tables, figures and pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_sweeps import four_cells, make
from synthetic import run

from dsbench.errors import InputError
from dsbench.results.records import correct_images
from dsbench.run.folder import RunFolder
from dsbench.verdict.verdict import verdict

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


NO_MATRIX = ["[[1, 2", "{}", "[]", "3", "[1, 2]", "[[1, 2], [3]]", "[[1, 2]]", "[[0, 0], [0, 0]]"]
NO_MATRIX += [
    "[[1, -2], [3, 4]]",
    "[[1.5, 2], [3, 4]]",
    '[["1", 2], [3, 4]]',
    "[[true, 2], [3, 4]]",
    "[[null, 2], [3, 4]]",
]


@pytest.mark.parametrize("text", NO_MATRIX)
def test_a_damaged_confusion_matrix_leaves_those_of_the_other_runs_and_the_verdict(tmp_path: Path, text: str) -> None:
    from dsbench.figures.confusion import confusions

    made = make(tmp_path, four_cells())
    first, second, third = (tmp_path / "runs" / run_id / "confusion.json" for run_id in made.runs["run_id"][:3])
    kept = [json.loads(file.read_text()) for file in (second, third)]
    first.write_text(text)
    with pytest.raises(InputError, match=f"the confusion matrix {first} is damaged: "):
        RunFolder(first.parent).confusion()
    whole = confusions(made.runs, tmp_path)[made.runs["cell_id"][0]]
    assert whole.tolist() == [[sum(matrix[i][j] for matrix in kept) for j in (0, 1)] for i in (0, 1)]
    collapsed = made.runs.assign(status="collapsed", test_acc=0.0)
    assert len(verdict(tmp_path, collapsed).cells) == 4


CORRECT = [True, True, False, True] * 5  # .75, as the runs have it that are made
BITS = b"20\n" + np.packbits(CORRECT).tobytes()
DAMAGED_BITS = {
    "truncated": BITS[:-1],
    "without a number": BITS[3:],
    "without bits": BITS[:3],
    "a bit flipped": BITS[:4] + bytes([BITS[4] ^ 8]) + BITS[5:],
    "a bit flipped behind the last image": BITS[:-1] + bytes([BITS[-1] ^ 1]),
    "longer": BITS + b"\0",
    "of more images": b"24" + BITS[2:],
    "of fewer images": b"17" + BITS[2:],
    "of no images": b"0\n",
    "of a negative number of images": b"-1\n",
    "of more images than memory holds": b"9" * 30 + b"\n",
    "of other bytes": bytes(range(256)),
    "empty": b"",
}


@pytest.mark.parametrize("damage", DAMAGED_BITS)
def test_a_run_whose_images_cannot_be_told_is_named_and_the_others_keep_theirs(tmp_path: Path, damage: str) -> None:
    made = make(tmp_path, [run(seed=0), run(seed=1), run(seed=2), run("collapsed", seed=3)])
    whole, damaged, older, fallen = (tmp_path / "runs" / run_id for run_id in made.runs["run_id"])
    for folder, content in ((whole, BITS), (damaged, DAMAGED_BITS[damage]), (fallen, BITS)):
        (folder / "test_correct.bits").write_bytes(content)
    correct, reasons = correct_images(tmp_path, made.runs)
    assert {run_id: bits.tolist() for run_id, bits in correct.items()} == {whole.name: CORRECT}
    assert reasons.keys() == {damaged.name}
    assert reasons[damaged.name].startswith(f"{damaged / 'test_correct.bits'} is damaged: ")
    assert older.name not in correct | reasons
