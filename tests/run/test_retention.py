"""Checkpoints go only where nothing needs them any more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from dsbench.run.folder import RunFolder
from dsbench.run.record import Record, Status
from dsbench.run.retention import spare

STATUSES = ("done", "diverged", "collapsed", "failed", "interrupted", "running")
RECORDS = {"result.json", "confusion.json", "test_correct.bits", "metrics.csv", "config.yaml", "run.log"}


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], RunFolder]:
    def make(status: str) -> RunFolder:
        folder = RunFolder(tmp_path / "runs" / status)
        folder.create()
        folder.write_result(Record(run_id="a", status=Status(status), test_weights="best"), [[1]], [True])
        folder.write_history([])
        folder.config_file.touch()
        folder.log_file.touch()
        folder.last.write_bytes(b"l" * 100)
        folder.best.write_bytes(b"b" * 10)
        folder.last.with_name(".last.ckpt.4711").write_bytes(b"t")
        folder.last.with_name("mine.ckpt").write_bytes(b"mine")
        return folder

    return make


def left(folder: RunFolder) -> set[str]:
    return {path.name for path in folder.last.parent.iterdir()}


@pytest.mark.parametrize("status", ["done", "diverged", "collapsed"])
@pytest.mark.parametrize(
    ("keep", "stays", "size"), [("best", {"best.ckpt"}, 101), ("last", {"last.ckpt"}, 11), ("none", set(), 111)]
)
def test_a_final_run_keeps_what_is_asked_for_and_its_records(
    folder: Callable[[str], RunFolder], status: str, keep: str, stays: set[str], size: int
) -> None:
    run = folder(status)
    assert spare(run, keep, remove=True).size == size
    assert left(run) == stays | {"mine.ckpt"}
    assert {path.name for path in run.path.iterdir()} - {".lock"} == RECORDS | {"checkpoints"}
    assert spare(run, keep, remove=True).files == ()


@pytest.mark.parametrize("weights", ["best", "last"])
def test_tested_weights_stay_whichever_they_were(folder: Callable[[str], RunFolder], weights: str) -> None:
    run = folder("done")
    run.write_result(Record(run_id="a", status=Status.DONE, test_weights=weights))
    spare(run, "tested", remove=True)
    assert left(run) == {f"{weights}.ckpt", "mine.ckpt"}


def test_a_record_that_does_not_say_what_was_tested_keeps_both(folder: Callable[[str], RunFolder]) -> None:
    run = folder("done")
    run.write_result(Record(run_id="a", status=Status.DONE))
    spare(run, "tested", remove=True)
    assert left(run) == {"best.ckpt", "last.ckpt", "mine.ckpt"}


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
@pytest.mark.parametrize("keep", ["best", "last", "none"])
def test_a_run_that_may_go_on_keeps_everything(folder: Callable[[str], RunFolder], status: str, keep: str) -> None:
    run = folder(status)
    before = left(run)
    assert (spare(run, keep, remove=True).left, left(run)) == ("not final", before)


@pytest.mark.parametrize("text", [None, "", '{"run_id": "a"}', '{"status"'])
def test_a_run_without_a_whole_record_keeps_everything(folder: Callable[[str], RunFolder], text: str | None) -> None:
    run = folder("done")
    run.result_file.unlink() if text is None else run.result_file.write_text(text)
    before = left(run)
    assert (spare(run, "none", remove=True).left, left(run)) == ("not final", before)


def test_a_run_that_a_process_holds_keeps_everything(folder: Callable[[str], RunFolder]) -> None:
    run = folder("done")
    before = left(run)
    with FileLock(run.path / ".lock"):
        assert (spare(run, "none").left, spare(run, "none", remove=True).left) == ("in use", "in use")
    assert left(run) == before
    assert len(spare(run, "none", remove=True).files) == 3


def test_looking_changes_nothing(folder: Callable[[str], RunFolder]) -> None:
    run = folder("done")
    before = sorted(run.path.rglob("*"))
    looked = spare(run, "best")
    assert sorted(run.path.rglob("*")) == before
    assert looked == spare(run, "best", remove=True)


def test_an_interrupted_run_still_resumes_to_what_an_uninterrupted_one_comes_to(
    trained: Callable[..., dict[str, Any]], planned: Callable[[str], Any]
) -> None:
    from dsbench.run.interrupts import Interrupted

    line = "arch=mnist_7800_shallow width=4 train.max_epochs=2"
    whole = trained(line)
    planned(line).folder.set_aside()
    with pytest.raises(Interrupted):
        trained(line, stop_at=(1,))
    assert spare(planned(line).folder, "none", remove=True).left == "not final"
    resumed = trained(line)
    assert resumed["attempts"] == 2
    assert (resumed["test_acc"], resumed["test_loss"]) == (whole["test_acc"], whole["test_loss"])
    assert len(spare(planned(line).folder, "none", remove=True).files) == 2
    assert trained(line)["finished"] == resumed["finished"]
