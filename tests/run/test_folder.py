"""Files that a crash leaves whole."""

import json
import math
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench.errors import InputError
from dsbench.files import replacing, write_atomically
from dsbench.run.folder import RunFolder
from dsbench.run.lock import locked
from dsbench.run.record import Record, Status

RECORD = Record(run_id="abc", status=Status.DONE)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "runs" / "abc")
    folder.create()
    return folder


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "result.json"
    write_atomically(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_full_disk_is_seen_before_the_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    write_atomically(path, "old")
    opened = os.fdopen

    def full(descriptor: int, *_: object, **__: object) -> IO[bytes]:
        os.close(descriptor)
        return opened(os.open("/dev/full", os.O_WRONLY), "wb")

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_result_is_json_that_others_read_too(folder: RunFolder) -> None:
    more = {"loss": math.nan, "nested": [{"inf": -math.inf, "one": 1.0}], "none": None}
    folder.write_result(replace(RECORD, more=more))

    def refuse(token: str) -> None:
        raise AssertionError(token)

    written = json.loads(folder.result_file.read_text(), parse_constant=refuse)
    finite = {"loss": None, "nested": [{"inf": None, "one": 1.0}], "none": None}
    assert written.items() >= finite.items()
    assert folder.result() == replace(RECORD, more=finite)


def test_there_is_no_record_before_the_first(folder: RunFolder) -> None:
    assert folder.result() is None


def test_files_can_be_read_by_others_on_the_machine(folder: RunFolder) -> None:
    folder.write_result(RECORD)
    assert folder.result_file.stat().st_mode & 0o777 == 0o644


def test_a_place_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as error:
        RunFolder(tmp_path / "file" / "runs" / "abc").create()
    assert str(error.value).startswith(
        f"cannot write to {tmp_path / 'file' / 'runs' / 'abc'}: Not a directory; set outp"
    )


def test_setting_aside_loses_nothing_and_leaves_the_log_where_it_is(folder: RunFolder) -> None:
    for file in (folder.last, folder.best, folder.metrics_file, folder.log_file):
        file.touch()
    folder.write_result(RECORD, [[1]], [True])
    folder.set_aside()
    kept = {"last.ckpt", "best.ckpt", "metrics.csv", "confusion.json", "test_correct.bits", "result.json"}
    assert {path.name for path in folder.previous.iterdir()} == kept
    assert folder.result() is None
    assert folder.log_file.exists()
    folder.drop_previous()
    assert {path.name for path in folder.path.rglob("*") if path.is_file()} == {"run.log"}


@given(correct=st.lists(st.booleans(), min_size=1, max_size=40))
def test_images_that_were_got_right_are_read_in_their_order(
    correct: list[bool], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    assert folder.correct() is None
    folder.write_result(RECORD, None, correct)
    read = folder.correct()
    assert read is not None
    assert read.tolist() == [int(one) for one in correct]
    number, _, packed = folder.correct_file.read_bytes().partition(b"\n")
    assert int(number) == len(correct)
    assert "".join(f"{byte:08b}" for byte in packed) == "".join("01"[one] for one in correct).ljust(
        8 * len(packed), "0"
    )
    folder.discard()
    assert list(folder.path.iterdir()) == []


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    content = bytes(range(256)) + b"\r\n"
    write_atomically(tmp_path / "net.onnx", content)
    assert (tmp_path / "net.onnx").read_bytes() == content


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077, 0o027])
def test_the_umask_decides_the_mode_of_every_file_and_folder(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        plain = tmp_path / "plain"
        plain.mkdir()
        (plain / "file").touch()
        folder = RunFolder(tmp_path / "runs" / "abc")
        folder.create()
        with locked(folder.path, lambda *_: None):
            folder.write_result(RECORD, [[1, 0], [0, 1]], [True, True])
            folder.write_history([])
        with replacing(folder.last) as temporary:
            temporary.write_bytes(b"weights")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.path.rglob("*") if path.is_file()}
    assert modes == {stat.S_IMODE((plain / "file").stat().st_mode)}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in (folder.path.parent, folder.path, folder.last.parent)}
    assert folders == {stat.S_IMODE(plain.stat().st_mode)}
    assert len(list(folder.path.rglob("*"))) == 8  # with lock, lease and the folder of checkpoints


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replaced = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def renamed(*paths: Path) -> None:
        order.append("rename")
        replaced(*paths)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    write_atomically(tmp_path / "result.json", "new")
    assert order == ["file", "rename", "folder"]


def test_what_belongs_to_a_result_is_on_the_disk_before_its_record(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, safe = os.fsync, set[str]()

    def synced(descriptor: int) -> None:
        safe.add(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    record = Record(run_id="abc", status=Status.RUNNING)
    folder.write_history([])
    assert not safe
    folder.write_result(replace(record, status=Status.DONE), [[1, 0], [0, 1]], [True, False])
    result = {name for name in safe if name.startswith(".result.json")}
    assert safe - result == {"metrics.csv", "confusion.json", "test_correct.bits", folder.path.name}
    assert len(result) == 1
