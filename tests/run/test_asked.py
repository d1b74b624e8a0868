"""Chips asked about finished runs: what comes into their records, what is not asked again, and what is left out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crashing import Crashing

from dsbench.chips.litert import Litert
from dsbench.chips.tflm import Tflm
from dsbench.run import chips
from dsbench.run.chips import ask
from dsbench.run.folder import RunFolder

LINES = {  # by cell; the second is that of the run that many tests share
    "cnn": ["model=cnn width=4 train.max_epochs=1 seed=0", "model=cnn width=4 train.max_epochs=1 seed=1"],
    "dwsep": ["model=dwsep width=6 train.max_epochs=3"],
}
LITERT, TFLM = Litert(name="litert", precisions=("fp32", "int8")), Tflm(name="tflm", precisions=("int8",))
pytestmark = pytest.mark.skipif(Tflm.missing() is not None, reason=str(Tflm.missing()))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What asks a runtime does so in this process, and is counted."""
    calls: list[str] = []

    def call(measure: Any, seconds: float, end: Any, refused: Any, say: Any) -> Any:
        calls.append(str(measure.args[0]) if measure.args else "")
        return measure(seconds, refused=refused, say=say)

    monkeypatch.setattr("dsbench.chips.measure.in_fresh_process", call)
    monkeypatch.setattr(chips, "SECONDS", 0.05)
    monkeypatch.setattr(chips, "RUNTIMES", (Litert(name="litert", precisions=("int8",)),))
    return calls


@pytest.fixture
def runs(ran: Callable[[str], tuple[Any, Any]], tmp_path: Path) -> dict[str, list[str]]:
    """Two cells, of two runs and of one, this test's own copies below tmp_path."""
    out: dict[str, list[str]] = {}
    for cell, lines in LINES.items():
        for line in lines:
            plan, _ = ran(f"arch=mnist_7800_shallow {line}")
            shutil.copytree(plan.folder.path, tmp_path / "runs" / plan.run_id)
            out.setdefault(cell, []).append(plan.run_id)
    return out


def record(outputs: Path, run_id: str) -> dict[str, Any]:
    return json.loads((outputs / "runs" / run_id / "result.json").read_text())


def test_one_run_a_cell_is_timed_and_counted_every_run_is_tested_and_nothing_twice(
    runs: dict[str, list[str]], tmp_path: Path, here: list[str]
) -> None:
    before = {run_id: record(tmp_path, run_id) for own in runs.values() for run_id in own}
    told: list[str] = []
    assert ask(tmp_path, runs, [LITERT, TFLM], timed=True, told=told.append) == []
    assert told == ["asking litert about 2 cells, tflm about 2 cells, what int8 costs 3 runs in accuracy"]
    after = {run_id: record(tmp_path, run_id) for run_id in before}
    for run_id, own in after.items():
        assert {name: value for name, value in own.items() if name != "chips"} == before[run_id]
        assert 0 <= own["chips"]["litert"]["int8"]["test_acc"] <= 1
    first, second = (after[own[0]]["chips"] for own in runs.values())
    for precision in ("fp32", "int8"):
        sessions = [
            [repeat["session"] for repeat in said["litert"][precision]["latency_ms"]["repeats"]]
            for said in (first, second)
        ]
        assert sessions[0] == sessions[1]  # they took turns
        assert len(sessions[0]) == 5
    assert first["litert"]["fp32"]["test_acc"] == pytest.approx(before[runs["cnn"][0]]["test_acc"], abs=0.005)
    assert first["tflm"]["int8"]["arena_bytes"] > 0
    assert "tflm" not in after[runs["cnn"][1]]["chips"]
    here.clear()
    assert ask(tmp_path, runs, [LITERT, TFLM], timed=True) is None
    assert not here


def test_a_chip_that_fails_and_a_run_without_weights_are_named_and_left_out(
    runs: dict[str, list[str]], tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def died() -> None:
        raise RuntimeError("the process that measured ended with exit code -6")

    monkeypatch.setattr("os.abort", died)
    gone = runs["cnn"][1]
    for file in (RunFolder(tmp_path / "runs" / gone).best, RunFolder(tmp_path / "runs" / gone).last):
        file.unlink(missing_ok=True)
    small = Tflm(name="small", precisions=("int8",), arena_bytes=1000)
    failing = Crashing(name="failing", precisions=("fp32",), bad=runs["dwsep"][0])
    left_out = ask(tmp_path, runs, [LITERT, failing, small], timed=False)
    assert left_out is not None
    weights, *failures = left_out
    assert weights.startswith(f"cnn, seed 1: the weights of run {gone} are gone")
    reasons = {line.partition(": ")[0]: line.partition(": ")[2] for line in failures}
    assert reasons.keys() == {"small, cnn", "small, dwsep", "failing, dwsep"}
    assert reasons["failing, dwsep"] == "the process that measured ended with exit code -6 (check failed: arena)"
    assert [sum(f"'{name}'" in asked for asked in here) for name in ("failing", "small")] == [3, 1]  # a crash, halves
    assert all(reasons[name].startswith("this network needs an arena of ") for name in ("small, cnn", "small, dwsep"))
    said = {run_id: record(tmp_path, run_id).get("chips", {}) for own in runs.values() for run_id in own}
    assert gone in said
    assert said[gone] == {}
    assert said[runs["cnn"][0]]["failing"]["fp32"]["cycles"] == 7
    assert "failing" not in said[runs["dwsep"][0]]
    assert all("small" not in own for own in said.values())
    assert {run_id for run_id, own in said.items() if "litert" in own} == said.keys() - {gone}


@pytest.mark.usefixtures("here")
def test_chips_keep_their_say_when_times_are_measured_elsewhere(
    runs: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsbench.run.trained import add_to_record, load

    monkeypatch.setattr(chips, "RUNTIMES", ())
    (run_id,), outputs = runs["dwsep"], tmp_path
    assert ask(outputs, {"dwsep": [run_id]}, [TFLM], timed=False) == []
    latency = {"batch_1": {"torch": {"median": 1.0, "iqr": 0.1}}}
    for device in ("a CPU", "another CPU"):
        run = load(outputs / "runs" / run_id)
        add_to_record(run, {"latency_ms": latency, "measured_on": {"device": device}})
        own = record(outputs, run_id)
        assert own["chips"]["tflm"]["int8"]["arena_bytes"] > 0
        assert own["measured_on"]["device"] == device
    before = record(outputs, run_id)
    add_to_record(load(outputs / "runs" / run_id), {"chips": {"mine": {"title": "mine", "versions": {}}}})
    assert record(outputs, run_id)["latency_ms"] == before["latency_ms"]  # chips alone drop nothing
