"""A record in memory is the record on disk, of this version and of others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic import run

from dsbench.budget.request import Requested
from dsbench.errors import InputError
from dsbench.run.folder import RunFolder
from dsbench.run.record import BROKEN, FINAL, Label, Record, Status
from dsbench.training.stop import Stop

LABELS = [
    (Label(), None),
    (Label("mnist_7800/cnn"), "mnist_7800/cnn"),
    (Label("mnist_7800/cnn", ("width", "train.max_epochs")), "mnist_7800/cnn (modified: width, train.max_epochs)"),
    (Label("mine", ("data",)), "mine (modified: data)"),
]


def test_what_is_written_is_what_is_read(trained: Callable[..., dict[str, Any]], planned: Callable[[str], Any]) -> None:
    line = "model=dwsep arch=mnist_7800_shallow train.max_epochs=1 budget.params=700"
    plain = trained(line)
    text = planned(line).folder.result_file.read_text()
    record = Record.from_json(text)
    assert record.to_json() == text
    assert json.loads(text) == plain == record.plain()
    assert (record.more, record.measured, record.status) == ({}, {}, Status.DONE)
    assert isinstance(record.requested, Requested)
    assert record.stop == Stop("epochs", 1)
    assert record.result is not None
    assert record.result.test_acc == plain["test_acc"]


def test_a_record_has_a_result_once_there_is_one_and_an_error_where_there_was_one(
    planned: Callable[[str], Any],
) -> None:
    started = replace(planned("").facts(), status=Status.RUNNING)
    assert not {"error", "test_acc", "epochs", "measured_on"} & started.plain().keys()
    ended = started.ended(Status.FAILED, "no space")
    assert ended.finished is not None
    assert list(ended.plain()) == [*started.plain(), "error"]
    assert Record.of(ended.plain()) == ended


def test_a_remark_is_on_disk_where_there_is_one(tmp_path: Path) -> None:
    folder, remarked = RunFolder(tmp_path), replace(Record.of(run()), remark="undertrained")
    for record, ending in ((Record.of(run()), "done"), (remarked, "done, undertrained")):
        folder.write_result(record)
        assert ("remark" in json.loads(folder.result_file.read_text())) == (record.remark is not None)
        assert folder.result() == record
        assert record.ending == ending


@pytest.mark.parametrize(("label", "text"), LABELS)
def test_a_label_is_kept_in_parts_and_of_older_records_read_from_its_words(label: Label, text: str | None) -> None:
    plain = replace(Record.of(run()), label=label).plain()
    assert (plain["study"], plain["experiment"], tuple(plain["modified"])) == (text, label.experiment, label.modified)
    assert Record.of(plain).label == label
    older = {key: value for key, value in plain.items() if key not in ("experiment", "modified")}
    assert Record.of(older).label == label


def test_a_label_knows_its_study_and_what_that_calls_the_network() -> None:
    assert [(label.study, label.model) for label, _ in LABELS] == [
        (None, None),
        *[("mnist_7800", "cnn")] * 2,
        ("mine", None),
    ]


def test_what_another_version_wrote_stays_when_a_record_is_written_again(tmp_path: Path) -> None:
    older = run(test_confusion=[[1, 2], [3, 4]], of_the_future={"a": [1]})
    del older["train_macs"], older["n_jobs"]
    folder = RunFolder(tmp_path)
    folder.result_file.write_text(json.dumps(older))
    record = folder.result()
    assert record is not None
    assert record.n_jobs is None
    folder.write_result(replace(record, measured={"peak_memory_bytes": 3}))
    written = json.loads(folder.result_file.read_text())
    assert written == older | {"train_macs": None, "n_jobs": None, "peak_memory_bytes": 3}


def test_a_confusion_matrix_lies_beside_the_record_and_in_older_ones_inside(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.confusion() is None
    folder.result_file.write_text(json.dumps(run(test_confusion=[[1, 2], [3, 4]])))
    assert folder.confusion() == [[1, 2], [3, 4]]
    folder.write_result(Record.of(run()), [[5, 6], [7, 8]])
    assert folder.confusion() == [[5, 6], [7, 8]]
    assert "test_confusion" not in folder.result_file.read_text()
    folder.confusion_file.write_text("[[5, 6")
    with pytest.raises(InputError, match=f"the confusion matrix {folder.confusion_file} is damaged"):
        folder.confusion()
    folder.discard()
    assert list(tmp_path.iterdir()) == []


def test_where_the_record_cannot_be_written_what_belongs_to_it_does_not_stand_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, written = RunFolder(tmp_path), []

    def write(path: Path, content: str | bytes, at_once: bool = True) -> None:
        if path == folder.result_file:
            raise OSError(28, "No space left on device")
        written.append(path)

    monkeypatch.setattr("dsbench.run.folder.write_atomically", write)
    with pytest.raises(OSError, match="No space left"):
        folder.write_result(Record.of(run()), [[1]], [True])
    assert written == [folder.confusion_file, folder.correct_file]  # before the record, which says that it counts
    assert folder.result() is None


@pytest.mark.parametrize("plain", [None, [], {"run_id": "a"}, {"status": "done"}, {"run_id": "a", "status": "over"}])
def test_what_is_no_record_is_refused(plain: Any) -> None:
    with pytest.raises(ValueError, match=r"not the record of a run|'over' is not a valid Status"):
        Record.of(plain)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("requested", 3),
        ("stop", "epochs"),
        ("settings", []),
        ("latency_ms", 1.5),
        ("width", 2.5),
        ("test_acc", "high"),
        ("macs", "many"),
        ("versions", "3.11"),
        ("chips", 3),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is {re.escape(repr(value))} and should be "):
        Record.of(run() | {name: value})


@pytest.mark.parametrize("section", [7, {"int8": {"latency_ms": {"median": "soon"}}}])
def test_what_a_chip_says_is_keys_and_times(section: Any) -> None:
    with pytest.raises(ValueError, match=r"chips/litert.* should be "):
        Record.of(run() | {"chips": {"litert": section}})


def test_a_status_is_a_result_or_an_end_without_one_or_neither() -> None:
    assert not FINAL & BROKEN
    assert {*Status} - FINAL - BROKEN == {"interrupted", "running", "missing", "unreadable"}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize(
    ("force", "rerun", "same_code"), [(f, r, s) for f in (0, 1) for r in ("never", "stale") for s in (0, 1)]
)
def test_only_a_result_stays_and_only_until_it_is_to_be_made_anew(
    monkeypatch: pytest.MonkeyPatch, status: Status, force: bool, rerun: str, same_code: bool
) -> None:
    monkeypatch.setattr("dsbench.provenance.source_sha256", lambda: "this")
    record = Record(run_id="a", status=status, source_sha256="this" if same_code else None)
    result = status in ("done", "collapsed", "diverged")
    old = rerun == "stale" and not same_code
    assert record.is_replaced(force, rerun) == (old or (force and result))
    assert record.stays(force, rerun) == (result and not force and not old)
