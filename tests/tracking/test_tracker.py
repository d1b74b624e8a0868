"""Whatever a tracker does, the run goes on."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from dsbench.tracking import tracker as tracking
from dsbench.tracking.wandb import WandbTracker

QUICK = "arch=mnist_7800_shallow width=2 train.max_epochs=3"


class Broken:
    """A tracker that works for one epoch."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def epoch(self, row: Any) -> None:
        self.calls.append(f"epoch {row['epoch']}")
        if row["epoch"] > 1:
            raise ConnectionError("the server is gone")

    def finish(self, summary: Any, confusion: Any, failed: bool) -> None:
        self.calls.append("finish")
        raise ConnectionError("the server is still gone")


def test_a_tracker_that_fails_in_the_middle_is_reported_once_and_the_result_stands(
    trained: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Broken()
    monkeypatch.setattr("dsbench.run.train.open_tracker", lambda *_: tracking.Guarded(broken))
    with caplog.at_level(logging.WARNING, logger="dsbench"):
        record = trained(QUICK)
    assert record["status"] == "done"
    assert broken.calls == ["epoch 1", "epoch 2", "finish"]
    messages = [entry.getMessage() for entry in caplog.records if entry.name == "dsbench"]
    assert messages == ["the tracker failed and shows no more of this run: the server is gone"]


def test_wandb_itself_failing_in_the_middle_stops_no_run_and_is_finished(
    trained: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, inspected: Callable[[], Any]
) -> None:
    epoch = WandbTracker.epoch

    def failing(self: WandbTracker, row: Any) -> None:
        if row["epoch"] == 2:
            self.run.log("not a dict")  # type: ignore[arg-type]
        epoch(self, row)

    monkeypatch.setattr(WandbTracker, "epoch", failing)
    record = trained(f"{QUICK} logger=wandb")
    assert (record["status"], record["epochs"]) == ("done", 3)
    shown = inspected()
    assert (shown["state"], shown["summary"]["test_acc"]) == ("finished", record["test_acc"])


def test_a_tracker_that_cannot_be_opened_stops_no_run(
    trained: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import wandb

    def broken(**_: Any) -> None:
        raise OSError("no space left for W&B")

    monkeypatch.setattr(wandb, "init", broken)
    monkeypatch.setattr(logging.getLogger("dsbench"), "propagate", True)
    assert trained("arch=mnist_7800_shallow width=1 train.max_epochs=1 logger=wandb")["status"] == "done"
    assert "could not be opened" in caplog.text
