"""Records become rows, whatever state their files are in."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import hexadecimal, read, run, table

from dsbench.errors import InputError
from dsbench.network.cost import TOTALS
from dsbench.results.cells import cells_table
from dsbench.results.records import (
    COLUMNS,
    RARE,
    labels,
    misjudged,
    plain,
    record,
    records,
    runs_table,
    settings,
    timings,
)
from dsbench.run.folder import RunFolder
from dsbench.run.lock import locked
from dsbench.run.record import Label, Record, Status

Train = Callable[..., dict[str, Any]]
APART = {"experiment", "modified", "requested", "settings", "stop", "versions", "test_class_acc", "memory_format"}

BARE = {"run_id": "a", "status": "failed"}


def write(outputs: Path, result: dict[str, Any], indent: int | None = 2) -> Path:
    folder = outputs / "runs" / result["run_id"]
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result, indent=indent) + "\n")
    return folder


def test_every_fact_of_a_trained_run_is_in_its_row(trained: Train, outputs: Path) -> None:
    record = trained("model=dwsep block=keras arch=mnist_7800_shallow train.max_epochs=1 budget.params=700")
    written = json.loads((outputs / "runs" / record["run_id"] / "result.json").read_text())
    (row,) = plain(runs_table(records(outputs)))
    for key, value in written.items():
        if key not in APART:
            assert row[key] == (str(value) if key == "kernel" else value), key
    assert {name: row[name] for name in written["settings"]} == written["settings"]
    assert {name: row[f"requested_{name}"] for name in written["requested"]} == written["requested"]
    assert {name: row[f"stop.{name}"] for name in written["stop"]} == {"by": "epochs", "target": 1}
    known = {*written, *(f"requested_{name}" for name in written["requested"])}
    assert set(row) == {*COLUMNS, *written["settings"], "stop.by", "stop.target"} - ({*RARE} - known)
    assert row["requested_tolerance"] == 0.01
    assert (row["block"], row["optimizer.name"], row["block.norm_between"]) == ("keras", "sgd", False)


def test_a_cnn_has_no_block_and_no_switches_of_one(planned: Callable[[str], Any]) -> None:
    facts = planned("model=cnn block=keras optimizer.weight_decay=0 depth=1").facts()
    assert facts.block is None
    assert not [name for name in facts.settings if name.startswith("block.")]
    assert facts.settings["arch.depth"] == 1
    assert "optimizer.decay_norm_and_bias" not in facts.settings
    assert "train.early_stopping.monitor" not in facts.settings
    assert all("." in name for name in facts.settings)


def test_the_columns_of_settings_and_timings_and_the_labels_are_known_of_any_part_of_a_table() -> None:
    timed = {"latency_ms": {"batch_1": {"torch": {"median": 1.5}}}, "peak_memory_bytes": 7}
    other = {"study": "b/c (modified: width, train.max_epochs)", "stop": {"by": "epochs", "target": 3}}
    whole = table([run(settings={"mine": 1}, **timed), run(seed=1, study="a/b"), run(seed=2, **other)])
    for part in (whole, whole[whole["seed"] > 0], cells_table(whole)):
        assert {"mine", "optimizer.lr", "stop.by", "stop.target"} < {*settings(part)} < {*part.columns}
        assert timings(part) == ["latency_ms/batch_1/torch", "peak_memory_bytes"]
    expected = [Label(), Label("a/b"), Label("b/c", ("width", "train.max_epochs"))]
    assert labels(whole) == expected
    assert labels(whole[whole["seed"] > 0].iloc[::-1]) == expected[:0:-1]


NO_RECORD = {
    "half": b'{"run_id": "abc", "sta',
    "a list": b"[]",
    "without an id": b'{"status": "done"}',
    "of an unknown status": b'{"run_id": "abc", "status": "over"}',
    "empty": b"",
    "no text": b"\xff\xfe\x00",
    "nested for ever": b"[" * 100_000,
    "a number of 5,000 digits": b'{"run_id": "abc", "status": "done", "seed": ' + b"9" * 5000 + b"}",
    "of another run": b'{"run_id": "abc", "status": "done"}',
}
DAMAGED_VALUES = {
    "seed": 99999999999999999999999,
    "width": True,
    "macs": -(2**63) - 1,
    "test_acc": math.nan,
    "train_seconds": math.inf,
    "model": 5,
    "study": ["a"],
    "kernel": [3, "five"],
    "settings": {"optimizer.lr": 10**30},
    "requested": {"kind": "weights", "target": 3},
    "stop": {"by": "epochs", "target": None},
    "latency_ms": {"batch_1": {"torch": {"median": "fast"}}},
    "train_step_ms": {"total": {"median": 1.0, "repeats": [3]}},
    "measured_on": "here",
    "test_class_acc": [0.5, "good"],
    "modified": [1, 2],
}


@pytest.mark.parametrize("damage", [*NO_RECORD, *DAMAGED_VALUES, "a folder", "not to be read"])
def test_a_record_that_cannot_be_read_is_named_once_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    whole, other = run(), run(seed=1)
    write(tmp_path, other)
    file = write(tmp_path, whole) / "result.json"
    if damage in DAMAGED_VALUES:
        file.write_text(json.dumps(whole | {damage: DAMAGED_VALUES[damage]}))
    elif damage in NO_RECORD:
        file.write_bytes(NO_RECORD[damage])
    else:
        file.unlink()
        file.symlink_to(file) if damage == "not to be read" else file.mkdir()
    for _ in range(2):
        assert [each.run_id for each in records(tmp_path)] == [other["run_id"]]
        lost = record(tmp_path, whole["run_id"])
        assert (lost.run_id, lost.status) == (whole["run_id"], "unreadable")
        assert (lost.error or "").startswith("result.json: ")
    (told,) = caplog.messages
    assert str(file) in told
    with pytest.raises(InputError, match=r"the record .* (is damaged|cannot be read): "):
        RunFolder(file.parent).result()


def test_a_run_without_a_record_is_missing(tmp_path: Path) -> None:
    write(tmp_path, run())
    assert record(tmp_path, hexadecimal("never")) == Record(run_id=hexadecimal("never"), status=Status.MISSING)


def test_a_run_that_no_process_has_any_more_is_killed_and_its_record_left_as_it_is(tmp_path: Path) -> None:
    folder = write(tmp_path, run("running"))
    before = (folder / "result.json").read_bytes()
    with locked(folder, lambda *_: None):
        assert runs_table(records(tmp_path))["status"].tolist() == ["running"]
    (row,) = plain(runs_table(records(tmp_path)))
    assert (row["status"], row["error"]) == ("killed", "its process is gone")
    assert (folder / "result.json").read_bytes() == before


def test_only_folders_named_by_a_runs_id_are_runs(tmp_path: Path) -> None:
    kept = run()
    copy = write(tmp_path, run(seed=1))
    write(tmp_path, kept)
    copy.rename(copy.with_name(f"{copy.name}_backup"))
    (tmp_path / "runs" / hexadecimal("started, nothing written")).mkdir()
    (tmp_path / "runs" / "notes.txt").touch()
    assert [record.run_id for record in records(tmp_path)] == [kept["run_id"]]
    assert records(tmp_path / "elsewhere") == []


def test_runs_stand_in_the_order_in_which_they_were_started(tmp_path: Path) -> None:
    for day in (3, 1, 2):
        write(tmp_path, run(seed=day, started=f"2026-01-0{day}T00:00:00+00:00"))
    assert runs_table(records(tmp_path))["seed"].tolist() == [1, 2, 3]


def test_columns_keep_their_kind_where_values_are_missing() -> None:
    whole = table([run(fine_width=3), run("failed", settings={"optimizer.betas": [0.9, 0.999]}), BARE])
    assert whole["fine_width"].dtype == "Int64"
    assert plain(whole[["fine_width", "test_acc", "optimizer.nesterov"]]) == [
        {"fine_width": 3, "test_acc": 0.75, "optimizer.nesterov": True},
        {"fine_width": None, "test_acc": None, "optimizer.nesterov": True},
        {"fine_width": None, "test_acc": None, "optimizer.nesterov": None},
    ]
    assert whole["optimizer.betas"].tolist()[1] == "[0.9,0.999]"
    assert whole[list(TOTALS)].isna().sum().sum() == len(TOTALS)


def test_a_kernel_of_several_sizes_is_text() -> None:
    assert table([run(kernel=[3, 5]), run(kernel=3)])["kernel"].tolist() == ["[3,5]", "3"]


def test_remarks_and_balanced_accuracies_have_columns_where_any_run_has_one() -> None:
    older = table([run(), run("missing", seed=1)])
    assert not set(RARE) & {*older.columns, *cells_table(older).columns}
    seeds = [
        run(seed=0, remark="undertrained", test_balanced_acc=0.6),
        run(seed=1, remark="far from learnt", test_balanced_acc=0.2),
        run(seed=2, remark="undertrained"),
        run("collapsed", seed=3, test_balanced_acc=0.1),
    ]
    runs = table([*seeds, run(model="dwsep")])
    assert [row["remark"] for row in plain(runs)] == ["undertrained", "far from learnt", "undertrained", None, None]
    rare = {"requested_tolerance", "requested_multiple", "requested_chip", "graph", "fused"}
    assert set(runs.columns) >= {*COLUMNS} - rare
    first, second = plain(cells_table(runs))
    assert first["remark"] == "2 undertrained, 1 far from learnt"
    assert first["test_balanced_acc_mean"] == pytest.approx(0.4)  # over the runs that are done
    assert (second["remark"], second["test_balanced_acc_mean"]) == (None, None)


PERFECT, CONSTANT, FIFTH = [[990, 0], [0, 10]], [[990, 0], [10, 0]], [[200, 800], [200, 800]]


@pytest.mark.parametrize(
    ("status", "confusion", "said"),
    [
        (
            "collapsed",
            PERFECT,
            "is recorded as collapsed, but gets 1,000 of 1,000 test images right, where answering the largest class "
            "gets 990 (balanced accuracy 100.00 %)",
        ),
        ("collapsed", CONSTANT, None),
        ("collapsed", FIFTH, None),
        ("done", PERFECT, None),
        ("done", FIFTH, None),
        ("done", CONSTANT, "is recorded as done, but answers one class to all 1,000 test images"),
        ("diverged", CONSTANT, None),
    ],
)
def test_a_status_that_the_confusion_matrix_denies_is_named(
    status: str, confusion: list[list[int]], said: str | None
) -> None:
    (one,) = read([run(status)])
    assert misjudged(one, confusion) == (said and f"run {one.run_id} {said}")


def test_what_a_remark_explains_is_not_named_again() -> None:
    assert misjudged(*read([run(remark="undertrained")]), CONSTANT) is None


_FLOATS = st.floats(allow_subnormal=False)  # which a process that has trained takes for 0
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | _FLOATS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FULL = Record.of(
    run(requested=None, stop={"by": "epochs", "target": 3.0}, latency_ms={"batch_1": {"torch": {"median": 1.0}}})
).plain()


@given(st.dictionaries(st.sampled_from(sorted(FULL)), ODD, min_size=1, max_size=3))
def test_a_record_with_any_value_in_it_is_refused_or_is_a_row(odd: dict[str, Any]) -> None:
    try:
        odd_record = Record.from_json(json.dumps(FULL | odd))
    except ValueError:
        return
    table = runs_table([odd_record, Record.of(FULL)])
    assert len(cells_table(table)) in (1, 2)
    assert len(plain(table)) == 2
    assert Record.from_json(odd_record.to_json()) == odd_record
