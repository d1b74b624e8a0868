import json
import signal
import time

import numpy as np
import pytest
from tiny_set import KEYS

from dsbench.data import candidate, prepared, split
from dsbench.errors import InputError

CHILD = """
import time
from pathlib import Path
import numpy as np
from dsbench.data import prepared
from dsbench.data.sets import DataSet
dataset, root = eval(given["dataset"]), Path(given["root"])
"""


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def cache_bytes(root):
    return {key: (root / "prepared" / "tiny" / f"{key}.npy").read_bytes() for key in KEYS}


def test_permuted_npz_gives_a_byte_identical_cache(tmp_path, tiny, arrays, put_npz):
    put_npz()
    prepared.prepare(tiny, tmp_path)
    first = cache_bytes(tmp_path)
    order = np.random.default_rng(5).permutation(len(arrays["y_train"]))
    other = tmp_path / "other"
    other.mkdir()
    path = put_npz(x_train=arrays["x_train"][order], y_train=arrays["y_train"][order])
    path.rename(other / "tiny.npz")
    prepared.prepare(tiny, other)
    assert cache_bytes(other) == first


def test_rows_are_in_canonical_order_and_labels_stay_with_their_images(tmp_path, tiny, arrays, put_npz):
    put_npz()
    ready = prepared.prepare(tiny, tmp_path)
    digests = candidate.digests(ready.x_train, ready.y_train)
    assert (split.canonical_order(digests) == np.arange(20)).all()
    label_of = {x.tobytes(): y for x, y in zip(arrays["x_train"], arrays["y_train"], strict=True)}
    assert [label_of[x.tobytes()] for x in ready.x_train] == ready.y_train.tolist()


def test_forms_of_npz_that_keras_users_have_are_accepted(tmp_path, tiny, arrays, put_npz):
    put_npz(x_train=arrays["x_train"][..., None], y_train=arrays["y_train"][:, None].astype(np.int64))
    ready = prepared.prepare(tiny, tmp_path)
    assert ready.verified
    assert ready.x_train.shape == (20, 4, 4, 1)
    assert ready.y_train.shape == (20,)
    assert {ready.x_train.dtype, ready.y_train.dtype} == {np.dtype(np.uint8)}


def test_loaded_arrays_are_memory_maps_that_writing_does_not_reach(tmp_path, tiny, put_npz):
    put_npz()
    prepared.prepare(tiny, tmp_path)
    for key in KEYS:
        array = getattr(prepared.load(tiny, tmp_path), key)
        assert isinstance(array, np.memmap)
        before = array[0].copy()
        array[0] = before + 1
        assert (getattr(prepared.load(tiny, tmp_path), key)[0] == before).all()


def test_statistics_are_of_the_train_part_with_and_without_validation(tmp_path, tiny, put_npz):
    put_npz()
    ready = prepared.prepare(tiny, tmp_path)
    train, _ = split.stratified(ready.y_train, tiny.validation_size)
    assert ready.mean["study"] == pytest.approx([(ready.x_train / 255).mean()])
    assert ready.std["standard"] == pytest.approx([(ready.x_train[train] / 255).std()])
    assert ready.mean["standard"] == pytest.approx([(ready.x_train[train] / 255).mean()])


def test_cache_is_used_when_its_source_is_gone(tmp_path, tiny, put_npz):
    path = put_npz()
    first = prepared.prepare(tiny, tmp_path)
    path.unlink()
    assert prepared.prepare(tiny, tmp_path).sha256 == first.sha256


def test_killed_preparation_leaves_no_half_cache_and_the_next_cleans_up(tmp_path, tiny, put_npz, spawn):
    put_npz()
    kill_in_the_middle = """
import os, signal
written, append = [], prepared._append
def append_some(*arguments):
    written.append(append(*arguments))
    if len(written) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return written[-1]
prepared._append = append_some
prepared.prepare(dataset, root)
"""
    child = spawn(CHILD + kill_in_the_middle, dataset=repr(tiny), root=str(tmp_path))
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert not (tmp_path / "prepared" / "tiny").exists()
    assert list((tmp_path / "prepared").glob(".tiny-*/cache/x_train.npy"))
    assert prepared.prepare(tiny, tmp_path).verified
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["tiny"]


def test_processes_that_prepare_at_once_write_one_cache(tmp_path, tiny, put_npz, spawn):
    put_npz()
    together = """
def report(message, fraction):
    print(message, flush=True)
    time.sleep(0.2)
while not (root / "go").exists():
    time.sleep(0.01)
print(prepared.prepare(dataset, root, report=report).sha256)
"""
    children = [spawn(CHILD + together, dataset=repr(tiny), root=str(tmp_path)) for _ in range(3)]
    time.sleep(0.5)
    (tmp_path / "go").touch()
    printed = [child.communicate()[0].splitlines() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert {lines[-1] for lines in printed} == {tiny.sha256}
    assert sum(lines.count("writing") for lines in printed) == 1
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["tiny"]


def test_wrong_checksum_names_the_file_and_leaves_nothing_behind(tmp_path, tiny, arrays, put_npz):
    arrays["x_train"][0, 0, 0] ^= 1
    path = put_npz()
    with pytest.raises(InputError) as error:
        prepared.prepare(tiny, tmp_path)
    message = one_line(error)
    assert message.startswith(f"{path}: checksum ")
    assert "delete or replace it" in message
    assert "data.verify=false" in message
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.npz"]


def test_wrong_count_names_the_class(tmp_path, tiny, arrays, put_npz):
    path = put_npz(x_test=arrays["x_test"][1:], y_test=arrays["y_test"][1:])
    label = arrays["y_test"][0]
    with pytest.raises(InputError) as error:
        prepared.prepare(tiny, tmp_path)
    count = tiny.test_counts[label]
    assert one_line(error).startswith(f"{path}: y_test has {count - 1} images of class {label} instead of {count};")


def test_unverified_data_are_only_used_on_request(tmp_path, tiny, arrays, put_npz):
    arrays["x_train"][0, 0, 0] ^= 1
    put_npz()
    ready = prepared.prepare(tiny, tmp_path, verify=False)
    assert not ready.verified
    assert ready.sha256 != tiny.sha256
    with pytest.raises(InputError) as error:
        prepared.prepare(tiny, tmp_path)
    assert "are not verified" in one_line(error)
    assert str(tmp_path / "prepared" / "tiny") in one_line(error)


def test_right_data_prepared_without_verification_are_verified_all_the_same(tmp_path, tiny, put_npz):
    put_npz()
    assert prepared.prepare(tiny, tmp_path, verify=False).verified
    assert prepared.load(tiny, tmp_path).verified


@pytest.mark.parametrize("key", KEYS)
def test_truncated_cache_is_an_error_that_names_the_folder(tmp_path, tiny, put_npz, key):
    put_npz()
    prepared.prepare(tiny, tmp_path)
    file = tmp_path / "prepared" / "tiny" / f"{key}.npy"
    for size in (file.stat().st_size - 1, 100, 0):
        file.write_bytes(file.read_bytes()[:size])
        with pytest.raises(InputError) as error:
            prepared.prepare(tiny, tmp_path)
        assert f"{key}.npy is cut short" in one_line(error)
        assert f"delete the folder {file.parent}" in one_line(error)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda folder: (folder / "meta.json").unlink(), "No such file"),
        (lambda folder: (folder / "meta.json").write_text("{"), "Expecting property name"),
        (lambda folder: (folder / "meta.json").write_text('{"format": 99}'), "it has format 99"),
        (lambda folder: (folder / "x_test.npy").unlink(), "No such file"),
        (lambda folder: np.save(folder / "x_test.npy", np.zeros((8, 4, 4, 1))), "x_test.npy is float64"),
        (lambda folder: np.save(folder / "y_test.npy", np.zeros(9, np.uint8)), "not as meta.json says"),
    ],
)
def test_damaged_cache_is_an_error_that_names_the_folder(tmp_path, tiny, put_npz, damage, problem):
    put_npz()
    prepared.prepare(tiny, tmp_path)
    folder = tmp_path / "prepared" / "tiny"
    damage(folder)
    with pytest.raises(InputError) as error:
        prepared.load(tiny, tmp_path)
    assert problem in one_line(error)
    assert f"delete the folder {folder}" in one_line(error)
    assert prepared.status(tiny, tmp_path).state == "damaged"


def test_root_that_cannot_be_written_is_an_error(tmp_path, tiny):
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as error:
        prepared.prepare(tiny, tmp_path / "file")
    assert "data root cannot be written" in one_line(error)
    assert str(tmp_path / "file") in one_line(error)


def test_failed_preparation_leaves_no_new_folder(tmp_path, tiny):
    with pytest.raises(InputError):
        prepared.prepare(tiny, tmp_path / "new" / "root")
    assert list(tmp_path.iterdir()) == []


def test_load_of_what_is_not_prepared_says_how_to_prepare_it(tmp_path):
    with pytest.raises(InputError, match="run dsbench data get mnist5k"):
        prepared.load("mnist5k", tmp_path)


def test_status_follows_a_set_from_absent_to_verified(tmp_path, tiny, put_npz):
    assert prepared.status(tiny, tmp_path) == prepared.SetStatus("tiny", "absent")
    npz = put_npz()
    assert prepared.status(tiny, tmp_path) == prepared.SetStatus("tiny", "not prepared", npz, size=npz.stat().st_size)
    prepared.prepare(tiny, tmp_path)
    status = prepared.status(tiny, tmp_path)
    assert (status.state, status.images, status.source) == ("verified", 28, str(npz))
    assert status.size == sum(file.stat().st_size for file in status.path.iterdir())


def test_meta_describes_the_cache(tmp_path, tiny, put_npz):
    put_npz()
    prepared.prepare(tiny, tmp_path)
    meta = json.loads((tmp_path / "prepared" / "tiny" / "meta.json").read_text())
    assert meta["verified"] is True
    assert meta["sha256"] == tiny.sha256
    assert meta["arrays"]["x_test"] == {"dtype": "uint8", "shape": [8, 4, 4, 1]}
