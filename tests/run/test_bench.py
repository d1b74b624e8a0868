"""train.bench=true: what a run's network costs when it runs, in the run's record."""

import json
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.chips.onnxruntime import OnnxRuntime
from dsbench.measure import bench as measuring
from dsbench.run import bench, train
from dsbench.run.interrupts import Interrupted
from dsbench.run.mirror import card

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]
Inspected = Callable[..., Any]

QUICK = "arch=mnist_7800_shallow width=2 train.max_epochs=2"
BENCHED = f"{QUICK} train.bench=true"
MEASURED = {"latency_ms", "train_step_ms", "peak_memory_bytes", "measured_on"}


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits until a measurement has settled, and few for ONNX Runtime."""
    monkeypatch.setattr(bench, "LIMIT_SECONDS", 0.01)
    monkeypatch.setattr(OnnxRuntime, "missing", lambda *_: "no onnx here")


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def recorded(plan: Any) -> dict[str, Any]:
    return json.loads(plan.folder.result_file.read_text())


def test_a_run_is_measured_once_it_is_done_in_onnx_runtime_too_where_that_is_installed(
    trained: Train, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(measure: Any, seconds: float, end: Any, refused: Any, say: Any) -> Any:
        return measure(seconds, refused=refused, say=say)

    monkeypatch.setattr(OnnxRuntime, "missing", lambda *_: None)
    monkeypatch.setattr("dsbench.chips.measure.in_fresh_process", here)
    record = trained(BENCHED)
    assert record["status"] == "done"
    assert recorded(planned(BENCHED)) == json.loads(json.dumps(record))
    assert record["latency_ms"].keys() == {"batch_1", "batch_128"}
    for by_backend in record["latency_ms"].values():
        assert by_backend.keys() == {"torch"}
        assert by_backend["torch"].keys() == {"median", "iqr", "settled", "session", "repeats"}
    one, many = (by_backend["torch"]["median"] for by_backend in record["latency_ms"].values())
    assert 0 < one < many
    step = record["train_step_ms"]
    assert (step.pop("batch_size"), step.keys()) == (128, {"total", "forward", "backward", "optimizer"})
    assert record["peak_memory_bytes"] > 128 * 28 * 28 * 4  # a batch of images
    said = record["chips"]["onnxruntime"]
    assert said["fp32"]["test_acc"] == pytest.approx(record["test_acc"], abs=0.0001)
    assert {name: len(said[name]["latency_ms"]["repeats"]) for name in ("fp32", "int8")} == {"fp32": 1, "int8": 1}
    where = record["measured_on"]
    assert {key: where[key] for key in ("device", "threads", "precision", "memory_format")} == {
        key: record[key] for key in ("device", "threads", "precision", "memory_format")
    }


def test_a_run_is_measured_on_one_thread_and_trains_on_its_own(trained: Train) -> None:
    record = trained(f"{QUICK} threads=2 train.bench=true")
    assert (record["threads"], record["measured_on"]["threads"], torch.get_num_threads()) == (2, 1, 2)
    torch.set_num_threads(1)


def test_a_run_is_not_measured_unasked(trained: Train) -> None:
    assert not MEASURED & trained(QUICK).keys()


def test_a_recorded_run_is_measured_when_asked_for_and_not_trained_again(
    trained: Train, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(QUICK)
    monkeypatch.setattr(train, "fit", failing(AssertionError("trained again")))
    completed = trained(BENCHED)
    assert {key: value for key, value in completed.items() if key not in MEASURED} == json.loads(json.dumps(first))
    assert completed.keys() - first.keys() == MEASURED
    assert recorded(planned(QUICK)) == json.loads(json.dumps(completed))
    monkeypatch.setattr(measuring, "bench", failing(AssertionError("measured again")))
    for line in (BENCHED, QUICK):
        assert trained(line) == json.loads(json.dumps(completed))


def test_a_measurement_that_fails_is_logged_and_takes_nothing_with_it(
    trained: Train, planned: Planned, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "bench", failing(RuntimeError("out of memory")))
        with caplog.at_level(logging.WARNING, "dsbench"):
            record = trained(BENCHED)
        assert trained(BENCHED)["test_acc"] == record["test_acc"]
    assert (record["status"], recorded(planned(QUICK))["status"]) == ("done", "done")
    assert record["test_acc"] is not None
    assert not MEASURED & record.keys()
    assert "the network could not be measured, its record stays without: out of memory" in caplog.text
    assert planned(QUICK).folder.log_file.read_text().count("RuntimeError: out of memory") == 2  # tried again
    assert trained(BENCHED).keys() >= MEASURED


def test_a_run_interrupted_while_it_is_measured_is_done(
    trained: Train, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "bench", failing(Interrupted(signal.SIGTERM)))
        with pytest.raises(Interrupted):
            trained(BENCHED)
    first = recorded(planned(QUICK))
    assert first["status"] == "done"
    assert "error" not in first
    completed = trained(BENCHED)
    assert (completed["finished"], completed["attempts"]) == (first["finished"], 1)
    assert completed.keys() >= MEASURED


def test_a_run_that_came_to_nothing_is_not_measured(trained: Train) -> None:
    record = trained(f"{BENCHED} optimizer.lr=1e30")
    assert record["status"] == "diverged"
    assert not MEASURED & record.keys()


@pytest.mark.parametrize("lines", [(BENCHED,), (QUICK, BENCHED)], ids=["at once", "later"])
def test_the_tracker_shows_medians_by_flat_keys_beside_the_curves(
    trained: Train, planned: Planned, inspected: Inspected, outputs: Path, lines: tuple[str, ...]
) -> None:
    for line in lines:
        record = trained(f"{line} logger=wandb")
    assert len(list((outputs / "wandb").glob("offline-run-*"))) == 1
    shown = inspected()
    assert (shown["state"], shown["summary"]["status"]) == ("finished", "done")
    summary = shown["summary"]
    assert summary["latency_ms/batch_128/torch"] == record["latency_ms"]["batch_128"]["torch"]["median"]
    assert summary["train_step_ms/backward"] == record["train_step_ms"]["backward"]["median"]
    assert summary["peak_memory_bytes"] == record["peak_memory_bytes"]
    assert summary["test_acc"] == record["test_acc"]
    run = planned(QUICK)
    assert shown["config"].items() >= card(run.config, run.facts()).facts.items()  # and nothing of its end
    assert not {"status", "test_acc"} & shown["config"].keys()
    rows = [entry["history"]["item"] for entry in inspected(records=True) if entry["type"] == "history"]
    assert [row["epoch"] for row in rows if "epoch" in row] == [1, 2]
